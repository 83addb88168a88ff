// Faults that can be switched on by name, one at a time, to prove that `flywheel verify` finds them. Off in every real run.
import type { AccountState } from '../domain/account.ts';
import type { Buyer } from '../domain/buyer.ts';
import type { BuyerContext } from '../domain/buyer-context.ts';
import type { SegmentRecord } from '../domain/buyer-record.ts';
import type { Effect } from '../domain/effect.ts';
import type { DerivedRecord } from '../domain/identity-record.ts';
import type { LeaseRequestRecord, NoticeRecord, ReportRecord } from '../domain/spend-record.ts';
import { transitionBuyer } from '../domain/transition-buyer.ts';
import { type BugName, bugNames } from '../platform/bug.ts';
import type { Batch } from './batch.ts';

export interface Bugs {
  beforeSegment(before: Buyer | undefined, context: BuyerContext): BuyerContext;
  afterSegment(state: Buyer, record: SegmentRecord, context: BuyerContext, effects: Effect[]): void;
  /** What is applied of a record that an outbox sent; undefined for nothing. */
  beforeDerived(record: DerivedRecord, context: BuyerContext): DerivedRecord | undefined;
  beforeSpend<Kind extends ReportRecord | NoticeRecord | LeaseRequestRecord>(record: Kind): Kind;
  afterSpend(state: AccountState, record: ReportRecord | NoticeRecord | LeaseRequestRecord): void;
  timerChanges(changes: Map<string, number>): ReadonlyMap<string, number>;
  delivery(batch: Batch): Batch;
}

export const noBugs: Bugs = {
  beforeSegment: (_before, context) => context,
  afterSegment: () => {},
  beforeDerived: (record) => record,
  beforeSpend: (record) => record,
  afterSpend: () => {},
  timerChanges: (changes) => changes,
  delivery: (batch) => batch,
};

const foreverMs = 1e15;

function withoutLateness(context: BuyerContext): BuyerContext {
  const settings = { ...context.definitions.settings, latenessMs: foreverMs };
  return { ...context, definitions: { ...context.definitions, settings } };
}

/** Applies the record once more, as if its id were not known. */
function foldTwice(state: Buyer, record: SegmentRecord, context: BuyerContext, effects: Effect[]): void {
  state.ids.length -= 2;
  transitionBuyer(state, state.key, record, context, effects);
}

function isLateForward(record: DerivedRecord, { nowMs, definitions }: BuyerContext): boolean {
  return record.kind === 'forward' && record.record.timestamp < nowMs - definitions.settings.latenessMs;
}

/** @throws Error for a name that is none of ours. */
export function bugsOf(name: string): Bugs {
  switch (name as BugName | '') {
    case '':
      return noBugs;
    case 'last-row-dropped':
      return {
        ...noBugs,
        delivery: (batch) => {
          batch.eventRows.dropLast();
          return batch;
        },
      };
    case 'folded-twice':
      return { ...noBugs, afterSegment: foldTwice };
    case 'lost-timer':
      return {
        ...noBugs,
        timerChanges: (changes) => new Map([...changes].filter(([, dueMs]) => dueMs === 0)),
      };
    case 'stale-cache': {
      const copies = new Map<string, Buyer>();
      return {
        ...noBugs,
        // Every buyer is seen as it was one record ago.
        beforeSegment: (before, context) => {
          if (before === undefined) return context;
          const stale = copies.get(before.key);
          copies.set(before.key, structuredClone(before));
          if (stale !== undefined) Object.assign(before, structuredClone(stale));
          return context;
        },
      };
    }
    case 'late-applied':
      return { ...noBugs, beforeSegment: (_before, context) => withoutLateness(context) };
    case 'duplicate-applied':
      return {
        ...noBugs,
        beforeSegment: (before, context) => {
          if (before !== undefined) before.ids.length = 0;
          return context;
        },
      };
    case 'notice-beside-report':
      return {
        ...noBugs,
        beforeSpend: (record) =>
          record.kind === 'report' ? { ...record, asOf: record.periodStart } : record,
      };
    case 'lease-forgotten':
      return {
        ...noBugs,
        afterSpend: (state, record) => {
          if (record.kind === 'leaseRequest') state.leases = [];
        },
      };
    case 'chunk-folded-twice':
      return {
        ...noBugs,
        beforeDerived: (record) =>
          record.kind === 'merge'
            ? { ...record, behaviours: [...record.behaviours, ...record.behaviours] }
            : record,
      };
    case 'chunk-skipped':
      return {
        ...noBugs,
        beforeDerived: (record) =>
          record.kind === 'merge' && record.chunk > 0 ? { ...record, behaviours: [] } : record,
      };
    case 'forward-judged-late':
      return {
        ...noBugs,
        beforeDerived: (record, context) => (isLateForward(record, context) ? undefined : record),
      };
    case 'step-counted-by-merge':
      return {
        ...noBugs,
        beforeDerived: (record) =>
          record.kind === 'merge' && record.base !== undefined
            ? { ...record, base: { ...record.base, counted: [] } }
            : record,
      };
    case 'revoked-link-counts':
      return {
        ...noBugs,
        beforeDerived: (record) => (record.kind === 'linkEnded' ? { ...record, how: 'superseded' } : record),
      };
    default:
      throw new Error(
        `there is no bug named ${JSON.stringify(name)}; the named ones are ${bugNames.join(', ')}`,
      );
  }
}
