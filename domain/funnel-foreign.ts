// Behaviours that were judged elsewhere come into a buyer's funnels, and leave them again.
import type { Buyer, BuyerFunnel, RememberedBehaviour } from './buyer.ts';
import type { Effect } from './effect.ts';
import { advance, emptyProgress, risesOf } from './funnel.ts';
import { addLevel } from './funnel-levels.ts';
import { countReached, countSteps, remember } from './funnel-progress.ts';
import { instantEnd, PAST_EPOCH, progressIn, since } from './funnel-slice.ts';
import type { MergeBase } from './identity-record.ts';
import type { Definitions, FunnelInForce } from './in-force.ts';
import { unsettledFrom } from './time-floors.ts';

/**
 * Puts in behaviours that were judged elsewhere, whatever their time. What falls before what is settled has all funnels
 * computed anew from what is held.
 */
export function insertForeign(
  state: Buyer,
  foreign: readonly RememberedBehaviour[],
  nowMs: number,
  definitions: Definitions,
  effects: Effect[],
): void {
  const settledThroughMs = state.behaviours[state.settledCount - 1]?.timeMs ?? 0;
  const unsettledFromMs = Math.max(unsettledFrom(definitions, nowMs), settledThroughMs + 1);
  const behaviours = [...state.behaviours, ...foreign].sort((a, b) => a.timeMs - b.timeMs);
  state.behaviours = behaviours;
  const unsettled = behaviours.findIndex(({ timeMs }) => timeMs >= unsettledFromMs);
  state.settledCount = unsettled === -1 ? behaviours.length : unsettled;
  recomputeFunnels(state, definitions, effects);
}

/** One behaviour more that was judged elsewhere: at its place in time, or, if that is settled, with all funnels computed anew. */
export function reachForeign(
  state: Buyer,
  remembered: RememberedBehaviour,
  nowMs: number,
  definitions: Definitions,
  effects: Effect[],
): void {
  if (isSettled(state, remembered.timeMs, nowMs, definitions)) {
    insertForeign(state, [remembered], nowMs, definitions, effects);
    return;
  }
  reach(state, remembered, definitions, effects);
}

/** One behaviour more of the buyer's own: one that a cap settled before its time is remembered without being seen. */
export function reach(
  state: Buyer,
  remembered: RememberedBehaviour,
  definitions: Definitions,
  effects: Effect[],
): void {
  remember(state, remembered);
  countReached(state, remembered.behaviour, remembered.timeMs, definitions, effects);
}

/** What came at the instant that a cap had settled last belongs to it once funnels are computed anew. */
function settleWholeInstant(state: Buyer): void {
  const { behaviours, settledCount } = state;
  if (settledCount > 0) state.settledCount = instantEnd(behaviours, settledCount - 1, behaviours.length);
}

function isSettled(state: Buyer, timeMs: number, nowMs: number, definitions: Definitions): boolean {
  const settledThroughMs = state.behaviours[state.settledCount - 1]?.timeMs ?? 0;
  return timeMs <= settledThroughMs || timeMs < unsettledFrom(definitions, nowMs);
}

/** Computes every funnel in force from the behaviours that are held; new steps count at the event time that reached them. */
export function recomputeFunnels(state: Buyer, definitions: Definitions, effects: Effect[]): void {
  settleWholeInstant(state);
  for (const funnel of definitions.funnels) recompute(state, progressIn(state, funnel), funnel, effects);
}

/** Whether the funnel sees everything that the buyer ever did: then what is computed from it is all there is to say. */
export function isWhole({ totals, behaviours }: Buyer, { backfilled }: BuyerFunnel): boolean {
  if (totals.reduce((sum, { count }) => sum + count, 0) !== behaviours.length) return false;
  return backfilled || behaviours.every(({ epoch }) => epoch !== PAST_EPOCH);
}

function forgetLevels(state: Buyer, own: BuyerFunnel): void {
  own.reached = [];
  // Who never had parts and is computed anew is a company: nothing is counted for it, its level stands in `counted`.
  if (state.nextPart === 1) own.counted = 0;
}

/** How many behaviours are settled with the whole of their instant: a cap may have settled a part of the last one. */
function wholeInstants({ behaviours, settledCount }: Buyer, until: number): number {
  if (until === settledCount) return settledCount;
  const nextMs = behaviours[settledCount]!.timeMs;
  let count = settledCount;
  while (count > 0 && behaviours[count - 1]!.timeMs === nextMs) count -= 1;
  return count;
}

/** One funnel, as `recomputeFunnels`. */
export function recompute(state: Buyer, own: BuyerFunnel, funnel: FunnelInForce, effects: Effect[]): void {
  const { behaviours, settledCount } = state;
  const rule = funnel.document;
  const until = funnel.strict ? settledCount : behaviours.length;
  if (isWhole(state, own)) forgetLevels(state, own);
  const settled = since(state, own, funnel, 0, wholeInstants(state, until));
  own.settled = advance(rule, emptyProgress(rule), settled.behaviours, settled.from, settled.to);
  const seen = since(state, own, funnel, 0, until);
  let at = 0;
  for (const { level, timeMs } of risesOf(rule, seen.behaviours, seen.from, seen.to)) {
    while (behaviours[at]!.timeMs !== timeMs) at += 1;
    countSteps(state, own, funnel, level, timeMs, instantEnd(behaviours, at, until), effects);
  }
}

/** What was counted for a visitor is counted for its user. */
export function takeCounted(
  state: Buyer,
  counted: MergeBase['counted'],
  part: number,
  definitions: Definitions,
): void {
  for (const { funnel: id, revision, level: reached } of counted) {
    const funnel = definitions.funnels.find((each) => each.id === id && each.revision === revision);
    if (funnel === undefined || reached === 0) continue;
    const own = progressIn(state, funnel);
    own.counted = Math.max(own.counted, reached);
    addLevel(own, { level: reached, parts: [part] });
  }
}
