// What must have come of the log, as the oracle works it out: plain facts, each with the offset it happened at.
import type { LifecycleStage, OpportunityStage } from '../domain/buyer.ts';

/** The offset of the record that caused it, and the due time if a timer did: timers fire before the record. */
export interface When {
  readonly offset: number;
  /** Undefined for what the record itself did. */
  readonly dueMs: number | undefined;
}

export interface Transition extends When {
  readonly key: string;
  readonly timeMs: number;
  readonly from: LifecycleStage | '';
  readonly to: LifecycleStage | '';
  readonly reason: string;
  readonly revision: number;
}

export interface OpportunityChange extends When {
  readonly key: string;
  readonly timeMs: number;
  readonly id: string;
  readonly change: string;
  readonly subject: string;
  readonly stage: OpportunityStage;
  readonly openedMs: number;
  readonly quality: number;
  readonly qualified: boolean;
  readonly segment: Segment;
  readonly level: string;
  readonly revision: number;
}

export interface CreatedTrigger extends When {
  readonly key: string;
  readonly definition: string;
  readonly revision: number;
  readonly on: 'transition' | 'opportunity';
  readonly from: string;
  readonly to: string;
  readonly timeMs: number;
  readonly data: Readonly<Record<string, unknown>>;
}

/** One more in one column of one cell of a series. */
export interface Count extends When {
  readonly key: string;
  readonly series: string;
  readonly revision: number;
  readonly timeMs: number;
  readonly cell: string;
  readonly column: number;
  /** Absent: one. A past takes back what was counted in the wrong place. */
  readonly amount?: number;
  /** Counted although the visitor is silent: it was not, then. */
  readonly aloud?: boolean;
}

export interface Segment {
  readonly country: string;
  readonly industry: string;
  readonly channel: string;
}

/** Where the facts of many buyers of one partition are gathered. */
export interface Facts {
  readonly transitions: Transition[];
  readonly opportunities: OpportunityChange[];
  readonly triggers: CreatedTrigger[];
  readonly counts: Count[];
}

export function noFacts(): Facts {
  return { transitions: [], opportunities: [], triggers: [], counts: [] };
}

export function cellOf({ country, industry, channel }: Segment): string {
  return `${country}|${industry}|${channel}`;
}
