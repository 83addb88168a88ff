// A small world in which everything happens that has to do with who somebody is, more often than in any real one.
import { type Produced, toPartition } from '../../stream/support/engine.ts';
import { definitionValue } from '../../stream/support/partition.ts';
import type { RecordedEngine } from './engine-scope.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const START_MS = Date.UTC(2024, 3, 1, 9);
export const APPEND_MS = START_MS + 500 * DAY_MS;
const LATENESS_MS = 10 * MINUTE_MS;

const NAMES = ['visit', 'view', 'contact', 'inquiry', 'order', 'fulfil', 'unmapped'];
const USERS = 5;
const VISITORS = 8;
export const ROUNDS = 12;

type Random = () => number;
const pick = <Value>(random: Random, values: readonly Value[]): Value =>
  values[Math.floor(random() * values.length)]!;
const between = (random: Random, from: number, to: number): number =>
  from + Math.floor(random() * (to - from));

const everywhere = (value: string): Produced[] =>
  Array.from({ length: 12 }, (_, partition) => ({ partition, value }));

function funnel(id: string, revision: number, steps: string[], windowMs: number, mode: string): string {
  return definitionValue('funnel', id, revision, { name: id, steps, windowMs, mode });
}

function withdrawn(id: string, revision: number): string {
  return JSON.stringify({ ...JSON.parse(definitionValue('funnel', id, revision, {})), document: null });
}

const score = (revision: number, halfLifeMs: number): string =>
  definitionValue('score', 'one', revision, {
    name: 'one',
    horizonMs: HOUR_MS,
    halfLifeMs,
    intercept: 0,
    engagement: { view: 1 },
  });

/** What an opportunity is about, and what it is worth by whom it comes from: known or not. */
const subjectAndWeights = {
  subject: ['category'],
  country: { DE: 0.1, ZZ: 0.05 },
  level: { unknown: 0.02 },
};

/** Limits that are met, of different sizes in different worlds. */
export function definitionsOf(random: Random): Produced[] {
  const settings = {
    latenessMs: LATENESS_MS,
    mergeChunkBehaviours: between(random, 1, 6),
    maxBehavioursPerBuyer: random() < 0.3 ? 10 : 1_000,
    maxOpportunitiesPerBuyer: random() < 0.5 ? 2 : 50,
    maxLinksPerBuyer: between(random, 1, 5),
    linkMemoryMs: random() < 0.5 ? 6 * HOUR_MS : 90 * DAY_MS,
    linkExpiryMs: random() < 0.5 ? 8 * HOUR_MS : 400 * DAY_MS,
    hourRetentionMs: random() < 0.5 ? HOUR_MS : 25 * HOUR_MS,
    dayRetentionMs: random() < 0.5 ? HOUR_MS : 2 * DAY_MS,
    maxCellsPerWindow: random() < 0.5 ? between(random, 1, 4) : 1_000,
  };
  return [
    definitionValue('settings', 'default', 1, settings),
    definitionValue('behaviours', 'default', 1, {
      rules: NAMES.filter((name) => name !== 'unmapped').map((event) => ({
        kind: 'track',
        event,
        behaviour: event,
      })),
    }),
    definitionValue('lifecycle', 'default', 1, {
      matureCount: 2,
      retainedAfterMs: 2 * HOUR_MS,
      churnedAfterMs: 5 * HOUR_MS,
    }),
    definitionValue('opportunity', 'default', 1, {
      ...subjectAndWeights,
      closeAfterMs: 9 * HOUR_MS,
      qualifiedAt: 0.4,
    }),
    score(1, 3 * HOUR_MS),
    funnel('reach', 1, ['view', 'contact', 'order'], 3 * HOUR_MS, 'default'),
    funnel('order', 1, ['view', 'inquiry'], HOUR_MS, 'strict_order'),
    funnel('rise', 1, ['visit', 'view', 'order'], 2 * HOUR_MS, 'strict_increase'),
  ].flatMap(everywhere);
}

/** Memories and waits that get longer and shorter while the world goes on. */
export function changesOfWaits(random: Random): (round: number) => readonly Produced[] {
  let revision = 1;
  return () => {
    if (random() < 0.5) return [];
    revision += 2;
    const hours = (): number => pick(random, [1, 5, 20]) * HOUR_MS;
    const waits = { matureCount: 2, retainedAfterMs: 2 * HOUR_MS, churnedAfterMs: hours() };
    const closes = { ...subjectAndWeights, closeAfterMs: hours(), qualifiedAt: 0.4 };
    const latenessMs = pick(random, [1, 10, 40, 90]) * MINUTE_MS;
    const settings = {
      latenessMs,
      idMemoryMs: latenessMs + pick(random, [1, 60, 1_440]) * MINUTE_MS,
      maxBehavioursPerBuyer: 1_000,
      maxIdsPerBuyer: pick(random, [10, 20, 5_000]),
      maxOpportunitiesPerBuyer: pick(random, [1, 2, 50]),
      hourRetentionMs: pick(random, [0, 1, 25]) * HOUR_MS,
      dayRetentionMs: pick(random, [0, 1, 48]) * HOUR_MS,
      maxCellsPerWindow: pick(random, [1, 3, 1_000]),
    };
    return [
      ...(random() < 0.7 ? [definitionValue('settings', 'default', revision, settings)] : []),
      ...(random() < 0.7 ? [definitionValue('lifecycle', 'default', revision, waits)] : []),
      ...(random() < 0.7 ? [definitionValue('opportunity', 'default', revision, closes)] : []),
      // What settles because of the definitions before it settles in the funnel that it takes the place of.
      // Withdrawn, and put again, or at once.
      ...(random() < 0.4 ? [withdrawn('reach', revision)] : []),
      ...(random() < 0.3
        ? [funnel('reach', revision + 1, ['view', 'contact', 'order'], hours(), 'default')]
        : []),
      ...(random() < 0.5 ? [funnel('order', revision, ['view', 'inquiry'], hours(), 'strict_order')] : []),
    ].flatMap(everywhere);
  };
}

const who = (key: string) =>
  key.startsWith('u:') ? { userId: key.slice(2) } : { anonymousId: key.slice(2) };

const users = Array.from({ length: USERS }, (_, number) => `u:user-${number}`);
const visitors = Array.from({ length: VISITORS }, (_, number) => `a:visitor-${number}`);

interface Now {
  readonly random: Random;
  readonly timeMs: number;
  /** Counts messages. */
  readonly next: () => number;
  /** Who said who it is, so far. */
  readonly said: Produced[];
}

function message({ random, timeMs, next }: Now, key: string, body: object): Produced {
  // Some are late, some are said again.
  const ago = random() < 0.1 ? 3 * LATENESS_MS : random() * LATENESS_MS;
  const timestamp = Math.floor(timeMs - ago);
  const number = random() < 0.05 ? Math.max(0, next() - 3) : next();
  const common = { messageId: `m-${number}`, timestamp, receivedAt: timestamp, supplied: true };
  return toPartition(key, { ...common, ...who(key), ...body });
}

function behaviour(now: Now): Produced {
  const { random } = now;
  const key = random() < 0.35 ? pick(random, users) : pick(random, visitors);
  const properties = {
    category: pick(random, ['c1', 'c2', 'c3']),
    ...(random() < 0.5 ? { country: pick(random, ['DE', 'FR', 'US']) } : {}),
    ...(random() < 0.3 ? { channel: pick(random, ['ads', 'mail']) } : {}),
    messageLength: between(random, 0, 500),
  };
  return message(now, key, { kind: 'track', event: pick(random, NAMES), properties });
}

/** Somebody says who it is, or what somebody said is sent again. */
function saysWho(now: Now): Produced {
  const { random, said } = now;
  if (said.length > 0 && random() < 0.15) return pick(random, said);
  said.push(newWho(now));
  return said.at(-1)!;
}

function newWho(now: Now): Produced {
  const { random } = now;
  const user = pick(random, users);
  const visitor = pick(random, visitors).slice(2);
  if (random() < 0.7) return message(now, user, { kind: 'identify', anonymousId: visitor });
  return message(now, user, {
    kind: 'alias',
    ...(random() < 0.5 ? { previousId: visitor } : { anonymousId: visitor }),
  });
}

function joinsGroup(now: Now): Produced {
  const { random } = now;
  const key = pick(random, random() < 0.5 ? users : visitors);
  const traits = { country: pick(random, ['DE', 'BR']), industry: pick(random, ['toys', 'steel']) };
  return message(now, key, { kind: 'group', groupId: pick(random, ['acme', 'globex']), traits });
}

function exposure(now: Now): Produced {
  const { random, timeMs, next } = now;
  const key = pick(random, random() < 0.5 ? users : visitors);
  return toPartition(key, {
    kind: 'exposure',
    messageId: `e-${next()}`,
    key,
    experiment: pick(random, ['form', 'price']),
    revision: 1,
    variant: pick(random, ['a', 'b']),
    reason: 'SPLIT',
    timestamp: Math.floor(timeMs - random() * HOUR_MS),
  });
}

/** Somebody takes a link back: one in force, one of the past, or one that never was. */
function takesBack(engine: RecordedEngine, { random, timeMs, next }: Now): Produced {
  const key = pick(random, visitors);
  const links = engine.of(key).buyer(key)?.links;
  const ids = [links?.current?.id, ...(links?.past ?? []).map(({ id }) => id), '0-0-nobody'];
  const link = pick(
    random,
    ids.filter((id) => id !== undefined),
  );
  return takenBack({ timeMs, next }, key, link);
}

function takenBack({ timeMs, next }: Pick<Now, 'timeMs' | 'next'>, key: string, link: string): Produced {
  const said = { by: 'ana', why: 'not the same', timestamp: timeMs };
  return toPartition(key, { kind: 'revoke', messageId: `r-${next()}`, key, link, ...said });
}

/** Somebody takes back what gave a visitor's history away and what is in force, and one whose link stands signs in again. */
function setsRight(engine: RecordedEngine, now: Now): Produced[] {
  const { random } = now;
  const key = pick(random, visitors);
  const links = engine.of(key).buyer(key)?.links;
  const stands = links?.past.find(({ id, how }) => how === 'superseded' && id !== links.history);
  if (links?.current == null || stands === undefined) return [];
  const wrong = [...new Set([links.history, links.current.id])].filter((link) => link !== '');
  const again = message(now, stands.user, { kind: 'identify', anonymousId: key.slice(2) });
  return [...wrong.map((link) => takenBack(now, key, link)), again];
}

function anything(engine: RecordedEngine, now: Now): Produced {
  const chance = now.random();
  if (chance < 0.72) return behaviour(now);
  if (chance < 0.84) return saysWho(now);
  if (chance < 0.88) return joinsGroup(now);
  if (chance < 0.94) return exposure(now);
  return takesBack(engine, now);
}

/**
 * Round by round, what is sent under way all the time; between rounds time passes, and once definitions change.
 * @param besides what else comes in a round
 */
export function liveThrough(
  engine: RecordedEngine,
  random: Random,
  besides: (round: number) => readonly Produced[] = () => [],
): void {
  let timeMs = START_MS;
  let messages = 0;
  // Where much happens at once, caps settle behaviours early.
  const pauseMs = random() < 0.4 ? 20_000 : 5 * MINUTE_MS;
  const next = (): number => messages++;
  const said: Produced[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const records: Produced[] = [...besides(round)];
    const now = (): Now => ({ random, timeMs, next, said });
    for (let count = between(random, 5, 60); count > 0; count -= 1) {
      timeMs += between(random, 0, pauseMs);
      if (random() < 0.05) records.push(...setsRight(engine, now()));
      records.push(anything(engine, now()));
    }
    engine.run(records);
    timeMs += between(random, 0, 6 * HOUR_MS);
    const clock = JSON.stringify({ kind: 'clock', time: timeMs, supplied: true });
    if (random() < 0.5) engine.run(everywhere(clock));
    if (round === ROUNDS / 2 && random() < 0.5) {
      engine.run(everywhere(funnel('reach', 2, ['view', 'order'], HOUR_MS, 'default')));
      engine.run(everywhere(score(2, HOUR_MS)));
    }
  }
}
