// The working set of one owned partition: everything a fold reads and changes. It lives from take-over to release.
import type { WaitingTrigger } from '../domain/delivery.ts';
import type { CountEffect, RowEffect } from '../domain/effect.ts';
import type { RejectedRecord, Verdict } from '../domain/record.ts';
import type { PartitionId } from '../platform/keys.ts';
import { addRow, type Batch } from './batch.ts';
import type { RejectReason } from './decode.ts';
import { aggregateRow, effectRow } from './rows.ts';
import type { Head, InForceState } from './state.ts';
import { States } from './states.ts';
import type { WaitingTriggers } from './triggers.ts';
import type { Aggregate } from './window.ts';
import type { Windows } from './windows.ts';

/** What the metrics want to know of a fold. */
export interface FoldCounters {
  verdict(verdict: Verdict): void;
  rejected(reason: RejectReason): void;
  /** States that a batch needed: those in memory, and those asked of Redis. */
  looked(hits: number, misses: number): void;
  stateWritten(key: string, bytes: number): void;
  trigger(definition: string, status: TriggerStatus): void;
  counted(effect: CountEffect): void;
  row(effect: RowEffect): void;
  /** The batch at hand is committed: what it came to counts. */
  committed(): void;
}

export type TriggerStatus = 'created' | 'acknowledged' | 'expired';

export interface Work {
  readonly id: PartitionId;
  readonly head: Head;
  inForce: InForceState;
  definitionsChanged: boolean;
  /** States of the keys in reach of the batch at hand, and of as many others as stay in memory; changed in place. */
  states: States;
  /** Keys whose state the next commit writes. */
  changed: Set<string>;
  readonly windows: Windows;
  readonly triggers: WaitingTriggers;
  readonly counters: FoldCounters;
  addAggregate(batch: Batch, aggregate: Aggregate): void;
  addTriggerRow(batch: Batch, trigger: WaitingTrigger, status: TriggerStatus, timeMs: number): void;
  addRejected(batch: Batch, rejected: RejectedRecord): void;
}

/** The position that the next effect gets. */
export function nextPosition(work: Work): {
  generation: number;
  partition: number;
  offset: number;
  ordinal: number;
} {
  const ordinal = work.head.ordinal;
  work.head.ordinal += 1;
  return { generation: work.id.generation, partition: work.id.partition, offset: work.head.offset, ordinal };
}

/** The name of a position in a record's `source` header. */
export function sourceOf(work: Work, ordinal: number): string {
  const { topic, generation, partition } = work.id;
  return `${topic}:${generation}:${partition}:${work.head.offset}:${ordinal}`;
}

export function createWork(
  parts: Pick<Work, 'id' | 'head' | 'inForce' | 'windows' | 'triggers' | 'counters'>,
): Work {
  const work: Work = {
    ...parts,
    definitionsChanged: false,
    states: new States(parts.id.topic),
    changed: new Set(),
    addAggregate(batch, aggregate) {
      const [table, row] = aggregateRow(aggregate, parts.id.generation, parts.id.partition);
      addRow(batch, table, row);
    },
    addTriggerRow(batch, trigger, status, timeMs) {
      const row = {
        key: trigger.key,
        time: timeMs,
        trigger_id: trigger.id,
        status,
        definition: trigger.definition,
        revision: trigger.revision,
        kind: trigger.on,
        from_stage: trigger.from,
        to_stage: trigger.to,
        data: JSON.stringify(trigger.data),
      };
      work.counters.trigger(trigger.definition, status);
      addRow(batch, 'triggers', effectRow('triggers', row, nextPosition(work)));
    },
    addRejected(batch, rejected) {
      const { ordinal } = nextPosition(work);
      const key = `${rejected.sourceTopic}:${rejected.sourcePartition}:${rejected.sourceOffset}`;
      const value = JSON.stringify(rejected);
      batch.records.push({ to: 'rejected', partition: 0, key, value, source: sourceOf(work, ordinal) });
    },
  };
  return work;
}
