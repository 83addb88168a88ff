// How an account is paced: docs/decisions/spend.md, "Pacing", a second time. Sums of money are whole numbers, but a share, a rate and
// an exponential are not, and what is rounded of them hangs on their last bit: they are added in the order that is written there.
import type { AccountDefinition } from '../../domain/definition.ts';
import { dayOf, isOpen } from './days.ts';
import { DAY_MS, HOUR_MS } from './reports.ts';

const HOURS = 24;
const MILLION = 1_000_000;

/** What pacing sees of its account. */
export interface PacedAccount {
  readonly utcOffsetMinutes: number;
  readonly settledMicros: number;
  settledOn(dayMs: number): number;
  /** Traffic by hour of each day with any record, in order of days. */
  traffic(): readonly { readonly dayMs: number; readonly byHour: readonly number[] }[];
}

export class Pacing {
  readonly #account: PacedAccount;
  /** When the account's timer goes off. What it was set for may be gone by then: it is not set back. */
  #timerMs = Number.POSITIVE_INFINITY;
  #dayMs = 0;
  #wokenDayMs = 0;
  #plan: readonly number[] = [];
  #firstMillionths = MILLION;
  /** The multiplier after each step of the day, in millionths. */
  #steps: number[] = [];
  #since = { timeMs: 0, spentMicros: 0 };

  constructor(account: PacedAccount) {
    this.#account = account;
  }

  /** What is kept of it. */
  get state() {
    return {
      dayMs: this.#dayMs,
      activeDayMs: this.#wokenDayMs,
      steppedMs: this.#since.timeMs,
      steppedMicros: this.#since.spentMicros,
      multiplierMillionths: this.#steps.at(-1) ?? this.#firstMillionths,
      multiplierSum: this.#steps.reduce((sum, each) => sum + each, 0),
      stepCount: this.#steps.length,
      hourShares: this.#plan,
    };
  }

  /** The timer goes off as often as it is due up to a time, each time with the definition that is in force then. */
  passTo(
    untilMs: number,
    horizonsMs: readonly number[],
    definitionAt: (dueMs: number) => AccountDefinition | undefined,
  ): void {
    while (this.#timerMs <= untilMs) {
      const nowMs = this.#timerMs;
      const definition = definitionAt(nowMs);
      this.#timerMs = Number.POSITIVE_INFINITY;
      if (definition !== undefined) this.#goOff(definition, nowMs);
      this.setTimer(definition, horizonsMs, nowMs);
    }
  }

  /** For the next step or the end of the day, and for leases that end; behind every record that was taken, and every timer. */
  setTimer(definition: AccountDefinition | undefined, horizonsMs: readonly number[], nowMs: number): void {
    const dues = horizonsMs.filter((horizonMs) => horizonMs >= nowMs).map((horizonMs) => horizonMs + 1);
    const dayMs = dayOf(nowMs, this.#account.utcOffsetMinutes);
    if (
      definition !== undefined &&
      this.#plan.length > 0 &&
      this.#wokenDayMs === dayMs &&
      this.#dayMs === dayMs
    ) {
      const { stepMs } = definition.pacing;
      dues.push(Math.min(lastStepOf(dayMs, stepMs, nowMs) + stepMs, dayMs + DAY_MS));
    }
    this.#timerMs = Math.min(this.#timerMs, ...dues);
  }

  /** A record that is not rejected comes: the first of a day lets the steps begin. */
  wake(definition: AccountDefinition, nowMs: number): void {
    const dayMs = dayOf(nowMs, this.#account.utcOffsetMinutes);
    if (dayMs === this.#wokenDayMs) return;
    if (dayMs !== this.#dayMs) this.#begin(definition, dayMs, nowMs);
    this.#wokenDayMs = dayMs;
    this.#since = this.#standAt(dayMs, lastStepOf(dayMs, definition.pacing.stepMs, nowMs));
  }

  #goOff(definition: AccountDefinition, nowMs: number): void {
    if (this.#plan.length === 0) return;
    const dayMs = dayOf(nowMs, this.#account.utcOffsetMinutes);
    if (dayMs !== this.#dayMs) {
      this.#begin(definition, dayMs, nowMs);
      this.#since = this.#standAt(dayMs, dayMs);
      return;
    }
    const reachedMs = lastStepOf(dayMs, definition.pacing.stepMs, nowMs);
    if (this.#wokenDayMs === dayMs && reachedMs > this.#since.timeMs) this.#step(definition, reachedMs);
  }

  #begin({ pacing }: AccountDefinition, dayMs: number, nowMs: number): void {
    const { steps, ...before } = { steps: this.#steps, ...this.state };
    const mean = steps.length === 0 ? before.multiplierMillionths : before.multiplierSum / steps.length;
    const past = this.#account.traffic().filter((day) => day.dayMs < dayMs && isOpen(day.dayMs, nowMs));
    this.#dayMs = dayMs;
    this.#plan = planOf(dayMs, past, pacing.curveHalfLifeDays);
    this.#firstMillionths = limited(mean, pacing);
    this.#steps = [];
  }

  #standAt(dayMs: number, timeMs: number): { readonly timeMs: number; readonly spentMicros: number } {
    return { timeMs, spentMicros: this.#account.settledOn(dayMs) };
  }

  #step(definition: AccountDefinition, reachedMs: number): void {
    const dayMs = this.#dayMs;
    const before = this.#since;
    this.#since = this.#standAt(dayMs, reachedMs);
    const { multiplierMillionths } = this.state;
    const { pacing, dailyBudgetMicros, totalBudgetMicros } = definition;
    const spentMicros = this.#since.spentMicros;
    const leftMicros =
      totalBudgetMicros === null
        ? Number.POSITIVE_INFINITY
        : totalBudgetMicros - (this.#account.settledMicros - spentMicros);
    const budgetMicros = Math.min(dailyBudgetMicros, leftMicros);
    let factor = 1;
    if (budgetMicros > 0) {
      const plannedBy = (timeMs: number) => plannedMicros(this.#plan, budgetMicros, timeMs - dayMs);
      const planned = plannedBy(reachedMs);
      const ofStep = Math.max(planned - plannedBy(before.timeMs), 1);
      const ofHour = Math.max(plannedBy(reachedMs + HOUR_MS) - planned, budgetMicros / 96, 1);
      const rate = between(1 - (spentMicros - before.spentMicros) / ofStep, -1, 1);
      const gap = between((planned - spentMicros) / ofHour, -1, 1);
      factor = Math.exp(pacing.gain * (0.3 * rate + 0.3 * gap));
    }
    this.#steps.push(limited(multiplierMillionths * factor, pacing));
  }
}

function between(value: number, low: number, high: number): number {
  return Math.max(low, Math.min(value, high));
}

/** Of what steps start from; below a thousandth they would hardly come back. */
const LEAST_MILLIONTHS = 1_000;

function limited(millionths: number, { minMultiplier, maxMultiplier }: AccountDefinition['pacing']): number {
  const [low, high] = [minMultiplier, maxMultiplier].map((limit) => Math.round(limit * MILLION));
  return Math.max(between(Math.round(millionths), low!, high!), LEAST_MILLIONTHS);
}

function lastStepOf(dayMs: number, stepMs: number, nowMs: number): number {
  return nowMs - ((nowMs - dayMs) % stepMs);
}

/** Each hour's share of the day, in millionths: half an even day, and what the past days had, the older the less. */
function planOf(
  dayMs: number,
  past: readonly { readonly dayMs: number; readonly byHour: readonly number[] }[],
  halfLifeDays: number,
): number[] {
  const days = past
    .map(({ dayMs: startMs, byHour }) => ({
      byHour,
      total: byHour.reduce((sum, each) => sum + each, 0),
      weight: 2 ** (-(dayMs - startMs) / DAY_MS / halfLifeDays),
    }))
    .filter(({ total }) => total > 0);
  const weights = days.reduce((sum, { weight }) => sum + weight, 0.5);
  const sums = Array.from({ length: HOURS }, (_none, hour) =>
    days.reduce((sum, { byHour, total, weight }) => sum + (weight * byHour[hour]!) / total, 0.5 / HOURS),
  );
  const round = [sums.at(-1)!, ...sums, sums[0]!];
  return sums.map((own, hour) =>
    Math.round(((own * 0.75 + (round[hour]! + round[hour + 2]!) * 0.125) / weights) * MILLION),
  );
}

function plannedMicros(plan: readonly number[], budgetMicros: number, elapsedMs: number): number {
  const hours = Math.min(elapsedMs, DAY_MS) / HOUR_MS;
  const over = Math.floor(hours);
  const total = plan.reduce((sum, share) => sum + share, 0);
  const passed =
    plan.slice(0, over).reduce((sum, share) => sum + share, 0) + (plan[over] ?? 0) * (hours - over);
  return total === 0 ? 0 : Math.floor(budgetMicros * (passed / total));
}
