// The marketplace: buyers who live by their hidden interest, and the messages that their site would send of it,
// in order of arrival. One seed and one end give one stream; memory holds the buyers and what is under way, no more.
import type { FeedMessage, Planted, SegmentMessage } from '../feed.ts';
import { type IdentityTally, type ImpliedIdentity, identityTally } from './identity.ts';
import { nextMark } from './interest.ts';
import type { Act, PersonState } from './person-state.ts';
import { type Person, populationOf } from './population.ts';
import { type TimeQueue, timeQueue } from './queue.ts';
import { between, type Random, randomOf, wholeBetween } from './random.ts';
import { busyDaysAt, timeAtBusyDays } from './rhythm.ts';
import { session } from './session.ts';
import { type Supply, supplyOf } from './supply.ts';
import { type BuyerTruth, type SegmentTruth, segmentTruths, truthsAt } from './truth.ts';
import { levels } from './world.ts';

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

/** How much of the stream arrives wrong, on purpose. */
const faults = { delayed: 0.04, late: 0.004, duplicate: 0.01, invalid: 0.0003 } as const;

export interface MarketplaceOptions {
  readonly seed: string;
  /** Nothing arrives at or after this time; infinity goes on for ever. */
  readonly endMs: number;
  /** When the period begins; by default 30 days before `endMs`. */
  readonly startMs: number;
  readonly buyers: number;
  /** Goes in front of every message id: two runs over the same people must not share ids. */
  readonly idPrefix: string;
  /** Times, rising, at which `onSnapshot` is shown the truth. */
  readonly snapshotsMs?: readonly number[];
  readonly onSnapshot?: (timeMs: number, truths: readonly BuyerTruth[]) => void;
  readonly horizonDays?: number;
}

/** What the stream has sent so far. Nothing outside `simulate/` and its tests reads the truths. */
export interface MarketplaceReport {
  readonly messages: number;
  readonly buyers: number;
  readonly countries: number;
  readonly byEvent: Readonly<Record<string, number>>;
  readonly planted: Readonly<Record<Planted, number>>;
  readonly identity: ImpliedIdentity;
  readonly truths: readonly SegmentTruth[];
}

export interface Marketplace {
  messages(): Generator<FeedMessage, void, undefined>;
  report(): MarketplaceReport;
}

type Upcoming =
  | { readonly kind: 'mark'; readonly state: PersonState; readonly moveTo: PersonState['stage'] | 'session' }
  | { readonly kind: 'arrival'; readonly feed: FeedMessage };

interface Run {
  readonly options: MarketplaceOptions;
  readonly supply: Supply;
  readonly queue: TimeQueue<Upcoming>;
  readonly faultRandom: Random;
  readonly tally: Tally;
  made: number;
}

interface Tally {
  messages: number;
  readonly byEvent: Map<string, number>;
  readonly planted: Record<Planted, number>;
  readonly identity: IdentityTally;
  readonly seen: Set<Person>;
  readonly deep: Set<Person>;
}

const deepNames = new Set(['Supplier Contacted', 'Inquiry Sent', 'Order Completed']);

function stateOf(person: Person, options: MarketplaceOptions): PersonState {
  return {
    person,
    random: randomOf(`${options.seed}/life/${person.index}/${options.startMs}`),
    deviceRandom: randomOf(`${options.seed}/devices/${person.index}/${options.startMs}`),
    stage: person.firstStage,
    known: !person.startsAnonymous,
    introduced: false,
    signedIn: new Set(),
    seen: false,
    sessions: 0,
    orders: 0,
    levelIndex: levels.indexOf(person.level),
    deal: null,
  };
}

/** Puts the buyer's next mark into the queue. */
function schedule(run: Run, state: PersonState, fromMs: number): void {
  const { person, random } = state;
  const mark = nextMark(state.stage, person.temperament, random);
  const offset = person.country.utcOffsetMinutes;
  const timeMs = timeAtBusyDays(busyDaysAt(fromMs, offset) + mark.waitDays, offset);
  if (timeMs < run.options.endMs) run.queue.push(timeMs, { kind: 'mark', state, moveTo: mark.moveTo });
}

/** Everybody first comes with a session, at a time that the seed has chosen. */
function begin(run: Run, people: readonly Person[]): PersonState[] {
  const { options } = run;
  const spanMs = Math.min(options.endMs - options.startMs, 30 * DAY_MS);
  return people.map((person) => {
    const state = stateOf(person, options);
    const offset = person.country.utcOffsetMinutes;
    const first = busyDaysAt(options.startMs, offset);
    const last = busyDaysAt(options.startMs + spanMs, offset);
    const timeMs = timeAtBusyDays(first + person.arrival * (last - first), offset);
    run.queue.push(timeMs, { kind: 'mark', state, moveTo: 'session' });
    return state;
  });
}

function arrivalDelayMs(random: Random): { delayMs: number; planted?: Planted } {
  const at = random();
  if (at < faults.late) return { delayMs: between(random, 30 * MINUTE_MS, 240 * MINUTE_MS), planted: 'late' };
  if (at < faults.late + faults.delayed) {
    return { delayMs: between(random, 20_000, 9.5 * MINUTE_MS), planted: 'delayed' };
  }
  return { delayMs: between(random, 100, 1_500) };
}

function send(run: Run, feed: FeedMessage): void {
  run.queue.push(feed.arrivalMs, { kind: 'arrival', feed });
}

function invalidMessage(message: SegmentMessage, random: Random): Readonly<Record<string, unknown>> {
  const { userId: _user, anonymousId: _visitor, ...nameless } = message;
  switch (wholeBetween(random, 0, 3)) {
    case 0:
      return nameless;
    case 1:
      return { ...message, timestamp: 'yesterday' };
    case 2:
      return { ...message, properties: 'none' };
    default:
      return { ...message, type: 'purchase' };
  }
}

/** Gives an act its id and its way to the collector, with the faults of that way. */
function dispatch(run: Run, state: PersonState, act: Act): void {
  const { faultRandom: random, options } = run;
  const { person } = state;
  run.made += 1;
  const timeMs = Math.round(act.timeMs);
  const { delayMs, planted } = arrivalDelayMs(random);
  const arrivalMs = timeMs + Math.round(delayMs);
  const device = act.device ?? (act.known ? undefined : person.anonymousId);
  const key = act.known ? `u:${person.userId}` : `a:${device}`;
  const message: SegmentMessage = {
    type: act.type,
    messageId: `${options.idPrefix}-${run.made.toString(36)}`,
    ...(act.known ? { userId: person.userId } : {}),
    ...(device === undefined ? {} : { anonymousId: device }),
    ...(act.previousId === undefined ? {} : { previousId: act.previousId }),
    ...(act.groupId === undefined ? {} : { groupId: act.groupId }),
    ...(act.name === undefined ? {} : act.type === 'track' ? { event: act.name } : { name: act.name }),
    ...(act.properties === undefined ? {} : { properties: act.properties }),
    ...(act.traits === undefined ? {} : { traits: act.traits }),
    ...(act.context === undefined ? {} : { context: act.context }),
    timestamp: new Date(timeMs).toISOString(),
    receivedAt: new Date(arrivalMs).toISOString(),
  };
  if (random() < faults.invalid) {
    const wrong = { ...invalidMessage(message, random), messageId: `${message.messageId}-invalid` };
    send(run, { to: 'events', key: '', arrivalMs, message: wrong, planted: 'invalid' });
  }
  send(run, { to: 'events', key, arrivalMs, message, ...(planted === undefined ? {} : { planted }) });
  if (random() < faults.duplicate) {
    const againMs = arrivalMs + Math.round(between(random, 500, 120 * MINUTE_MS));
    const again = { ...message, receivedAt: new Date(againMs).toISOString() };
    send(run, { to: 'events', key, arrivalMs: againMs, message: again, planted: 'duplicate' });
  }
  run.tally.seen.add(person);
  if (act.name !== undefined && deepNames.has(act.name)) run.tally.deep.add(person);
}

function live(run: Run, state: PersonState, moveTo: PersonState['stage'] | 'session', timeMs: number): void {
  if (moveTo !== 'session') {
    state.stage = moveTo;
    schedule(run, state, timeMs);
    return;
  }
  const { acts, endMs } = session(state, run.supply, timeMs);
  for (const act of acts) dispatch(run, state, act);
  state.seen = true;
  schedule(run, state, endMs);
}

function count(tally: Tally, feed: FeedMessage): void {
  tally.messages += 1;
  if (feed.planted !== undefined) tally.planted[feed.planted] += 1;
  if (feed.planted !== 'invalid') tally.identity.count(feed.message as SegmentMessage);
  const { type, event } = feed.message as SegmentMessage;
  const name = feed.planted === 'invalid' ? 'invalid' : type === 'track' ? event! : type;
  tally.byEvent.set(name, (tally.byEvent.get(name) ?? 0) + 1);
}

function* stream(run: Run, states: readonly PersonState[]): Generator<FeedMessage, void, undefined> {
  const { options, queue, tally } = run;
  const snapshots = [...(options.snapshotsMs ?? [])];
  for (;;) {
    const timeMs = queue.nextMs();
    while (snapshots.length > 0 && snapshots[0]! <= timeMs) {
      options.onSnapshot?.(snapshots.shift()!, truthsAt(states, options.horizonDays ?? 7));
    }
    if (timeMs >= options.endMs) return;
    const upcoming = queue.pop();
    if (upcoming === undefined) return;
    if (upcoming.kind === 'mark') live(run, upcoming.state, upcoming.moveTo, timeMs);
    else {
      count(tally, upcoming.feed);
      yield upcoming.feed;
    }
  }
}

/** A marketplace of `buyers` people from `startMs` to `endMs`. Its messages can be taken once. */
export function createMarketplace(options: MarketplaceOptions): Marketplace {
  const run: Run = {
    options,
    supply: supplyOf(options.seed),
    queue: timeQueue(),
    faultRandom: randomOf(`${options.seed}/faults/${options.startMs}`),
    tally: {
      messages: 0,
      byEvent: new Map(),
      planted: { duplicate: 0, delayed: 0, late: 0, invalid: 0 },
      identity: identityTally(),
      seen: new Set(),
      deep: new Set(),
    },
    made: 0,
  };
  const states = begin(run, populationOf(options.seed, options.buyers));
  const { tally } = run;
  return {
    messages: () => stream(run, states),
    report: () => ({
      messages: tally.messages,
      buyers: tally.seen.size,
      countries: new Set([...tally.seen].map((person) => person.country.code)).size,
      byEvent: Object.fromEntries([...tally.byEvent].sort(([a], [b]) => (a < b ? -1 : 1))),
      planted: tally.planted,
      identity: tally.identity.implied(),
      truths: segmentTruths(tally.seen, tally.deep),
    }),
  };
}
