// Reads ClickHouse's tables row by row and holds them against the rows that must be there.
import type { ClickHouse } from '../platform/clickhouse.ts';
import { type Comparison, canonical, type Fields } from './compare.ts';

/** A column: its name, or its name and the expression that is read for it. */
export type Column = string | readonly [name: string, expression: string];

/** A time column as epoch milliseconds. */
export function ms(name: string): Column {
  return [name, `toUnixTimestamp64Milli(${name})`];
}

/** A column of 64-bit numbers, which JSON may bring as text. */
export function whole(name: string): Column {
  return [name, `toFloat64(${name})`];
}

/** Bytes as their MD5, where the whole would be much to send. */
export function md5(name: string): Column {
  return [name, `lower(hex(MD5(${name})))`];
}

export interface TableRead {
  readonly table: string;
  readonly columns: readonly Column[];
  readonly where: string;
}

/** Every row, with repeats replaced (FINAL), as objects by column name. */
export async function readTable(
  clickhouse: ClickHouse,
  { table, columns, where }: TableRead,
  onRow: (row: Record<string, unknown>) => void,
): Promise<void> {
  const names = columns.map((column) => (typeof column === 'string' ? column : column[0]));
  const expressions = columns.map((column) => (typeof column === 'string' ? column : column[1]));
  const query = `SELECT ${expressions.map((each, index) => `${each} AS v${index}`).join(', ')} FROM ${table} FINAL WHERE ${where}`;
  const result = await clickhouse.query({ query, format: 'JSONCompactEachRow' });
  for await (const rows of result.stream()) {
    for (const row of rows) {
      const values = row.json<unknown[]>();
      const fields: Record<string, unknown> = {};
      for (let index = 0; index < names.length; index += 1) fields[names[index]!] = values[index];
      onRow(fields);
    }
  }
}

/** As `readTable`, all at once. */
export async function readRows(clickhouse: ClickHouse, read: TableRead): Promise<Record<string, unknown>[]> {
  const rows: Record<string, unknown>[] = [];
  await readTable(clickhouse, read, (row) => rows.push(row));
  return rows;
}

/** Rows by what they must be unique or grouped under. */
export type Grouped = Map<string, Fields[]>;

export function addTo(groups: Grouped, group: string, row: Fields): void {
  const rows = groups.get(group);
  if (rows === undefined) groups.set(group, [row]);
  else rows.push(row);
}

/**
 * Compares two sets of rows group by group: a group holds the same rows in any order.
 * What matches is counted, what is left is paired, so that a changed row names the fields that differ.
 */
export function compareGroups(
  comparison: Comparison,
  kind: string,
  expected: Grouped,
  actual: Grouped,
): void {
  comparison.expectKind(kind);
  for (const group of new Set([...expected.keys(), ...actual.keys()])) {
    const wanted = expected.get(group) ?? [];
    const found = actual.get(group) ?? [];
    if (wanted.length === 1 && found.length === 1) {
      comparison.fields(kind, group, wanted[0]!, found[0]);
      continue;
    }
    const left = new Map<string, Fields[]>();
    for (const row of found) {
      const same = canonical(row);
      left.set(same, [...(left.get(same) ?? []), row]);
    }
    const unmatched: Fields[] = [];
    for (const row of wanted) {
      if (left.get(canonical(row))?.pop() === undefined) unmatched.push(row);
      else comparison.counted(kind);
    }
    const surplus = [...left.values()].flat();
    for (const row of unmatched) comparison.fields(kind, group, row, surplus.shift());
    for (const row of surplus) comparison.differ(kind, group, 'no such row', row);
  }
}
