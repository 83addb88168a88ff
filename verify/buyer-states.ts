// Every buyer's state in Redis, field by field, against what the log makes of that buyer.
import type { Buyer, Stamped } from '../domain/buyer.ts';
import type { Said } from './attributes.ts';
import { idHash } from './id-hash.ts';
import { compareIdentity, compareStanding, heldAs } from './identity/compare-states.ts';
import { settledBefore } from './in-force.ts';
import { idsKeptFrom } from './judge.ts';
import type { Person } from './person.ts';
import type { EventsScope, Scope } from './scope.ts';
import { type Levels, levelName } from './scratch.ts';

const DAY_MS = 86_400_000;

export function compareBuyers(scope: Scope, levels: Levels): void {
  const { comparison } = scope;
  comparison.expectKind(
    'buyers',
    'levels',
    'stages',
    'open opportunities',
    'engagement sums',
    'exposed',
    'timers',
    'links',
    'parts',
    'linked levels',
  );
  for (const events of scope.events) {
    const { stored, people, walk } = events;
    for (const [key, person] of people.people) {
      const state = stored.buyers.get(key);
      if (person.isKnown && state === undefined) {
        comparison.counted('buyers');
        comparison.differ('buyers', `buyer ${key}`, 'a state', 'missing');
      }
      if (state !== undefined) compareBuyer(scope, events, person, state, levels);
    }
    for (const key of stored.buyers.keys()) {
      if (!people.people.has(key)) comparison.differ('buyers', `buyer ${key}`, 'no such buyer', 'a state');
    }
    for (const key of stored.timers.keys()) {
      if (!stored.buyers.has(key)) {
        comparison.differ('timers', `events ${walk.partition} timer ${key}`, 'no such buyer', 'a timer');
      }
    }
  }
}

function compareBuyer(scope: Scope, events: EventsScope, person: Person, state: Buyer, levels: Levels): void {
  const { comparison } = scope;
  const { life } = person;
  const where = `buyer ${person.key}`;
  comparison.fields(
    'buyers',
    where,
    {
      firstMs: life.firstMs,
      lastMs: life.lastMs,
      country: saidOf(life.known.country),
      industry: saidOf(life.known.industry),
      channel: saidOf(life.known.channel),
      level: saidOf(life.known.level),
      company: saidOf(life.known.company),
      totals: [...life.totals].sort(byName).map(([behaviour, count]) => ({ behaviour, count })),
      ids: 'as applied',
      visitDays: 'as counted',
      behaviours: 'as applied',
    },
    {
      ...state,
      country: saidOf(state.country),
      industry: saidOf(state.industry),
      channel: saidOf(state.channel),
      level: saidOf(state.level),
      company: saidOf(state.company),
      ids: idsOf(person, state, events),
      visitDays: visitsOf(person, state, events),
      behaviours: behavioursOf(person, state, events),
    },
  );
  const { stage, stageSinceMs, maturedMs } = life;
  comparison.fields('stages', where, { stage, stageSinceMs, maturedMs }, { ...state });
  if (person.linked === undefined) compareLevels(scope, events, person, state, levels);
  else compareStanding(scope, person.key, person.linked, state);
  compareOpportunities(scope, person, state);
  if (life.lastMs > 0) compareEngagement(scope, events, person, state);
  compareExposed(scope, person, state);
  compareTimer(scope, events, person, state);
  compareIdentity(scope, events, person, state);
}

function behavioursOf(person: Person, state: Buyer, events: EventsScope): string {
  const exactly = person.linked ?? person.withPasts;
  return exactly === undefined ? tailOf(person, state, events) : heldAs(exactly, state);
}

export function saidOf(said: Said | Stamped | null): string | null {
  return said === null ? null : `${said.value} at ${said.timeMs} by ${said.messageId}`;
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}

/** Ids are kept as (hash, event time) in order of arrival: at least those that may still be asked for. */
function idsOf({ judged }: Person, { ids }: Buyer, { walk }: EventsScope): string {
  const { settings, letGo } = walk.history.at(Number.MAX_SAFE_INTEGER);
  const rememberedMs = Math.max(walk.watermarkMs - settings.idMemoryMs, letGo.idsMs);
  const appliedOnes = judged.filter(({ verdict }) => verdict === 'applied');
  const applied = appliedOnes.map(({ record }) => record);
  const times = applied.map(({ timestamp }) => timestamp);
  const kept = ids.filter((_, index) => index % 2 === 1);
  const latest = applied.slice(applied.length - kept.length);
  if (kept.join() !== latest.map(({ timestamp }) => timestamp).join())
    return `of other times: ${kept.join()}`;
  const others = latest.filter(({ messageId }, index) => ids[2 * index] !== idHash(messageId));
  if (others.length > 0) return `of other ids than ${others.map(({ messageId }) => messageId).join()}`;
  const keptFrom = appliedOnes.reduce((from, { epoch }, index) => idsKeptFrom(from, index + 1, epoch), 0);
  const oldestNeeded = times.findIndex((timeMs, place) => place >= keptFrom && timeMs >= rememberedMs);
  const needed = oldestNeeded === -1 ? 0 : times.length - oldestNeeded;
  return kept.length >= needed ? 'as applied' : `${kept.length} kept, ${needed} needed`;
}

/** Days that no record in time can name are forgotten; the others are there. */
function visitsOf({ visitDays }: Person, state: Buyer, { walk }: EventsScope): string {
  const last = walk.history.at(Number.MAX_SAFE_INTEGER);
  const oldest = Math.floor(settledBefore(last, walk.watermarkMs) / DAY_MS);
  const needed = [...visitDays].filter((day) => day >= oldest && !state.visitDays.includes(day));
  const surplus = state.visitDays.filter((day) => !visitDays.has(day));
  return needed.length + surplus.length === 0
    ? 'as counted'
    : `lacks ${needed.join()}, has ${surplus.join()}`;
}

/** The latest behaviours by event time, ties in order of arrival: at least all that may still settle. */
function tailOf({ behaved, settledEarly }: Person, { behaviours }: Buyer, { walk }: EventsScope): string {
  const unsettledMs = settledBefore(walk.history.at(Number.MAX_SAFE_INTEGER), walk.watermarkMs);
  const name = ({ timeMs, behaviour }: { timeMs: number; behaviour: string }): string =>
    `${timeMs} ${behaviour}`;
  const sorted = [...behaved].sort((a, b) => a.timeMs - b.timeMs).map(name);
  const kept = behaviours.map(name);
  const isTail = kept.join() === sorted.slice(sorted.length - kept.length).join();
  if (!isTail) return `others: ${kept.join()}`;
  const waiting = behaved.filter(({ timeMs }) => timeMs >= unsettledMs).length;
  if (kept.length >= waiting || settledEarly.size > 0) return 'as applied';
  return `${kept.length} kept, ${waiting} may still settle`;
}

/** The steps counted are ClickHouse's own level; so is the level that the oracle found while it looked for the times. */
function compareLevels(
  { comparison }: Scope,
  { walk }: EventsScope,
  person: Person,
  state: Buyer,
  levels: Levels,
): void {
  for (const { id, revision, counted, hasPast } of person.funnels) {
    const level = hasPast === true ? counted : (levels.get(levelName(walk.partition, id, person.key)) ?? 0);
    const kept = state.funnels.find((each) => each.id === id && each.revision === revision)?.counted ?? 0;
    const where = `buyer ${person.key} funnel ${id} revision ${revision}`;
    comparison.fields(
      'levels',
      where,
      { windowFunnel: level, counted: level },
      { windowFunnel: counted, counted: kept },
    );
  }
}

function compareOpportunities({ comparison }: Scope, { key, life }: Person, state: Buyer): void {
  const open = new Map(state.opportunities.map((opportunity) => [opportunity.id, opportunity]));
  for (const { id, ...opportunity } of life.opportunities) {
    const actual = open.get(id);
    comparison.fields(
      'open opportunities',
      `buyer ${key} opportunity ${id}`,
      opportunity,
      actual && { ...actual },
    );
    open.delete(id);
  }
  for (const [id, opportunity] of open) {
    comparison.differ('open opportunities', `buyer ${key} opportunity ${id}`, 'not open', opportunity);
  }
}

/** Sums are compared as they stand at the watermark, each within a relative 1e-9. */
function compareEngagement({ comparison }: Scope, { walk }: EventsScope, person: Person, state: Buyer): void {
  const kept = new Map(state.engagement.map((sums) => [sums.halfLifeMs, sums]));
  for (const { halfLifeMs, sums } of person.engagement) {
    const actual = kept.get(halfLifeMs);
    kept.delete(halfLifeMs);
    const names = new Set([...sums.keys(), ...(actual?.sums.map(({ behaviour }) => behaviour) ?? [])]);
    for (const behaviour of names) {
      const sum = actual?.sums.find((each) => each.behaviour === behaviour)?.sum ?? Number.NaN;
      const decayed = sum * 2 ** (((actual?.referenceMs ?? 0) - walk.watermarkMs) / halfLifeMs);
      const where = `buyer ${person.key} half-life ${halfLifeMs} ${behaviour}`;
      comparison.near('engagement sums', where, sums.get(behaviour) ?? 0, decayed);
    }
  }
  for (const halfLifeMs of kept.keys()) {
    comparison.differ(
      'engagement sums',
      `buyer ${person.key} half-life ${halfLifeMs}`,
      'not in force',
      'sums',
    );
  }
}

function compareExposed({ comparison }: Scope, { key, exposures }: Person, state: Buyer): void {
  const kept = new Map(state.exposures.map((exposed) => [exposed.experiment, exposed]));
  for (const [experiment, { variant, timeMs, messageId }] of exposures) {
    const where = `buyer ${key} experiment ${experiment}`;
    const actual = kept.get(experiment);
    comparison.fields('exposed', where, { variant, timeMs, messageId }, actual && { ...actual });
    kept.delete(experiment);
  }
  for (const [experiment, exposed] of kept) {
    comparison.differ('exposed', `buyer ${key} experiment ${experiment}`, 'none', exposed);
  }
}

/** A definition that brings forward what waits has every timer set again, before the next record. */
const LOOK_AGAIN_MS = 1;

function endsWithDefinition({ steps, gone }: EventsScope['walk']): boolean {
  return steps[gone - 1]?.inForce === true;
}

/** A timer may go off early and set itself again; it must not be later than what waits for it. */
function compareTimer(
  { comparison }: Scope,
  { walk, stored }: EventsScope,
  person: Person,
  state: Buyer,
): void {
  const { key, dueMs } = person;
  const setMs = stored.timers.get(key);
  const where = `events ${walk.partition} timer ${key}`;
  if (dueMs !== undefined || setMs !== undefined || state.timerMs !== 0) comparison.counted('timers');
  if (dueMs !== undefined && (setMs === undefined || setMs > dueMs)) {
    comparison.differ('timers', where, `at or before ${dueMs}`, setMs ?? 'none');
  } else if ((setMs ?? 0) !== state.timerMs && !(setMs === LOOK_AGAIN_MS && endsWithDefinition(walk))) {
    comparison.differ('timers', where, `as in the state: ${state.timerMs}`, setMs ?? 'none');
  }
}
