// What one spend record, or the account's timer, does to one account. The state is changed in place: the stream owns
// it and forgets all of it when a commit fails. A rejected record changes nothing.

import {
  countAuction,
  findBook,
  foldDays,
  openBook,
  openDay,
  settledWith,
  settleNotice,
  settleReport,
} from './account/book.ts';
import { judgeCell } from './account/cells.ts';
import {
  findLease,
  freeLeases,
  freeLoss,
  grantLease,
  rememberLeaseNotice,
  settleLease,
} from './account/leases.ts';
import { rememberNotice } from './account/notices.ts';
import { asOfMsOf, channelOf, figuresOf, pushNoticeRow, pushReportRow } from './account/rows.ts';
import { pacingDueMs, takePacingSteps, wakePacing } from './account/steps.ts';
import {
  type AccountContext,
  type AccountState,
  DAY_MS,
  dayStartOf,
  findDay,
  HOUR_MS,
  isOpen,
  type Lease,
  MAX_CHANNELS,
  type ReportCell,
  WHOLE_DAY,
} from './account.ts';
import type { AccountDefinition, LastSaid } from './definition.ts';
import type { Effect } from './effect.ts';
import { idHash53 } from './hash.ts';
import type { LeaseRequestRecord, NoticeRecord, ReportRecord } from './spend-record.ts';

/** Why the ledger refuses a record that is well-formed. */
export const accountRejections = [
  'unknownAccount',
  'unknownCampaign',
  'foreignCampaign',
  'currency',
  'periodStart',
  'asOf',
  'channels',
  'overflow',
] as const;
export type AccountRejection = (typeof accountRejections)[number];

export type AccountVerdict =
  | { readonly verdict: 'applied' | 'late' | 'duplicate' | 'control' }
  | { readonly verdict: 'rejected'; readonly reason: AccountRejection; readonly detail: string };

type SpendRecord = ReportRecord | NoticeRecord | LeaseRequestRecord;
type Rejected = Extract<AccountVerdict, { verdict: 'rejected' }>;

function rejected(reason: AccountRejection, detail: string): Rejected {
  return { verdict: 'rejected', reason, detail };
}

/** Applies one spend record: judges it, changes the state, pushes its rows and what it settled. */
export function transitionAccount(
  state: AccountState,
  record: SpendRecord,
  context: AccountContext,
  effects: Effect[],
): AccountVerdict {
  const said = context.account(record.account);
  if (said === undefined) return rejected('unknownAccount', record.account);
  const definition = said.document;
  const refusal =
    record.kind === 'leaseRequest' ? checkLease(state, said) : checkSpend(state, record, definition, context);
  if (refusal !== undefined) return refusal;
  if (state.currency === '') {
    state.currency = definition.currency;
    state.utcOffsetMinutes = definition.utcOffsetMinutes;
  }
  foldDays(state, context.nowMs);
  wakePacing(state, definition, context.nowMs);
  switch (record.kind) {
    case 'report':
      return takeReport(state, record, context, effects);
    case 'notice':
      return takeNotice(state, record, context, effects);
    case 'leaseRequest':
      return { verdict: grantLease(state, record, said, context, effects) };
  }
}

/** The account's timer went off: leases past their horizon end, pacing takes its step. */
export function fireAccountTimer(state: AccountState, context: AccountContext, effects: Effect[]): void {
  foldDays(state, context.nowMs);
  freeLeases(state, context.nowMs, effects);
  const definition = context.account(state.id)?.document;
  if (definition !== undefined) takePacingSteps(state, definition, context.nowMs);
}

/** When the timer must go off next, strictly after `nowMs`; 0 if never. */
export function accountDueMs(state: AccountState, context: AccountContext): number {
  const definition = context.account(state.id)?.document;
  let dueMs = definition === undefined ? 0 : pacingDueMs(state, definition, context.nowMs);
  for (const lease of state.leases) {
    const freeMs = Math.max(lease.horizonMs, context.nowMs) + 1;
    if (dueMs === 0 || freeMs < dueMs) dueMs = freeMs;
  }
  return dueMs;
}

/**
 * Nobody holds a lease of an account that never had a record. Of all others the ledger hears what is given back, also
 * where it grants nothing more: what rides with a request that is rejected is not heard.
 */
function checkLease(state: AccountState, { isWithdrawn }: LastSaid<AccountDefinition>): Rejected | undefined {
  return state.currency === '' && isWithdrawn ? rejected('unknownAccount', state.id) : undefined;
}

function checkSpend(
  state: AccountState,
  record: ReportRecord | NoticeRecord,
  definition: AccountDefinition,
  context: AccountContext,
): Rejected | undefined {
  const campaign = context.campaign(record.campaign)?.document;
  if (campaign === undefined) return rejected('unknownCampaign', record.campaign);
  if (campaign.accountId !== record.account)
    return rejected('foreignCampaign', `it belongs to ${campaign.accountId}`);
  const currency = state.currency === '' ? definition.currency : state.currency;
  if (record.currency !== currency) return rejected('currency', `${record.currency} is not ${currency}`);
  const utcOffsetMinutes = state.currency === '' ? definition.utcOffsetMinutes : state.utcOffsetMinutes;
  if (record.kind === 'report') {
    const { period, periodStart } = record;
    const dayMs = dayStartOf(periodStart, utcOffsetMinutes);
    const isAligned = period === 'day' ? periodStart === dayMs : (periodStart - dayMs) % HOUR_MS === 0;
    if (!isAligned)
      return rejected(
        'periodStart',
        `no ${period} of the account begins at ${new Date(periodStart).toISOString()}`,
      );
    if (asOfMsOf(record) < periodStart) return rejected('asOf', 'it was counted before its period began');
  }
  if (overflows(state, record, context.nowMs, utcOffsetMinutes))
    return rejected('overflow', 'the account cannot hold so much');
  const lease = record.kind === 'notice' ? findLease(state, record.lease) : undefined;
  const dayMs = dayMsOf(record, lease, utcOffsetMinutes);
  const day = isOpen(dayMs, context.nowMs) ? findDay(state, dayMs) : undefined;
  if (day === undefined || findBook(day, record.campaign, channelOf(record)) !== undefined) return undefined;
  const channels = day.books.filter((book) => book.campaign === record.campaign).length;
  return channels < MAX_CHANNELS
    ? undefined
    : rejected('channels', `the campaign has ${channels} channels on that day`);
}

/** Whether more would be settled then than can be told exactly. */
function overflows(
  { settledMicros, days }: AccountState,
  record: ReportRecord | NoticeRecord,
  nowMs: number,
  utcOffsetMinutes: number,
): boolean {
  const isOver = (addedMicros: number): boolean => settledMicros + addedMicros > Number.MAX_SAFE_INTEGER;
  const { costMicros } = record;
  // A loss says what its bid had set aside, and settles nothing.
  if (record.kind === 'notice') return record.notice !== 'loss' && isOver(costMicros);
  // Beside its own figure a report may bring back what wider ones had taken as shown, never more than twice what was settled.
  // Only where that could be too much, with some room, is it worked out what it comes to.
  if (!isOver(3 * settledMicros + costMicros)) return false;
  const dayMs = dayStartOf(record.periodStart, utcOffsetMinutes);
  if (!isOpen(dayMs, nowMs)) return false;
  const cell = cellOf(record, dayMs);
  const day = days.find(({ startMs }) => startMs === dayMs);
  const book = findBook(day, record.campaign, channelOf(record));
  if (book === undefined) return isOver(costMicros);
  return (
    judgeCell(book.cells, cell) === 'applied' &&
    isOver(settledWith(book, cell, dayMs, nowMs) - book.settledMicros)
  );
}

function cellOf(record: ReportRecord, dayMs: number): ReportCell {
  const hour = record.period === 'day' ? WHOLE_DAY : (record.periodStart - dayMs) / HOUR_MS;
  const { country, impressions, clicks, costMicros } = record;
  return [country, hour, asOfMsOf(record), impressions, clicks, costMicros];
}

/** The day that a record is booked to: a lease's own while it is held. */
function dayMsOf(
  record: ReportRecord | NoticeRecord,
  lease: Lease | undefined,
  utcOffsetMinutes: number,
): number {
  if (record.kind === 'report') return dayStartOf(record.periodStart, utcOffsetMinutes);
  return lease?.dayMs ?? dayStartOf(record.timestamp, utcOffsetMinutes);
}

function countClosed(state: AccountState, costMicros: number): 'late' {
  state.counters.closedRecords += 1;
  state.counters.closedRecordMicros += costMicros;
  return 'late';
}

function takeReport(
  state: AccountState,
  record: ReportRecord,
  context: AccountContext,
  effects: Effect[],
): AccountVerdict {
  const dayMs = dayMsOf(record, undefined, state.utcOffsetMinutes);
  const cell = cellOf(record, dayMs);
  const cells = findBook(findDay(state, dayMs), record.campaign, channelOf(record))?.cells ?? [];
  const verdict = isOpen(dayMs, context.nowMs)
    ? judgeCell(cells, cell)
    : countClosed(state, record.costMicros);
  pushReportRow(record, verdict, effects);
  if (verdict === 'applied') {
    const day = openDay(state, dayMs);
    const book = openBook(day, record.campaign, channelOf(record));
    settleReport({ state, day, book }, cell, effects);
  }
  return { verdict };
}

function takeNotice(
  state: AccountState,
  record: NoticeRecord,
  context: AccountContext,
  effects: Effect[],
): AccountVerdict {
  const { nowMs, settings } = context;
  const lease = findLease(state, record.lease);
  const remembered =
    lease === undefined
      ? rememberNotice(
          state.memory,
          idHash53(`${record.campaign}|${record.notice}|${record.bid}`),
          nowMs,
          settings.idMemoryMs,
        )
      : rememberLeaseNotice(lease, record);
  if (remembered === 'known') {
    pushNoticeRow(record, 'duplicate', effects);
    return { verdict: 'duplicate' };
  }
  if (remembered === 'full') state.counters.unremembered += 1;
  const verdict = settle(state, record, lease, context, effects);
  pushNoticeRow(record, verdict, effects);
  return { verdict };
}

/** A notice that was not known before: its money counts, late or not, unless its day is closed. */
function settle(
  state: AccountState,
  record: NoticeRecord,
  lease: Lease | undefined,
  context: AccountContext,
  effects: Effect[],
): 'applied' | 'late' {
  const { nowMs, settings } = context;
  const dayMs = dayMsOf(record, lease, state.utcOffsetMinutes);
  const isLoss = record.notice === 'loss';
  if (lease !== undefined && isLoss) freeLoss(state, lease, record);
  else if (lease !== undefined) settleLease(state, lease, record);
  else if (record.lease !== undefined && !isLoss && (record.notice === 'win' || record.costMicros > 0)) {
    state.counters.lateWins += 1;
    state.counters.lateWinMicros += record.costMicros;
  }
  if (!isOpen(dayMs, nowMs)) return countClosed(state, isLoss ? 0 : record.costMicros);
  const verdict = record.timestamp < nowMs - settings.latenessMs ? 'late' : 'applied';
  const timeMs = Math.min(Math.max(record.timestamp, dayMs), dayMs + DAY_MS - 1);
  const day = openDay(state, dayMs);
  if (isLoss || record.notice === 'win') countAuction(day, timeMs);
  const figures = figuresOf(record);
  if (figures.every((figure) => figure === 0)) return verdict;
  const book = openBook(day, record.campaign, channelOf(record));
  if (record.lease !== undefined) book.clearedMicros += record.costMicros;
  settleNotice({ state, day, book }, record.country, timeMs, figures, nowMs, effects);
  return verdict;
}
