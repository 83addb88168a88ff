// The rows of aggregates, of partitions that go on while they are verified as they stood before.
import { type Scope, versionReached } from './scope.ts';
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

/** All rows of these partitions; `columns` has `partition` and `version`. */
export async function readAggregates(
  { comparison, clickhouse, versionsNow }: Scope,
  scopes: readonly { readonly stored: StoredPartition }[],
  table: string,
  columns: readonly Column[],
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
    const isReached = version <= versionReached(head);
    const hasMovedOn = !isReached && version <= now(id.topic, id.partition);
    if (hasMovedOn) comparison.leaveOut(`${table} rows`, 'that have gone on since their partition was read');
    return { row, hasMovedOn, isReached };
  });
}
