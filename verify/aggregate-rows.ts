// The rows of aggregates, of partitions that go on while they are verified as they stood before.
import { type Scope, VERSION_SHIFT, versionReached } from './scope.ts';
import type { StoredPartition } from './stored.ts';
import { type Column, readRows } from './table.ts';

interface AggregateRow {
  readonly row: Record<string, unknown>;
  /**
   * It is of a position behind the one that was read, which its partition has reached since: it cannot be compared, and says
   * nothing about what was read. Such are counted as left out.
   */
  readonly hasMovedOn: boolean;
  /** A version that its partition has not reached at all is wrong. */
  readonly isReached: boolean;
}

interface Position {
  readonly reached: bigint;
  readonly now: bigint;
}

/** Versions of windows: an offset, and how many timers had fired before its record. */
export function byTimers(version: bigint, { reached, now }: Position): Omit<AggregateRow, 'row'> {
  const isReached = version <= reached;
  return { isReached, hasMovedOn: !isReached && version <= now };
}

/**
 * Versions of rows that one effect wrote: an offset, and the effect's place among those at it, of which one timer may have several.
 * A commit that is cut before a record has written such rows at that record's offset, and whether all of them were there when its
 * partition was read is known only if it has not gone on.
 */
export function byEffects(version: bigint, { reached, now }: Position): Omit<AggregateRow, 'row'> {
  const offsetOf = (position: bigint): bigint => position / BigInt(VERSION_SHIFT);
  const offset = offsetOf(version);
  const isReached = offset < offsetOf(reached) || (offset === offsetOf(reached) && now === reached);
  return { isReached, hasMovedOn: !isReached && offset <= offsetOf(now) };
}

/** All rows of these partitions; `columns` has `partition` and `version`. */
export async function readAggregates(
  { comparison, clickhouse, versionsNow }: Scope,
  scopes: readonly { readonly stored: StoredPartition }[],
  table: string,
  columns: readonly Column[],
  standing = byTimers,
): Promise<AggregateRow[]> {
  const ids = scopes.map(
    ({ stored: { id } }) => `(generation = ${id.generation} AND partition = ${id.partition})`,
  );
  const rows = await readRows(clickhouse, { table, columns, where: `(${ids.join(' OR ')})` });
  // Behind the rows: partitions go on while these are read.
  const now = await versionsNow();
  const byPartition = new Map(scopes.map(({ stored }) => [stored.id.partition, stored]));
  return rows.map((row) => {
    const { id, head } = byPartition.get(row.partition as number)!;
    const version = BigInt(row.version as string);
    const position = { reached: versionReached(head), now: now(id.topic, id.partition) };
    const { isReached, hasMovedOn } = standing(version, position);
    if (hasMovedOn) comparison.leaveOut(`${table} rows`, 'that have gone on since their partition was read');
    return { row, hasMovedOn, isReached };
  });
}
