// When a buyer reached each step of a funnel whose past has come, although histories were merged into it in between.
import type { Buyer, RememberedBehaviour } from './buyer.ts';
import { type FunnelProgress, level } from './funnel.ts';
import { walk } from './funnel-slice.ts';
import type { BackfillRecord } from './identity-record.ts';
import type { FunnelInForce } from './in-force.ts';

/** A step and the event time at which it was reached. */
export interface ReachedStep {
  readonly timeMs: number;
  /** Before anything was merged since the funnel's record. */
  readonly isBeforeMerges: boolean;
}

type Past = Pick<BackfillRecord, 'level' | 'settled' | 'settledBeforeMs' | 'nextPart'>;

/** Up to when a behaviour's step was counted when something happened at `nowMs`: strict ones had to settle. */
export function countedUntilMs(strict: boolean, nowMs: number, latenessMs: number): number {
  return strict ? nowMs - latenessMs - 1 : nowMs;
}

/**
 * Each step by its number from 0 (sparse below where the past ends). One that was reached without what was merged since the
 * record, and before that was merged, was counted then, and stays.
 * @param all the event times with all that was merged
 */
export function inTurn(
  state: Buyer,
  funnel: FunnelInForce,
  past: Past,
  latenessMs: number,
  all: readonly number[],
): ReachedStep[] {
  return inTurnOf(state, funnel, past, latenessMs, all, (parts) => {
    const seen = seenOf(state, funnel, parts).filter(({ timeMs }) => timeMs >= past.settledBeforeMs);
    return timesOf(funnel, past.settled, seen, past.level);
  });
}

/** The same from what arrived since the funnel's record alone. */
export function inTurnAlone(
  state: Buyer,
  funnel: FunnelInForce,
  past: Past,
  latenessMs: number,
): ReachedStep[] {
  const times = (parts: number): number[] => {
    const seen = seenOf(state, funnel, parts).filter(({ epoch }) => epoch >= funnel.epoch);
    return timesOf(funnel, [], seen, 0);
  };
  return inTurnOf(state, funnel, past, latenessMs, times(state.nextPart), times);
}

function inTurnOf(
  { parts, nextPart }: Buyer,
  { strict, document }: FunnelInForce,
  past: Past,
  latenessMs: number,
  all: readonly number[],
  times: (parts: number) => readonly number[],
): ReachedStep[] {
  const merges = parts.filter(({ number }) => number >= past.nextPart && number < nextPart);
  const before = merges.map(({ number, mergedMs }) => ({
    untilMs: countedUntilMs(strict, mergedMs, latenessMs),
    reachedMs: times(number),
  }));
  const steps: ReachedStep[] = [];
  for (let column = 0; column < document.steps.length; column += 1) {
    const turn = before.findIndex(
      ({ untilMs, reachedMs }) => (reachedMs[column] ?? Number.POSITIVE_INFINITY) <= untilMs,
    );
    const timeMs = before[turn]?.reachedMs[column] ?? all[column];
    if (timeMs !== undefined) steps[column] = { timeMs, isBeforeMerges: turn === 0 };
  }
  return steps;
}

/** What parts below this number brought; of a strict funnel, what is settled. */
function seenOf(
  { behaviours, settledCount }: Buyer,
  { strict }: FunnelInForce,
  parts: number,
): RememberedBehaviour[] {
  const until = strict ? settledCount : behaviours.length;
  return behaviours.slice(0, until).filter(({ part }) => part < parts);
}

function timesOf(
  funnel: FunnelInForce,
  start: FunnelProgress,
  behaviours: readonly RememberedBehaviour[],
  pastLevel: number,
): number[] {
  const times: number[] = [];
  let reached = Math.max(pastLevel, level(start));
  walk(funnel.document, start, { behaviours, from: 0, to: behaviours.length }, (progress, timeMs) => {
    for (; reached < level(progress); reached += 1) times[reached] = timeMs;
  });
  return times;
}
