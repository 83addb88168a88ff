// What one run of the oracle works on: the log as it was read, the stores as they stood, and what follows from the log.
import type { DeliveriesTopicRecord } from '../domain/delivery.ts';
import type { EventsTopicRecord, SpendTopicRecord } from '../domain/record.ts';
import type { BackfillProgress } from '../platform/backfill-progress.ts';
import type { ClickHouse } from '../platform/clickhouse.ts';
import type { PartitionId, StatefulTopic } from '../platform/keys.ts';
import type { Comparison } from './compare.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { LogPartition } from './log.ts';
import type { People } from './people.ts';
import type { StoredHead, StoredPartition } from './stored.ts';
import type { Walk } from './watermark.ts';

/** A partition as it was read. */
export interface Snapshot {
  readonly stored: StoredPartition;
  /** False if it went on all the time, or never came to rest: then something of it was on its way. */
  readonly rested: boolean;
  readonly log: LogPartition;
}

/** One partition of `events`, from every side. */
export interface EventsScope extends Snapshot {
  readonly walk: Walk<EventsTopicRecord>;
  readonly people: People;
}

/** One partition of `spend`, from every side. */
export interface SpendScope extends Snapshot {
  readonly walk: Walk<SpendTopicRecord>;
  readonly ledger: Ledger;
}

export type VersionsNow = (topic: StatefulTopic, partition: number) => bigint;

export interface Scope {
  /** The namespace's name. */
  readonly namespace: string;
  readonly comparison: Comparison;
  readonly clickhouse: ClickHouse;
  readonly events: readonly EventsScope[];
  readonly spend: readonly SpendScope[];
  /** `events.rejected` and `triggers`, as they were read. */
  readonly rejected: Snapshot;
  readonly triggers: readonly LogPartition[];
  /** What readers of `deliveries` see, in order; null for what is no record of it. */
  readonly deliveries: readonly { readonly offset: number; readonly record: DeliveriesTopicRecord | null }[];
  /** How far `jobs` said that the pasts of funnels were, before anything else was read. */
  readonly backfills: readonly BackfillProgress[];
  /** Where the partitions stand, asked anew: live ones go on while they are verified as they stood before. */
  versionsNow(): Promise<VersionsNow>;
  /** The head and the outbox of a partition once it owes nothing or has gone on, asked anew. */
  restOf(snapshot: Snapshot): Promise<Pick<StoredPartition, 'head' | 'outboxEntries'>>;
  /** Where the log of a partition ended once all of them were read. */
  endNow(topic: StatefulTopic, partition: number): number;
  /** The same, asked anew. */
  readEnds(): Promise<Scope['endNow']>;
  /** Whose keys the log of `events` tells of from where each partition was read up to there. */
  readonly keysSince: ReadonlySet<string>;
}

/** How a partition is called in what people read. */
export function placeOf({ topic, partition }: Pick<PartitionId, 'topic' | 'partition'>): string {
  return `${topic} ${partition}`;
}

/** Timers fired before an offset count in a version, so that a version is a function of the log alone. */
export const VERSION_SHIFT = 4_194_304;

/** The rows that a partition has written up to the offset at which it was read, as a condition. */
export function writtenBy(scopes: readonly { readonly stored: StoredPartition }[]): string {
  const conditions = scopes.map(({ stored: { id, head } }) => {
    const offset = head?.offset ?? 0;
    return `(generation = ${id.generation} AND partition = ${id.partition} AND offset < ${offset})`;
  });
  return `(${conditions.join(' OR ')})`;
}

/** How many records stand in a partition's log behind those that were read; they are of a live one, or it was far behind. */
export function recordsBehind(
  { endNow }: Pick<Scope, 'endNow'>,
  { id, head }: Pick<StoredPartition, 'id' | 'head'>,
): number {
  return Math.max(0, endNow(id.topic, id.partition) - (head?.offset ?? 0));
}

/** The version of the position that a partition has reached. */
export function versionReached(head: StoredHead | undefined): bigint {
  return BigInt(head?.offset ?? 0) * BigInt(VERSION_SHIFT) + BigInt(head?.fired ?? 0);
}

/** Whether a partition has gone on since it was read. */
export function hasGoneOn(now: VersionsNow, { id, head }: Pick<StoredPartition, 'id' | 'head'>): boolean {
  return now(id.topic, id.partition) > versionReached(head);
}
