// A funnel's past comes to a buyer, once per revision: what would have been counted is, what was counted in its place is
// taken back, and the funnel goes on from there (docs/decisions/definitions.md, "A funnel's past").
import { type Buyer, type BuyerFunnel, type CountedStep, cellOf, newBuyer, segmentOf } from './buyer.ts';
import type { BuyerContext } from './buyer-context.ts';
import { ownOldParts } from './buyer-parts.ts';
import type { Effect } from './effect.ts';
import { type FunnelProgress, level as levelIn } from './funnel.ts';
import { isWhole, recompute } from './funnel-foreign.ts';
import { addLevel, noteLevel } from './funnel-levels.ts';
import { insertPast } from './funnel-past-behaviours.ts';
import { countedUntilMs, inTurn, inTurnAlone, type ReachedStep } from './funnel-past-reach.ts';
import { settle, trimBehaviours } from './funnel-progress.ts';
import { PAST_EPOCH, progressIn, walk } from './funnel-slice.ts';
import type { BackfillRecord, PastRecord } from './identity-record.ts';
import type { Definitions, FunnelInForce } from './in-force.ts';
import { effectsOf } from './visitor-link.ts';

/** A revision that is in force; one whose record an older version folded starts at its record for good. */
function funnelOf(
  { funnels }: Definitions,
  { funnel, revision }: { readonly funnel: string; readonly revision: number },
): FunnelInForce | undefined {
  return funnels.find(
    (each) => each.id === funnel && each.revision === revision && each.sinceMs !== undefined,
  );
}

/**
 * Folds a past in. A repeat, or one of a revision that is not in force, changes nothing. Caps and ages wait for the buyer's
 * next record, as they do of every buyer.
 */
export function backfillFunnel(
  before: Buyer | undefined,
  record: BackfillRecord,
  context: BuyerContext,
  effects: Effect[],
): Buyer | undefined {
  const { nowMs, definitions } = context;
  const funnel = funnelOf(definitions, record);
  if (funnel === undefined) return before;
  const state = before ?? newBuyer(record.key);
  const own = progressIn(state, funnel);
  if (own.backfilled) return state;
  const numbers = new Map(state.parts.map(({ link, number }) => [link, number]));
  ownOldParts(state, context);
  const heard = effectsOf(state, effects);
  settle(state, nowMs, definitions, heard);
  /** Undefined for a link that was taken back meanwhile: what came by it is not put in. */
  const partOf = (link: string): number | undefined => {
    const number = link === '' ? 0 : numbers.get(link);
    return number === undefined || state.parts.some((part) => part.number === number) ? number : 0;
  };
  const past = record.behaviours.flatMap(([timeMs, behaviour, link]) => {
    const part = partOf(link);
    return part === undefined ? [] : [{ timeMs, behaviour, epoch: PAST_EPOCH, part }];
  });
  const { isAmended } = insertPast(state, past, funnel, record.settledBeforeMs, context);
  own.backfilled = true;
  const isKnownWhole = state.nextPart > 1 && isWhole(state, own);
  if (isKnownWhole) own.reached = [];
  else if (state.nextPart > 1) takeLevels(own, funnel, record, partOf);
  const links = [
    ...record.behaviours.map(([, , link]) => link),
    ...record.levels.flatMap((each) => each.links),
  ];
  const isFromHeld = isAmended || isKnownWhole || links.some((link) => partOf(link) === undefined);
  const from = isFromHeld ? { ...record, settled: [], settledBeforeMs: 0 } : record;
  const aloud = goOn(state, own, funnel, from, definitions.settings.latenessMs, effects);
  handOn(state, aloud, record, context, effects);
  return state;
}

/** Of a strict funnel only levels with parts stand: the past may have ended it before what was counted since. */
function takeLevels(
  own: BuyerFunnel,
  { strict }: FunnelInForce,
  { levels }: BackfillRecord,
  partOf: (link: string) => number | undefined,
): void {
  if (strict) own.reached = own.reached.filter(({ parts }) => parts.length > 0);
  for (const { level: reached, links } of levels) {
    const parts = links.map(partOf);
    if (parts.includes(undefined)) continue;
    const named = [...new Set(parts as number[])].filter((part) => part !== 0).sort((a, b) => a - b);
    addLevel(own, { level: reached, parts: named });
  }
}

type From = Omit<BackfillRecord, 'kind' | 'key' | 'funnel' | 'revision' | 'levels' | 'behaviours' | 'merged'>;

/**
 * Counts the past, and then goes on from it over what is held.
 * @returns the level that is counted aloud: of a linked visitor, that of before its link
 */
function goOn(
  state: Buyer,
  own: BuyerFunnel,
  funnel: FunnelInForce,
  past: From,
  latenessMs: number,
  effects: Effect[],
): number {
  const { series, revision } = funnel;
  const push = ({ column, timeMs, cell }: Omit<CountedStep, 'nextPart'>, amount: number): void => {
    effects.push({ kind: 'count', series, revision, timeMs, cell, column, amount });
  };
  for (const [column, timeMs, cell] of past.counts) push({ column, timeMs, cell }, 1);
  const { early, counted } = own;
  const { nextPart } = state;
  const reached = inTurn(state, funnel, past, latenessMs, reach(state, own, funnel, past));
  const without = funnel.strict ? [] : inTurnAlone(state, funnel, past, latenessMs);
  const standing: CountedStep[] = [];
  const stand = (step: CountedStep): void => {
    const isOwn = reached[step.column]?.isBeforeMerges === true;
    standing.push(isOwn ? { ...step, nextPart: past.nextPart } : step);
  };
  for (const step of early) {
    const rightMs = rightTime(step, past, reached, without, funnel.strict);
    if (rightMs !== undefined) stand({ ...step, timeMs: rightMs });
    if (rightMs === step.timeMs) continue;
    push(step, -1);
    if (rightMs !== undefined) push({ ...step, timeMs: rightMs }, 1);
  }
  const isEarly = (column: number): boolean => early.some((step) => step.column === column);
  const untilMs = aloudUntilMs(state, funnel, past, latenessMs);
  const cell = cellOf(segmentOf(state));
  let aloud = Math.max(past.spoken, ...early.map(({ column }) => column + 1));
  reached.forEach(({ timeMs, isBeforeMerges }, column) => {
    // What a merge took as counted says nothing of what was reached before it.
    const isCounted = isBeforeMerges ? isEarly(column) : column < counted;
    if (column < past.level || isCounted || timeMs > untilMs) return;
    push({ column, timeMs, cell }, 1);
    stand({ column, timeMs, cell, nextPart });
    aloud = Math.max(aloud, column + 1);
  });
  const elsewhere = Array.from({ length: counted }, (_, column) => column + 1).filter(
    (step) => !funnel.strict || !isEarly(step - 1),
  );
  own.counted = Math.max(past.level, reached.length, ...elsewhere);
  // The past of what was merged since the record may come after this one.
  own.early = nextPart > past.nextPart ? standing : [];
  return aloud;
}

/** A visitor that was linked since the funnel's record counts what it reached (strict: what had settled) before. */
function aloudUntilMs(state: Buyer, { strict }: FunnelInForce, past: From, latenessMs: number): number {
  const link = state.links?.current;
  if (link == null) return Number.POSITIVE_INFINITY;
  if (past.link !== '') return 0;
  return countedUntilMs(strict, link.sinceMs, latenessMs);
}

/**
 * When a step that was counted since the funnel's record should have been: undefined if it was counted in the past, or (of a
 * strict funnel) is not reached at all. What was counted by a merge, but had been reached before it, belongs there. Of a `default` one only what the past makes earlier moves: else the order of arrival
 * may have made it later, as it does of every funnel.
 */
function rightTime(
  { column, timeMs, nextPart }: CountedStep,
  past: From,
  reached: readonly ReachedStep[],
  without: readonly ReachedStep[],
  strict: boolean,
): number | undefined {
  if (column < past.level) return undefined;
  const { timeMs: rightMs, isBeforeMerges = false } = reached[column] ?? {};
  if (strict || (isBeforeMerges && nextPart > past.nextPart)) return rightMs;
  const isEarlier =
    rightMs !== undefined &&
    rightMs < timeMs &&
    rightMs < (without[column]?.timeMs ?? Number.POSITIVE_INFINITY);
  return isEarlier ? rightMs : timeMs;
}

/** The event times at which each step (by number from 0; sparse below where it begins) is reached, from the past on. */
function reach(state: Buyer, own: BuyerFunnel, funnel: FunnelInForce, past: From): number[] {
  const { behaviours, settledCount } = state;
  const reachedMs: number[] = [];
  const start: FunnelProgress = past.settled;
  own.settled = start;
  let reached = Math.max(past.level, levelIn(start));
  const from = behaviours.findIndex(({ timeMs }) => timeMs >= past.settledBeforeMs);
  if (from === -1) return reachedMs;
  const until = funnel.strict ? settledCount : behaviours.length;
  walk(funnel.document, start, { behaviours, from, to: until }, (progress, timeMs, to) => {
    if (to <= settledCount) own.settled = progress;
    const now = levelIn(progress);
    if (state.nextPart > 1 && now > levelIn(start)) noteLevel(state, own, funnel, now, to);
    for (; reached < now; reached += 1) reachedMs[reached] = timeMs;
  });
  return reachedMs;
}

/** A visitor that was linked before its past came: its user has the history already, without this. */
function handOn(
  state: Buyer,
  level: number,
  record: BackfillRecord,
  { definitions }: BuyerContext,
  effects: Effect[],
): void {
  const link = state.links?.current;
  if (link == null || state.links!.history !== link.id) return;
  if (link.id === record.link && record.merged) return;
  const { funnel, revision } = record;
  // What no open window reached at the link would not have been handed over.
  const sinceMs = link.sinceMs - definitions.longestWindowMs - definitions.settings.latenessMs;
  const behaviours = record.behaviours
    .filter(([timeMs]) => timeMs >= sinceMs)
    .map(([timeMs, behaviour]): [number, string] => [timeMs, behaviour]);
  const past = { funnel, revision, level, behaviours };
  effects.push({
    kind: 'record',
    record: { kind: 'past', key: link.user, link: link.id, visitor: state.key, ...past },
  });
}

/** What was counted of a visitor's past is counted of its user; steps that were counted again since the merge are taken back. */
export function takePast(
  before: Buyer | undefined,
  record: PastRecord,
  context: BuyerContext,
  effects: Effect[],
): Buyer | undefined {
  const funnel = funnelOf(context.definitions, record);
  const part = before?.parts.find(({ link }) => link === record.link)?.number;
  if (before === undefined || funnel === undefined || part === undefined) return before;
  ownOldParts(before, context);
  settle(before, context.nowMs, context.definitions, effects);
  const own = progressIn(before, funnel);
  const { series, revision } = funnel;
  const isAgain = ({ column, nextPart }: CountedStep): boolean => column < record.level && nextPart > part;
  for (const { column, timeMs, cell } of own.early.filter(isAgain)) {
    effects.push({ kind: 'count', series, revision, timeMs, cell, column, amount: -1 });
  }
  own.early = own.early.filter((step) => !isAgain(step));
  own.counted = Math.max(own.counted, record.level);
  if (record.level > 0) addLevel(own, { level: record.level, parts: [part] });
  const { epoch } = context.definitions;
  const past = record.behaviours.map(([timeMs, behaviour]) => ({ timeMs, behaviour, epoch, part }));
  insertPast(before, past, funnel, 0, context);
  // All of the part came by a link that the funnel's record had met at the visitor's owner, or is in its past.
  for (const held of before.behaviours) if (held.part === part) held.epoch = epoch;
  recompute(before, own, funnel, effects);
  trimBehaviours(before, context.nowMs, context.definitions, effects);
  return before;
}
