// The state that is kept of one account (everything that shares a budget): plain data in one canonical form.
// docs/decisions/spend.md says the rules in words.
import type { AccountDefinition, CampaignDefinition, LastSaid, Settings } from './definition.ts';

export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;
export const HOURS = 24;

/** A day stays open for reports and notices until this long after its end; then its sums are final. */
export const DAY_OPEN_MS = 35 * DAY_MS;
/** Notices are kept by minute until this long after their hour's end, then by hour. */
export const MINUTES_KEPT_MS = 12 * HOUR_MS;
/** Added to a lease's declared horizon before what is outstanding returns. */
export const HORIZON_MARGIN_MS = 5 * MINUTE_MS;
/** Channels of one campaign on one day; records of further ones are rejected. */
export const MAX_CHANNELS = 50;
/** Notices remembered for one lease, and in one epoch without a lease; further ones count but are not recognised again. */
export const MAX_REMEMBERED_NOTICES = 50_000;
/** Refused requests whose answer is kept. */
export const MAX_REFUSALS = 64;

/** The hour of a report cell that is for its whole day. */
export const WHOLE_DAY = -1;

/** Impressions, clicks, cost in micros. */
export type Figures = [impressions: number, clicks: number, costMicros: number];

/** A report in force: country ('' all), hour of the day or WHOLE_DAY, up to when it had counted, its figures. */
export type ReportCell = [country: string, hour: number, asOfMs: number, ...Figures];

/** Notices that no report has replaced: minute of the day (of the hour, once only hours are kept), the latest one's time. */
export type NoticeBucket = [minute: number, country: string, lastMs: number, ...Figures];

/** What is known of one campaign in one channel on one day of the account. */
export interface Book {
  campaign: string;
  channel: string;
  /** Sorted by hour, then country. */
  cells: ReportCell[];
  /** Sorted by minute, then country. */
  notices: NoticeBucket[];
  /** What bids from our leases cost here, whatever replaced it since. */
  clearedMicros: number;
  settledMicros: number;
}

export interface AccountDay {
  /** Midnight of the account's own day. */
  startMs: number;
  settledMicros: number;
  /** Win and loss notices by hour: the traffic that was bid on. Empty if there were none. */
  auctions: number[];
  /** Sorted by campaign, then channel. */
  books: Book[];
}

export interface Lease {
  id: string;
  process: string;
  /** The account's day whose budget it takes from and to which it settles. */
  dayMs: number;
  amountMicros: number;
  /** What its wins, impressions and clicks cost. */
  settledMicros: number;
  /** What bids gave back that were lost, or won for less than they had set aside; and what its process has returned. */
  freedMicros: number;
  /** Its process has returned the rest: that it does once. Absent until then. */
  isReturned?: true;
  /** The log's time from which its life counts; absent in what an older version has stored. */
  grantedMs?: number;
  untilMs: number;
  /** What is outstanding returns once the watermark is above this. */
  horizonMs: number;
  /** Hashes of the notices (kind and bid) that were taken, ascending. */
  seen: number[];
  /** Lost bids: the bid's hash and what it gave back, ascending by hash. */
  lost: [bid: number, freedMicros: number][];
}

/** Notices without a held lease that were taken in this epoch and the one before, as ascending hashes. */
export interface NoticeMemory {
  epochMs: number;
  current: number[];
  previous: number[];
}

export interface PacingState {
  dayMs: number;
  /** The latest day with a record: steps are taken on such days only. */
  activeDayMs: number;
  steppedMs: number;
  /** The day's settled spend at the last step. */
  steppedMicros: number;
  multiplierMillionths: number;
  /** Of the day's steps, for the next day's first multiplier. */
  multiplierSum: number;
  stepCount: number;
  /** The day's plan: the part of the traffic in each hour, in millionths. */
  hourShares: number[];
}

/** What happened outside the guarantee, counted from the account's first record. */
export interface AccountCounters {
  /** Wins, or notices with a cost, for a lease that is no longer held. */
  lateWins: number;
  lateWinMicros: number;
  /** Notices of a bid of which both a win and a loss were told. */
  contradicted: number;
  contradictedMicros: number;
  /** Cost beyond what the notices' leases held. */
  leaseOverspendMicros: number;
  /** Reports and notices for a day that was closed, and their cost, which is not settled. */
  closedRecords: number;
  closedRecordMicros: number;
  /** Reported above what our bids had cleared, on days that are closed. */
  closedReportedOverspendMicros: number;
  /** Notices that were counted without being remembered. */
  unremembered: number;
}

export interface AccountState {
  id: string;
  /** Of the account's first record, for life; '' before it. */
  currency: string;
  utcOffsetMinutes: number;
  /** When the account's timer goes off; 0 if never. Kept by the stream. */
  timerMs: number;
  /** The hour of the watermark for which old days and minutes were last folded away. */
  foldedMs: number;
  /** Of all days, open and closed. */
  settledMicros: number;
  /** Open days, ascending. */
  days: AccountDay[];
  /** Settled on closed days, by campaign, ascending. */
  closed: { campaign: string; settledMicros: number }[];
  /** In the order of their grants. */
  leases: Lease[];
  refusals: string[];
  memory: NoticeMemory;
  pacing: PacingState;
  counters: AccountCounters;
}

/** What a record or a timer may ask while it is applied. */
export interface AccountContext {
  /** The watermark after this record, or the timer's due time. */
  readonly nowMs: number;
  /** The record's append time; 0 for timers. */
  readonly appendMs: number;
  readonly partition: number;
  readonly offset: number;
  readonly settings: Settings;
  /** Withdrawn ones too: what was spent by them is settled all the same. */
  account(id: string): LastSaid<AccountDefinition> | undefined;
  campaign(id: string): LastSaid<CampaignDefinition> | undefined;
}

export function newAccount(id: string): AccountState {
  return {
    id,
    currency: '',
    utcOffsetMinutes: 0,
    timerMs: 0,
    foldedMs: 0,
    settledMicros: 0,
    days: [],
    closed: [],
    leases: [],
    refusals: [],
    memory: { epochMs: 0, current: [], previous: [] },
    pacing: {
      dayMs: 0,
      activeDayMs: 0,
      steppedMs: 0,
      steppedMicros: 0,
      multiplierMillionths: 1_000_000,
      multiplierSum: 0,
      stepCount: 0,
      hourShares: [],
    },
    counters: {
      lateWins: 0,
      lateWinMicros: 0,
      contradicted: 0,
      contradictedMicros: 0,
      leaseOverspendMicros: 0,
      closedRecords: 0,
      closedRecordMicros: 0,
      closedReportedOverspendMicros: 0,
      unremembered: 0,
    },
  };
}

/** Midnight of the account's day that holds `timeMs`. */
export function dayStartOf(timeMs: number, utcOffsetMinutes: number): number {
  const offsetMs = utcOffsetMinutes * MINUTE_MS;
  return Math.floor((timeMs + offsetMs) / DAY_MS) * DAY_MS - offsetMs;
}

/** The watermark's hour: what is folded away depends on it, not on when the account was last touched. */
export function foldHourOf(nowMs: number): number {
  return Math.floor(nowMs / HOUR_MS) * HOUR_MS;
}

/** Whether records for the day that starts at `dayMs` still change anything. */
export function isOpen(dayMs: number, nowMs: number): boolean {
  return dayMs + DAY_MS + DAY_OPEN_MS > foldHourOf(nowMs);
}

export function findDay(state: AccountState, dayMs: number): AccountDay | undefined {
  return state.days.findLast((day) => day.startMs === dayMs);
}

/** Settled so far on the day that starts at `dayMs`, in micros. */
export function settledOnDay(state: AccountState, dayMs: number): number {
  return findDay(state, dayMs)?.settledMicros ?? 0;
}
