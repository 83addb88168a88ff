// A buyer's way through the funnels in force: settled behaviours are in each funnel's automaton, the unsettled tail is
// computed anew. `default` steps count when they are reached, strict ones when nothing in time can change them.
import { type Buyer, type BuyerFunnel, cellOf, type RememberedBehaviour, segmentOf } from './buyer.ts';
import type { Effect } from './effect.ts';
import { advance, type FunnelProgress, level, levelAfter } from './funnel.ts';
import { noteLevel } from './funnel-levels.ts';
import { awaitsPast, instantEnd, knownProgressIn, progressIn, since, walk } from './funnel-slice.ts';
import type { Definitions, FunnelInForce } from './in-force.ts';
import { unsettledFrom } from './time-floors.ts';

/** How it stands in a funnel for who has not settled anything in it. */
const notBegun: Pick<BuyerFunnel, 'counted' | 'settled' | 'backfilled'> = {
  counted: 0,
  settled: [],
  backfilled: false,
};

/** Counts the steps up to `reached`, which the first `until` behaviours have reached, unless they were counted before. */
export function countSteps(
  state: Buyer,
  own: BuyerFunnel,
  funnel: FunnelInForce,
  reached: number,
  timeMs: number,
  until: number,
  effects: Effect[],
): void {
  if (state.nextPart > 1) noteLevel(state, own, funnel, reached, until);
  if (reached <= own.counted) return;
  const cell = cellOf(segmentOf(state));
  const { series, revision } = funnel;
  const { nextPart } = state;
  const awaits = awaitsPast(state, own, funnel);
  for (let column = own.counted; column < reached; column += 1) {
    effects.push({ kind: 'count', series, revision, timeMs, cell, column, amount: 1 });
    if (awaits) own.early = [...own.early, { column, timeMs, cell, nextPart }];
  }
  own.counted = reached;
}

/** Puts a behaviour at its place in time, behind those of the same instant. */
export function remember(state: Buyer, remembered: RememberedBehaviour): void {
  const { behaviours } = state;
  const { timeMs } = remembered;
  let index = behaviours.length;
  while (index > 0 && behaviours[index - 1]!.timeMs > timeMs) index -= 1;
  behaviours.splice(index, 0, remembered);
  // Only a cap that settled early lets a record in time arrive before what is settled.
  if (index < state.settledCount) state.settledCount += 1;
}

/**
 * Whether the behaviour just remembered is later than all others. Then it takes a funnel to one of its own steps or to none,
 * and what was reached before is counted: if that is as much, nothing has to be computed.
 */
function isLastInstant({ behaviours }: Buyer, timeMs: number): boolean {
  const before = behaviours[behaviours.length - 2];
  return behaviours.at(-1)!.timeMs === timeMs && (before === undefined || before.timeMs < timeMs);
}

/** Counts the steps of `default` funnels that the behaviour just remembered has reached. */
export function countReached(
  state: Buyer,
  behaviour: string,
  timeMs: number,
  definitions: Definitions,
  effects: Effect[],
): void {
  const funnels = definitions.funnelsByBehaviour.get(behaviour);
  if (funnels === undefined) return;
  const isLast = isLastInstant(state, timeMs);
  for (const { funnel, highestStep } of funnels) {
    const own = progressIn(state, funnel);
    if (isLast && highestStep <= own.counted && state.nextPart === 1) continue;
    const tail = since(state, own, funnel, state.settledCount, state.behaviours.length);
    const reached = levelAfter(funnel.document, own.settled, tail.behaviours, tail.from, tail.to);
    countSteps(state, own, funnel, reached, timeMs, state.behaviours.length, effects);
  }
}

/** Moves what no record in time can come before into the automata, strict funnels instant by instant, as they count there. */
export function settle(state: Buyer, nowMs: number, definitions: Definitions, effects: Effect[]): void {
  const beforeMs = unsettledFrom(definitions, nowMs);
  let to = state.settledCount;
  while (to < state.behaviours.length && state.behaviours[to]!.timeMs < beforeMs) to += 1;
  settleTo(state, to, definitions, effects);
}

function settleTo(state: Buyer, to: number, definitions: Definitions, effects: Effect[]): void {
  const from = state.settledCount;
  if (to === from) return;
  if (to === from + 1 && state.funnels.length === definitions.funnels.length) {
    settleOne(state, definitions, effects);
  } else {
    for (const funnel of definitions.funnels) {
      const own = progressIn(state, funnel);
      if (funnel.strict) settleStrict(state, own, funnel, to, effects);
      else own.settled = advanceOver(state, own, funnel, from, to);
    }
    // Those in force all stand there now. What was withdrawn is never gone back to: put again it has a revision of its own.
    if (state.funnels.length > definitions.funnels.length) forgetWithdrawn(state, definitions);
  }
  state.settledCount = to;
}

function forgetWithdrawn(state: Buyer, { funnels }: Definitions): void {
  const inForce = new Set(funnels.map(({ id }) => id));
  state.funnels = state.funnels.filter(({ id }) => inForce.has(id));
}

/** One behaviour settles, as it mostly does: `default` funnels that it is no step of stay as they are. */
function settleOne(state: Buyer, definitions: Definitions, effects: Effect[]): void {
  const from = state.settledCount;
  const reachable = definitions.funnelsByBehaviour.get(state.behaviours[from]!.behaviour);
  for (const { funnel } of reachable ?? []) {
    const own = progressIn(state, funnel);
    own.settled = advanceOver(state, own, funnel, from, from + 1);
  }
  for (const funnel of definitions.strictFunnels) {
    settleStrict(state, progressIn(state, funnel), funnel, from + 1, effects);
  }
}

function advanceOver(
  state: Buyer,
  own: BuyerFunnel,
  funnel: FunnelInForce,
  from: number,
  to: number,
): FunnelProgress {
  const part = since(state, own, funnel, from, to);
  return advance(funnel.document, own.settled, part.behaviours, part.from, part.to);
}

function settleStrict(
  state: Buyer,
  own: BuyerFunnel,
  funnel: FunnelInForce,
  to: number,
  effects: Effect[],
): void {
  let from = state.settledCount;
  while (from < to) {
    const { timeMs } = state.behaviours[from]!;
    const end = instantEnd(state.behaviours, from, to);
    own.settled = advanceOver(state, own, funnel, from, end);
    countSteps(state, own, funnel, level(own.settled), timeMs, end, effects);
    from = end;
  }
}

/** Drops what no open window reaches, and the oldest above the cap (settled early: said by `overflow`). */
export function trimBehaviours(
  state: Buyer,
  nowMs: number,
  definitions: Definitions,
  effects: Effect[],
): void {
  const { behaviours } = state;
  const { latenessMs, maxBehavioursPerBuyer } = definitions.settings;
  const sinceMs = nowMs - definitions.longestWindowMs - latenessMs;
  // One that is settled always stays: it says up to when.
  while (behaviours.length - state.settledCount >= maxBehavioursPerBuyer) {
    settleFirstInstant(state, definitions, effects);
    state.overflow = true;
  }
  let drop = 0;
  while (drop < state.settledCount && behaviours[drop]!.timeMs < sinceMs) drop += 1;
  if (behaviours.length - drop > maxBehavioursPerBuyer) {
    drop = behaviours.length - maxBehavioursPerBuyer;
    state.overflow = true;
  }
  if (drop === 0) return;
  behaviours.splice(0, drop);
  state.settledCount -= drop;
}

function settleFirstInstant(state: Buyer, definitions: Definitions, effects: Effect[]): void {
  const to = instantEnd(state.behaviours, state.settledCount, state.behaviours.length);
  settleTo(state, to, definitions, effects);
}

/**
 * When the first unsettled behaviour settles that a strict funnel counts a step for, as far as is known now; 0 if none does.
 * What settles without counting anything can wait for the buyer's next record: most buyers wait for nothing most of the time.
 */
export function strictDueMs(state: Buyer, definitions: Definitions): number {
  if (state.settledCount === state.behaviours.length) return 0;
  let earliestMs = 0;
  for (const funnel of definitions.strictFunnels) {
    const reachedMs = nextStepMs(state, funnel);
    if (reachedMs !== 0 && (earliestMs === 0 || reachedMs < earliestMs)) earliestMs = reachedMs;
  }
  return earliestMs === 0 ? 0 : earliestMs + definitions.settings.latenessMs + 1;
}

/** The time of the unsettled behaviour that lifts the buyer above what is counted in this funnel; 0 if none does. */
function nextStepMs(state: Buyer, funnel: FunnelInForce): number {
  const own = knownProgressIn(state, funnel) ?? notBegun;
  // Whose levels have parts is looked at whenever something settles: what a level needs may change without a step.
  if (state.nextPart > 1) return own.settled.length === 1 ? 0 : state.behaviours[state.settledCount]!.timeMs;
  const tail = since(state, own, funnel, state.settledCount, state.behaviours.length);
  if (levelAfter(funnel.document, own.settled, tail.behaviours, tail.from, tail.to) <= own.counted) return 0;
  let reachedMs = 0;
  walk(funnel.document, own.settled, tail, (progress, timeMs) => {
    if (reachedMs === 0 && level(progress) > own.counted) reachedMs = timeMs;
  });
  return reachedMs;
}
