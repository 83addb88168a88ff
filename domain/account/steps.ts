// When pacing takes its steps: at multiples of `stepMs` from the account's midnight, on days with a record. A timer
// takes each, so that a step sees what was settled by then however the log is cut.
import { type AccountState, DAY_MS, dayStartOf, type PacingState, settledOnDay } from '../account.ts';
import type { AccountDefinition } from '../definition.ts';
import { learnHourShares, nextMultiplier, stepFrom } from '../pacing.ts';
import { trafficByHour } from './book.ts';

/** What may be spent on the account's day that starts at `dayMs`: its budget, or what was left of the whole. */
export function dayBudgetMicros(state: AccountState, definition: AccountDefinition, dayMs: number): number {
  const { dailyBudgetMicros, totalBudgetMicros } = definition;
  if (totalBudgetMicros === null) return dailyBudgetMicros;
  const before = state.settledMicros - settledOnDay(state, dayMs);
  return Math.max(0, Math.min(dailyBudgetMicros, totalBudgetMicros - before));
}

function lastStepMs(dayMs: number, stepMs: number, nowMs: number): number {
  return dayMs + Math.floor((nowMs - dayMs) / stepMs) * stepMs;
}

/** A new day begins: its plan is learned, its multiplier is the mean of the last paced day's, within today's limits. */
function beginDay(state: AccountState, definition: AccountDefinition, dayMs: number): void {
  const { pacing } = state;
  const { curveHalfLifeDays, minMultiplier, maxMultiplier } = definition.pacing;
  const past = state.days
    .filter((day) => day.startMs < dayMs)
    .map((day) => ({ ageDays: (dayMs - day.startMs) / DAY_MS, traffic: trafficByHour(day) }));
  const mean = pacing.stepCount === 0 ? pacing.multiplierMillionths : pacing.multiplierSum / pacing.stepCount;
  pacing.dayMs = dayMs;
  pacing.hourShares = learnHourShares(past, curveHalfLifeDays);
  pacing.multiplierMillionths = stepFrom(mean, minMultiplier, maxMultiplier);
  pacing.multiplierSum = 0;
  pacing.stepCount = 0;
}

function standAt(pacing: PacingState, steppedMs: number, spentMicros: number): void {
  pacing.steppedMs = steppedMs;
  pacing.steppedMicros = spentMicros;
}

/** Before a record is applied: steps begin again on the first of a day. What was missed without one is not made up. */
export function wakePacing(state: AccountState, definition: AccountDefinition, nowMs: number): void {
  const { pacing } = state;
  const dayMs = dayStartOf(nowMs, state.utcOffsetMinutes);
  if (pacing.activeDayMs === dayMs) return;
  if (pacing.dayMs !== dayMs) beginDay(state, definition, dayMs);
  pacing.activeDayMs = dayMs;
  standAt(pacing, lastStepMs(dayMs, definition.pacing.stepMs, nowMs), settledOnDay(state, dayMs));
}

/** Takes the step that is due, or begins the day that has come. */
export function takePacingSteps(state: AccountState, definition: AccountDefinition, nowMs: number): void {
  const { pacing } = state;
  if (pacing.hourShares.length === 0) return;
  const dayMs = dayStartOf(nowMs, state.utcOffsetMinutes);
  if (dayMs !== pacing.dayMs) {
    beginDay(state, definition, dayMs);
    standAt(pacing, dayMs, settledOnDay(state, dayMs));
    return;
  }
  const { stepMs, gain, minMultiplier, maxMultiplier } = definition.pacing;
  const reachedMs = lastStepMs(dayMs, stepMs, nowMs);
  if (pacing.activeDayMs !== dayMs || reachedMs <= pacing.steppedMs) return;
  const spentMicros = settledOnDay(state, dayMs);
  pacing.multiplierMillionths = nextMultiplier(pacing.multiplierMillionths, {
    hourShares: pacing.hourShares,
    budgetMicros: dayBudgetMicros(state, definition, dayMs),
    spentMicros,
    spentBeforeMicros: pacing.steppedMicros,
    elapsedMs: reachedMs - dayMs,
    elapsedBeforeMs: pacing.steppedMs - dayMs,
    gain,
    minMultiplier,
    maxMultiplier,
  });
  pacing.multiplierSum += pacing.multiplierMillionths;
  pacing.stepCount += 1;
  standAt(pacing, reachedMs, spentMicros);
}

/** The next step, or the end of a day with records; strictly after `nowMs`, 0 if none is to come. */
export function pacingDueMs(state: AccountState, definition: AccountDefinition, nowMs: number): number {
  const { pacing } = state;
  const dayMs = dayStartOf(nowMs, state.utcOffsetMinutes);
  if (pacing.hourShares.length === 0 || pacing.activeDayMs !== dayMs || pacing.dayMs !== dayMs) return 0;
  const { stepMs } = definition.pacing;
  const nextMs = lastStepMs(dayMs, stepMs, nowMs) + stepMs;
  return Math.min(nextMs, dayMs + DAY_MS);
}
