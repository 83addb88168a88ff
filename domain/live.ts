// The live debugger's language: who wants to see which records, and what is shown of each.
import { z } from 'zod';
import type { Verdict } from './record.ts';
import { key } from './record-fields.ts';

export const liveVerdicts = [
  'applied',
  'late',
  'duplicate',
  'rejected',
  'control',
] as const satisfies Verdict[];

/** What somebody looks for; what is left out is not asked about. */
export const liveInterest = z.object({
  /** A buyer's key. */
  key: key.optional(),
  /** The name of a write key. */
  source: z.string().min(1).max(64).optional(),
  verdict: z.enum(liveVerdicts).optional(),
});
export type LiveInterest = z.infer<typeof liveInterest>;

/** Why a record came to its verdict. */
export interface LiveReason {
  /** `late`, `duplicate`, `unmapped`, or a reject's own reason. */
  readonly code: string;
  /** A sentence for people. */
  readonly detail: string;
}

/** What a record did; what it left as it was is not there. */
export interface LiveChanges {
  readonly newBuyer?: true;
  readonly attributes?: readonly { readonly name: string; readonly from: string; readonly to: string }[];
  /** Steps counted for the buyer before and after, and the names of the new ones. */
  readonly funnels?: readonly {
    readonly funnel: string;
    readonly revision: number;
    readonly from: number;
    readonly to: number;
    readonly steps: readonly string[];
  }[];
  readonly stages?: readonly { readonly from: string; readonly to: string; readonly reason: string }[];
  readonly opportunities?: readonly {
    readonly id: string;
    readonly change: string;
    readonly subject: string;
    readonly stage: string;
    readonly quality: number;
  }[];
  readonly triggers?: readonly {
    readonly id: string;
    readonly status: string;
    readonly definition: string;
    readonly to: string;
  }[];
  readonly exposures?: readonly { readonly experiment: string; readonly variant: string }[];
  /** What was added to counters that all buyers share. */
  readonly counted?: {
    readonly visitors: number;
    readonly opportunities: number;
    readonly qualityOpportunities: number;
    readonly funnelSteps: number;
  };
}

/** One record of the log and what it came to. Times are epoch milliseconds; 0 where there is none. */
export interface LiveEvent {
  /** Its position, unique: `<topic>:<generation>:<partition>:<offset>`. */
  readonly id: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly kind: string;
  /** The record's own key; empty if nothing says whose it is. */
  readonly key: string;
  /** The buyer that it counts for. */
  readonly person: string;
  readonly source: string;
  readonly messageId: string;
  readonly event: string;
  /** Empty if no definition maps the event. */
  readonly behaviour: string;
  readonly timeMs: number;
  readonly receivedMs: number;
  /** Of the partition, when the record was judged. */
  readonly watermarkMs: number;
  readonly verdict: Verdict;
  readonly reason: LiveReason | null;
  readonly changes: LiveChanges;
  /** Of a reject: where it stood before. */
  readonly origin?: {
    readonly topic: string;
    readonly partition: number;
    readonly offset: number;
    readonly request: string;
    readonly route: string;
  };
}

/** What filters look at. */
export type LiveSubject = Pick<LiveEvent, 'key' | 'person' | 'source'>;

/** Whether the interest may be in the record, whatever its verdict turns out to be. */
export function mayWant(interest: LiveInterest, subject: LiveSubject): boolean {
  const { key, source } = interest;
  return (
    (key === undefined || key === subject.key || key === subject.person) &&
    (source === undefined || source === subject.source)
  );
}

/** Whether the interest is in the record. */
export function wants(interest: LiveInterest, subject: LiveSubject & { readonly verdict: Verdict }): boolean {
  return (
    mayWant(interest, subject) && (interest.verdict === undefined || interest.verdict === subject.verdict)
  );
}
