// What must have come of the records of one partition of `spend`.
import type { NoticeRecord, ReportRecord } from '../../domain/spend-record.ts';

export type SpendVerdict = 'applied' | 'late' | 'duplicate';

export interface SpendFact {
  readonly offset: number;
  readonly record: ReportRecord | NoticeRecord;
  readonly verdict: SpendVerdict;
}

export interface LeaseFact {
  readonly offset: number;
  readonly account: string;
  readonly lease: string;
  readonly process: string;
  readonly status: 'granted' | 'refused' | 'voided' | 'returned' | 'freed';
  readonly amountMicros: number;
  readonly untilMs: number;
  readonly timeMs: number;
}

/** A grant held against the budget in force: what was settled and outstanding with it. */
export interface GrantFact {
  readonly offset: number;
  readonly account: string;
  readonly lease: string;
  readonly committedTodayMicros: number;
  readonly dailyBudgetMicros: number;
  readonly committedTotalMicros: number;
  readonly totalBudgetMicros: number | null;
}

export interface LedgerFacts {
  readonly spend: SpendFact[];
  readonly leases: LeaseFact[];
  readonly grants: GrantFact[];
  /** Reason by offset, for records that the ledger cannot take. */
  readonly rejected: Map<number, string>;
}
