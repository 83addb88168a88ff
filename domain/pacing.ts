// Pacing: a plan for the day from the traffic of past days, and a multiplier that follows spend against it.
// The plan is "allocation by forecasted traffic" of Agarwal, Ghosh, Wei, You, Budget Pacing for Targeted Online
// Advertisements at LinkedIn (KDD 2014); the controller is b·exp(φ) with a velocity-form PI of Zhang, Rong, Wang, Zhu,
// Wang, Feedback Control of Real-Time Display Advertising (WSDM 2016, §3).
import { DAY_MS, HOUR_MS, HOURS } from './account.ts';

/** How much of an even day is mixed into the curve, in days. */
const EVEN_DAYS = 0.5;
/** A share of every hour is spread to its two neighbours. */
const NEIGHBOUR_WEIGHT = 1 / 8;
/**
 * Answer to the spend of the last step and to the gap since the day's start. Alike, so that an account that is ahead
 * and does not spend stays where it is; damped while spend grows at most with the sixth power of the multiplier.
 */
const RATE_GAIN = 0.3;
const GAP_GAIN = 0.3;
/** The gap is measured against the coming hour's plan, at least this part of the day's. */
const MIN_HOUR_SHARE = 1 / 96;

const MILLION = 1_000_000;
/** The lowest multiplier that is stepped from, whatever the definition's least is. */
const LEAST_MILLIONTHS = 1_000;
const EVEN_SHARES: readonly number[] = new Array<number>(HOURS).fill(Math.round(MILLION / HOURS));

/** A past day's traffic by hour of the account's day, and how many days ago it was. */
export interface PastDay {
  readonly ageDays: number;
  readonly traffic: readonly number[];
}

/**
 * The part of a day's traffic in each hour, in millionths. A past day's weight halves every `halfLifeDays`; a day
 * without traffic says nothing; with few days the curve stays close to even.
 */
export function learnHourShares(days: readonly PastDay[], halfLifeDays: number): number[] {
  const sums = new Array<number>(HOURS).fill(EVEN_DAYS / HOURS);
  let weights = EVEN_DAYS;
  for (const { ageDays, traffic } of days) {
    const total = traffic.reduce((sum, value) => sum + value, 0);
    if (total <= 0) continue;
    const weight = 2 ** (-ageDays / halfLifeDays);
    weights += weight;
    for (let hour = 0; hour < HOURS; hour += 1) sums[hour]! += (weight * traffic[hour]!) / total;
  }
  return sums.map((own, hour) => {
    const before = sums[(hour + HOURS - 1) % HOURS]!;
    const after = sums[(hour + 1) % HOURS]!;
    const smooth = own * (1 - 2 * NEIGHBOUR_WEIGHT) + (before + after) * NEIGHBOUR_WEIGHT;
    return Math.round((smooth / weights) * MILLION);
  });
}

/** Planned spend from the day's start to `elapsedMs` after it, in micros: even within an hour, all of it at the day's end. */
export function plannedMicros(
  hourShares: readonly number[],
  budgetMicros: number,
  elapsedMs: number,
): number {
  const shares = hourShares.length === HOURS ? hourShares : EVEN_SHARES;
  const withinMs = Math.min(Math.max(0, elapsedMs), DAY_MS);
  let total = 0;
  let passed = 0;
  for (let hour = 0; hour < HOURS; hour += 1) {
    total += shares[hour]!;
    passed += shares[hour]! * Math.min(Math.max(0, withinMs / HOUR_MS - hour), 1);
  }
  return total === 0 ? 0 : Math.floor(budgetMicros * (passed / total));
}

export interface PacingStep {
  readonly hourShares: readonly number[];
  readonly budgetMicros: number;
  /** Settled since the day's start, now and at the step before. */
  readonly spentMicros: number;
  readonly spentBeforeMicros: number;
  /** Since the day's start: now and at the step before. */
  readonly elapsedMs: number;
  readonly elapsedBeforeMs: number;
  readonly gain: number;
  readonly minMultiplier: number;
  readonly maxMultiplier: number;
}

function within(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}

/** The multiplier in its limits, in millionths. */
export function limitMultiplier(millionths: number, minMultiplier: number, maxMultiplier: number): number {
  return within(
    Math.round(millionths),
    Math.round(minMultiplier * MILLION),
    Math.round(maxMultiplier * MILLION),
  );
}

/**
 * What steps go on from: in its limits, and never so low that rounding swallows what a step adds. From 0 nothing would come
 * back, and with a gain of 0.5 nothing from one millionth.
 */
export function stepFrom(millionths: number, minMultiplier: number, maxMultiplier: number): number {
  return Math.max(LEAST_MILLIONTHS, limitMultiplier(millionths, minMultiplier, maxMultiplier));
}

/**
 * The next multiplier, in millionths: m · exp(gain · (0.3 · rate + 0.3 · gap)), where rate = 1 − spent / planned in the
 * last step and gap = (planned − spent so far) / planned in the coming hour, both kept within ±1. Without a budget it stays.
 */
export function nextMultiplier(millionths: number, step: PacingStep): number {
  const { hourShares, budgetMicros, elapsedMs, minMultiplier, maxMultiplier } = step;
  if (budgetMicros <= 0) return stepFrom(millionths, minMultiplier, maxMultiplier);
  const plannedNow = plannedMicros(hourShares, budgetMicros, elapsedMs);
  const plannedStep = plannedNow - plannedMicros(hourShares, budgetMicros, step.elapsedBeforeMs);
  const plannedHour = plannedMicros(hourShares, budgetMicros, elapsedMs + HOUR_MS) - plannedNow;
  const spentStep = step.spentMicros - step.spentBeforeMicros;
  const hourMicros = Math.max(plannedHour, budgetMicros * MIN_HOUR_SHARE, 1);
  const rate = within(1 - spentStep / Math.max(plannedStep, 1), -1, 1);
  const gap = within((plannedNow - step.spentMicros) / hourMicros, -1, 1);
  const factor = Math.exp(step.gain * (RATE_GAIN * rate + GAP_GAIN * gap));
  return stepFrom(millionths * factor, minMultiplier, maxMultiplier);
}
