// An account as the stream drives it: the watermark rises, timers that it passes fire first, then the record is applied.
import {
  type AccountContext,
  type AccountState,
  DAY_MS,
  dayStartOf,
  HOUR_MS,
  newAccount,
} from '../../domain/account.ts';
import {
  type AccountDefinition,
  account as accountSchema,
  type CampaignDefinition,
  campaign as campaignSchema,
  settings as settingsSchema,
} from '../../domain/definition.ts';
import type { Effect, RowEffect, SetEffect } from '../../domain/effect.ts';
import type { LeaseRequestRecord, NoticeRecord, ReportRecord } from '../../domain/spend-record.ts';
import {
  type AccountVerdict,
  accountDueMs,
  fireAccountTimer,
  transitionAccount,
} from '../../domain/transition-account.ts';

export type SpendRecord = ReportRecord | NoticeRecord | LeaseRequestRecord;

/** Midnight UTC of a day in 2026. */
export const START_MS = Date.UTC(2026, 2, 2);
export const at = (hours: number, minutes = 0, seconds = 0): number =>
  START_MS + hours * HOUR_MS + minutes * 60_000 + seconds * 1_000;

export function accountDefinition(change: Partial<AccountDefinition> = {}): AccountDefinition {
  const parsed = accountSchema.parse({ name: 'Test', currency: 'USD', dailyBudgetMicros: 1_000_000 });
  return { ...parsed, ...change };
}

/** A record as the ledger met it. */
export interface Met {
  readonly record: SpendRecord;
  readonly nowMs: number;
  readonly appendMs: number;
  readonly definition: AccountDefinition | undefined;
  readonly isWithdrawn: boolean;
  readonly outcome: AccountVerdict;
}

/** How far the time went before the record of this index was met. */
export interface Passed {
  readonly index: number;
  readonly toMs: number;
  readonly definition: AccountDefinition | undefined;
  readonly isWithdrawn: boolean;
}

export interface Ledger {
  state: AccountState;
  nowMs: number;
  definition: AccountDefinition | undefined;
  /** The account's definition is what it said last. */
  isWithdrawn: boolean;
  campaigns: Record<string, CampaignDefinition>;
  readonly effects: Effect[];
  readonly met: Met[];
  readonly passed: Passed[];
  send(record: SpendRecord, appendMs?: number): AccountVerdict;
  /** A clock record. */
  passTo(timeMs: number): void;
  context(nowMs?: number, appendMs?: number): AccountContext;
}

function timeOf(record: SpendRecord): number {
  switch (record.kind) {
    case 'report':
      return Math.min(record.asOf, record.receivedAt);
    case 'notice':
      return record.timestamp;
    case 'leaseRequest':
      return 0;
  }
}

export function openLedger(change: Partial<AccountDefinition> = {}): Ledger {
  const settings = settingsSchema.parse({});
  const campaign = campaignSchema.parse({ name: 'C', accountId: 'acc', channel: 'search' });
  const ledger: Ledger = {
    state: newAccount('acc'),
    nowMs: START_MS,
    definition: accountDefinition(change),
    isWithdrawn: false,
    campaigns: {
      c1: campaign,
      c2: campaign,
      foreign: { ...campaign, accountId: 'other' },
    },
    effects: [],
    met: [],
    passed: [],
    context: (nowMs = ledger.nowMs, appendMs = 0) => ({
      nowMs,
      appendMs,
      partition: 1,
      offset: 7,
      settings,
      account: (id) =>
        id === 'acc' && ledger.definition !== undefined
          ? {
              ...{ id, revision: 1, hash: '', document: ledger.definition },
              ...(ledger.isWithdrawn ? { isWithdrawn: true } : {}),
            }
          : undefined,
      campaign: (id) => {
        const document = ledger.campaigns[id];
        return document === undefined ? undefined : { id, revision: 1, hash: '', document };
      },
    }),
    passTo: (timeMs) => {
      const { definition, isWithdrawn } = ledger;
      ledger.passed.push({ index: ledger.met.length, toMs: timeMs, definition, isWithdrawn });
      while (ledger.state.timerMs !== 0 && ledger.state.timerMs <= timeMs) {
        const context = ledger.context(ledger.state.timerMs);
        fireAccountTimer(ledger.state, context, ledger.effects);
        const dueMs = accountDueMs(ledger.state, context);
        if (dueMs !== 0 && dueMs <= context.nowMs) throw new Error('a timer must be armed strictly later');
        ledger.state.timerMs = dueMs;
      }
      ledger.nowMs = Math.max(ledger.nowMs, timeMs);
    },
    send: (record, appendMs = ledger.nowMs) => {
      ledger.passTo(Math.max(ledger.nowMs, timeOf(record)));
      const context = ledger.context(ledger.nowMs, appendMs);
      const outcome = transitionAccount(ledger.state, record, context, ledger.effects);
      // A timer that is set is not set back, as the stream has it.
      const { timerMs } = ledger.state;
      const dueMs = outcome.verdict === 'rejected' ? 0 : accountDueMs(ledger.state, context);
      if (dueMs !== 0 && (timerMs === 0 || dueMs < timerMs)) ledger.state.timerMs = dueMs;
      const { nowMs, definition, isWithdrawn } = ledger;
      ledger.met.push({ record, nowMs, appendMs, definition, isWithdrawn, outcome });
      return outcome;
    },
  };
  return ledger;
}

let serial = 0;

export function report(change: Partial<ReportRecord> = {}): ReportRecord {
  serial += 1;
  const periodStart = change.periodStart ?? START_MS;
  const asOf = change.asOf ?? periodStart + HOUR_MS;
  return {
    kind: 'report',
    messageId: `r${serial}`,
    account: 'acc',
    campaign: 'c1',
    channel: 'search',
    country: '',
    periodStart,
    period: 'hour',
    impressions: 0,
    clicks: 0,
    costMicros: 0,
    currency: 'USD',
    asOf,
    receivedAt: asOf,
    ...change,
  };
}

export function notice(change: Partial<NoticeRecord> = {}): NoticeRecord {
  serial += 1;
  const timestamp = change.timestamp ?? START_MS;
  return {
    kind: 'notice',
    messageId: `n${serial}`,
    notice: 'win',
    account: 'acc',
    campaign: 'c1',
    channel: 'search',
    country: 'DE',
    bid: `b${serial}`,
    costMicros: 0,
    currency: 'USD',
    timestamp,
    receivedAt: timestamp,
    ...change,
  };
}

export function leaseRequest(change: Partial<LeaseRequestRecord> = {}): LeaseRequestRecord {
  serial += 1;
  return {
    kind: 'leaseRequest',
    lease: `l${serial}`,
    account: 'acc',
    process: 'p1',
    amountMicros: 100_000,
    timestamp: START_MS,
    ...change,
  };
}

export const settledToday = (ledger: Ledger): number => {
  const dayMs = dayStartOf(ledger.nowMs, ledger.state.utcOffsetMinutes);
  return ledger.state.days.find((day) => day.startMs === dayMs)?.settledMicros ?? 0;
};

export function rowsOf(effects: readonly Effect[], table: string): Readonly<Record<string, unknown>>[] {
  return effects
    .filter((effect): effect is RowEffect => effect.kind === 'row' && effect.table === table)
    .map((effect) => effect.row);
}

/** The latest value of every aggregate cell that the effects have set: `series@time@cell` → figures. */
export function aggregatesOf(effects: readonly Effect[]): Map<string, readonly number[]> {
  const latest = new Map<string, readonly number[]>();
  for (const effect of effects) {
    if (effect.kind === 'set') latest.set(nameOf(effect), effect.values);
  }
  for (const [name, values] of latest) if (values.every((value) => value === 0)) latest.delete(name);
  return latest;
}

function nameOf(effect: SetEffect): string {
  return `${effect.series}@${effect.timeMs}@${effect.cell}`;
}

export { DAY_MS, HOUR_MS };
