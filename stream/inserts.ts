// What inserts the rows of some batches become: by table, none with more months than ClickHouse takes at once.
import type { Batch } from './batch.ts';
import type { EventRows } from './event-rows.ts';
import { insertsByMonth, monthOf } from './months.ts';
import { columns, type MonthColumn, partitionedBy, type Row, type Table } from './rows.ts';

/** All rows but those that are known to be refused. */
export function rowsByTable(batches: readonly Batch[], refused: ReadonlySet<Row>): Map<Table, Row[]> {
  const all = new Map<Table, Row[]>();
  const add = (table: Table, own: readonly Row[]): void => {
    const rows = refused.size === 0 ? own : own.filter((row) => !refused.has(row));
    if (rows.length === 0) return;
    const others = all.get(table);
    if (others === undefined) all.set(table, [...rows]);
    else for (const row of rows) others.push(row);
  };
  for (const { linkRows, rows } of batches) {
    add('links', linkRows);
    for (const [table, own] of rows) add(table, own);
  }
  return all;
}

/** Of some rows, the batch that each is of. */
export function batchesByRow(batches: readonly Batch[], wanted: ReadonlySet<Row>): Map<Row, Batch> {
  const found = new Map<Row, Batch>();
  if (wanted.size === 0) return found;
  for (const batch of batches) {
    for (const own of [batch.linkRows, ...batch.rows.values()]) {
      for (const row of own) if (wanted.has(row)) found.set(row, batch);
    }
  }
  return found;
}

const msOf: Record<MonthColumn['unit'], (value: unknown) => number> = {
  ms: (value) => value as number,
  s: (value) => (value as number) * 1_000,
  date: (value) => Date.parse(value as string),
};

/** Cuts rows so that one insert meets few enough of the months by which the table is partitioned. */
export function insertsOf(table: Table, rows: readonly Row[]): (readonly Row[])[] {
  const by = partitionedBy[table];
  if (by === null) return [rows];
  const place = columns[table].indexOf(by.column);
  const inserts = insertsByMonth(rows.map((row) => monthOf(msOf[by.unit](row[place]))));
  return inserts === null ? [rows] : inserts.map((places) => places.map((place) => rows[place]!));
}

interface BinaryInsert {
  readonly count: number;
  readonly pieces: readonly Buffer[];
}

/** As `insertsOf`, for the rows of `events`. */
export function eventInsertsOf(batches: readonly EventRows[]): BinaryInsert[] {
  const filled = batches.filter((rows) => rows.length > 0);
  if (filled.length === 0) return [];
  const months = filled.flatMap((rows) => rows.months);
  const inserts = insertsByMonth(months);
  if (inserts === null) return [{ count: months.length, pieces: filled.map((rows) => rows.bytes()) }];
  const all = filled.flatMap((rows) => rows.months.map((_, index) => rows.row(index)));
  return inserts.map((places) => ({ count: places.length, pieces: places.map((place) => all[place]!) }));
}

/** How many rows a batch brings to ClickHouse. */
export function rowCountOf({ eventRows, linkRows, rows }: Batch): number {
  let count = eventRows.length + linkRows.length;
  for (const own of rows.values()) count += own.length;
  return count;
}
