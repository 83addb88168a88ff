// What one run of the oracle works on: the log as it was read, the stores as they stood, and what follows from the log.
import type { DeliveriesTopicRecord } from '../domain/delivery.ts';
import type { EventsTopicRecord, SpendTopicRecord } from '../domain/record.ts';
import type { ClickHouse } from '../platform/clickhouse.ts';
import type { StatefulTopic } from '../platform/keys.ts';
import type { Comparison } from './compare.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { LogPartition } from './log.ts';
import type { People } from './people.ts';
import type { StoredHead, StoredPartition } from './stored.ts';
import type { Walk } from './watermark.ts';

/** One partition of `events`, from every side. */
export interface EventsScope {
  readonly log: LogPartition;
  readonly stored: StoredPartition;
  readonly walk: Walk<EventsTopicRecord>;
  readonly people: People;
}

/** One partition of `spend`, from every side. */
export interface SpendScope {
  readonly log: LogPartition;
  readonly stored: StoredPartition;
  readonly walk: Walk<SpendTopicRecord>;
  readonly ledger: Ledger;
}

export type VersionsNow = (topic: StatefulTopic, partition: number) => bigint;

export interface Scope {
  /** The namespace's name. */
  readonly namespace: string;
  readonly comparison: Comparison;
  /** Partitions that never rested while they were read. */
  readonly restless: readonly string[];
  readonly clickhouse: ClickHouse;
  readonly events: readonly EventsScope[];
  readonly spend: readonly SpendScope[];
  /** `events.rejected` and `triggers`, as they were read. */
  readonly rejected: { readonly log: LogPartition; readonly stored: StoredPartition };
  readonly triggers: readonly LogPartition[];
  /** What readers of `deliveries` see, in order; null for what is no record of it. */
  readonly deliveries: readonly { readonly offset: number; readonly record: DeliveriesTopicRecord | null }[];
  /** Where the partitions stand, asked anew: live ones go on while they are verified as they stood before. */
  versionsNow(): Promise<VersionsNow>;
  /** Where the log of a partition of `events` ended once all of them were read. */
  endNow(partition: number): number;
}

/** Timers fired before an offset count in a version, so that a version is a function of the log alone. */
const VERSION_SHIFT = 4_194_304;

/** The rows that a partition has written up to the offset at which it was read, as a condition. */
export function writtenBy(scopes: readonly { readonly stored: StoredPartition }[]): string {
  const conditions = scopes.map(({ stored: { id, head } }) => {
    const offset = head?.offset ?? 0;
    return `(generation = ${id.generation} AND partition = ${id.partition} AND offset < ${offset})`;
  });
  return `(${conditions.join(' OR ')})`;
}

/** A partition's aggregates. */
export function aggregatesOf(scopes: readonly { readonly stored: StoredPartition }[]): string {
  const conditions = scopes.map(
    ({ stored: { id } }) => `(generation = ${id.generation} AND partition = ${id.partition})`,
  );
  return `(${conditions.join(' OR ')})`;
}

/** The version of the position that a partition has reached. */
export function versionReached(head: StoredHead | undefined): bigint {
  return BigInt(head?.offset ?? 0) * BigInt(VERSION_SHIFT) + BigInt(head?.fired ?? 0);
}

/**
 * Whether an aggregate is of a position behind the one that was read, which its partition has reached since. It cannot be
 * compared then, and says nothing about what was read. A version that its partition has not reached at all is wrong. To be asked
 * for once the aggregates are read: partitions go on meanwhile.
 */
export async function movedOn(
  { versionsNow }: Scope,
  scopes: readonly { readonly stored: StoredPartition }[],
): Promise<(partition: number, version: string) => boolean> {
  const now = await versionsNow();
  const stored = new Map(scopes.map((scope) => [scope.stored.id.partition, scope.stored]));
  return (partition, version) => {
    const { id, head } = stored.get(partition)!;
    return BigInt(version) > versionReached(head) && BigInt(version) <= now(id.topic, partition);
  };
}
