// What a transition asks the world for: rows for ClickHouse, records for the log, counts in windows, triggers.
// Effects are data; `stream/` carries them out inside and behind the commit.

import type { DerivedRecord } from './identity-record.ts';

/** A table of ClickHouse whose rows depend on state; the row's position is added by the stream. */
export type EffectTable =
  | 'transitions'
  | 'opportunities'
  | 'spend'
  | 'exposures'
  | 'triggers'
  | 'leases'
  | 'definitions'
  | 'identities'
  | 'adjustments';

export interface RowEffect {
  readonly kind: 'row';
  readonly table: EffectTable;
  /** Columns by name, without the position columns. Times are epoch milliseconds. */
  readonly row: Readonly<Record<string, unknown>>;
}

/** Adds to one column of one cell of a rolling window series (funnel: a column a step). */
export interface CountEffect {
  readonly kind: 'count';
  /** `funnel:<id>` or `northstar`. */
  readonly series: string;
  readonly revision: number;
  readonly timeMs: number;
  readonly cell: string;
  /** Index into the series' columns. */
  readonly column: number;
  /** Negative where a past shows that a step was counted in the wrong place. */
  readonly amount: number;
}

/** Sets one cell of an aggregate to an absolute value (spend: a report replaces what was there). */
export interface SetEffect {
  readonly kind: 'set';
  /** `campaign:<id>`. */
  readonly series: string;
  readonly revision: number;
  readonly timeMs: number;
  readonly cell: string;
  readonly values: readonly number[];
}

/** A trigger to deliver, of a lifecycle or an opportunity. Its id is its position: the stream adds it. */
export interface TriggerEffect {
  readonly kind: 'trigger';
  readonly trigger: PendingTrigger;
}

/** A receipt came: the trigger need not be offered any more. */
export interface ReceiptEffect {
  readonly kind: 'receipt';
  readonly id: string;
  readonly key: string;
  readonly timeMs: number;
}

type WithoutOrigin<Record_> = Record_ extends DerivedRecord ? Omit<Record_, 'origin'> : never;

/** A record for the owner of another key, or this one's own. Its origin is its position: the stream adds it. */
export interface RecordEffect {
  readonly kind: 'record';
  readonly record: WithoutOrigin<DerivedRecord>;
}

export interface PendingTrigger {
  readonly definition: string;
  readonly revision: number;
  readonly on: 'transition' | 'opportunity';
  readonly key: string;
  /** The stage entered, or `opened`/`qualified`. */
  readonly to: string;
  readonly from: string;
  readonly timeMs: number;
  /** What explains it: inputs and versions. */
  readonly data: Readonly<Record<string, unknown>>;
}

export type Effect = RowEffect | CountEffect | SetEffect | TriggerEffect | ReceiptEffect | RecordEffect;
