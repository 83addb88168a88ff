// What others may read of an account's state: its budget, what is spent and free, its pacing, what went beyond.
import { type AccountCounters, type AccountState, DAY_MS, dayStartOf, settledOnDay } from '../account.ts';
import type { AccountDefinition, LastSaid } from '../definition.ts';
import { plannedMicros } from '../pacing.ts';
import { reportedOverspend } from './book.ts';
import { freeMicros, outstandingMicros } from './leases.ts';
import { dayBudgetMicros } from './steps.ts';

export interface AccountSummary {
  /** The account's day that holds the watermark. */
  readonly dayStartMs: number;
  readonly dayEndMs: number;
  readonly dailyBudgetMicros: number;
  readonly totalBudgetMicros: number | null;
  readonly settledTodayMicros: number;
  readonly settledTotalMicros: number;
  /** Granted today and neither settled nor free again. */
  readonly outstandingMicros: number;
  readonly outstandingTotalMicros: number;
  /** What could still be granted today; never below 0. */
  readonly freeMicros: number;
  readonly multiplier: number;
  /** What should be spent today by now, and within the next `leaseTtlMs`. */
  readonly plannedTodayMicros: number;
  readonly plannedNextMicros: number;
  /** Settled above the budget: platforms that spend by themselves, a budget that was cut, notices that came too late (see the counters). */
  readonly overshootTodayMicros: number;
  readonly overshootTotalMicros: number;
  /** Reported above what our own bids had cleared. */
  readonly reportedOverspendMicros: number;
  readonly counters: AccountCounters;
}

/** Grants are a share of what is free, which comes close to 0 by them and never to it. */
const EXHAUSTED_SHARE = 0.001;

/** Whether what is free today is too little to bid with. `FlywheelBudgetExhausted` asks the same. */
export function isExhausted({
  freeMicros,
  dailyBudgetMicros,
}: Pick<AccountSummary, 'freeMicros' | 'dailyBudgetMicros'>): boolean {
  return dailyBudgetMicros > 0 && freeMicros <= EXHAUSTED_SHARE * dailyBudgetMicros;
}

/** `nowMs` is the partition's watermark; all money in micros of the account's currency. */
export function accountSummary(
  state: AccountState,
  definition: AccountDefinition,
  nowMs: number,
): AccountSummary {
  const utcOffsetMinutes = state.currency === '' ? definition.utcOffsetMinutes : state.utcOffsetMinutes;
  const dayMs = dayStartOf(nowMs, utcOffsetMinutes);
  const { dailyBudgetMicros, totalBudgetMicros, leaseTtlMs, pacing } = definition;
  const settledTodayMicros = settledOnDay(state, dayMs);
  const budgetMicros = dayBudgetMicros(state, definition, dayMs);
  const hourShares = state.pacing.dayMs === dayMs ? state.pacing.hourShares : [];
  const planned = (elapsedMs: number): number => plannedMicros(hourShares, budgetMicros, elapsedMs);
  const multiplier = state.pacing.multiplierMillionths / 1_000_000;
  let reportedOverspendMicros = state.counters.closedReportedOverspendMicros;
  for (const day of state.days)
    for (const book of day.books) reportedOverspendMicros += reportedOverspend(book);
  return {
    dayStartMs: dayMs,
    dayEndMs: dayMs + DAY_MS,
    dailyBudgetMicros,
    totalBudgetMicros,
    settledTodayMicros,
    settledTotalMicros: state.settledMicros,
    outstandingMicros: outstandingMicros(state, dayMs),
    outstandingTotalMicros: outstandingMicros(state),
    freeMicros: Math.max(0, freeMicros(state, definition, dayMs)),
    multiplier: Math.min(Math.max(multiplier, pacing.minMultiplier), pacing.maxMultiplier),
    plannedTodayMicros: planned(nowMs - dayMs),
    plannedNextMicros: planned(nowMs - dayMs + leaseTtlMs) - planned(nowMs - dayMs),
    overshootTodayMicros: Math.max(0, settledTodayMicros - dailyBudgetMicros),
    overshootTotalMicros:
      totalBudgetMicros === null ? 0 : Math.max(0, state.settledMicros - totalBudgetMicros),
    reportedOverspendMicros,
    counters: state.counters,
  };
}

/** An account that was withdrawn has no budget and no plan; what it spends, by bids and reports of before, is shown. */
export function withoutBudget(summary: AccountSummary): AccountSummary {
  const budget = { dailyBudgetMicros: 0, totalBudgetMicros: 0, freeMicros: 0 };
  return { ...summary, ...budget, plannedTodayMicros: 0, plannedNextMicros: 0 };
}

/**
 * What is worth a look of an account: of one that was withdrawn only what it has spent today or still has in leases, and
 * null if that is nothing. The money is in the currency that the ledger took it in, whatever the account says by now.
 */
export function summaryToShow(
  state: AccountState,
  { document, isWithdrawn }: Pick<LastSaid<AccountDefinition>, 'document' | 'isWithdrawn'>,
  nowMs: number,
): { readonly currency: string; readonly summary: AccountSummary } | null {
  const currency = state.currency === '' ? document.currency : state.currency;
  const summary = accountSummary(state, document, nowMs);
  if (!isWithdrawn) return { currency, summary };
  const isOver = summary.settledTodayMicros === 0 && summary.outstandingMicros === 0;
  return isOver ? null : { currency, summary: withoutBudget(summary) };
}

/** What one campaign has settled on the account's day of `nowMs`, and in all. */
export function campaignSettled(
  state: AccountState,
  campaign: string,
  nowMs: number,
): { settledTodayMicros: number; settledTotalMicros: number } {
  const dayMs = dayStartOf(nowMs, state.utcOffsetMinutes);
  let settledTodayMicros = 0;
  let settledTotalMicros = state.closed.find((closed) => closed.campaign === campaign)?.settledMicros ?? 0;
  for (const day of state.days) {
    for (const book of day.books) {
      if (book.campaign !== campaign) continue;
      settledTotalMicros += book.settledMicros;
      if (day.startMs === dayMs) settledTodayMicros += book.settledMicros;
    }
  }
  return { settledTodayMicros, settledTotalMicros };
}
