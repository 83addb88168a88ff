// Tables of a ClickHouse database of a test's own, and rows for them that say only what the test is about.
import { fileURLToPath } from 'node:url';
import { inject } from 'vitest';
import { type ClickHouse, openClickHouse } from '../../../platform/clickhouse.ts';
import { migrateSql } from '../../../platform/migrate-sql.ts';
import { columns, type Table } from '../../../stream/rows.ts';

/** Makes the database if need be, and applies sql/ to it. */
export async function openTables(database: string): Promise<ClickHouse> {
  const url = inject('clickhouseUrl');
  const bare = openClickHouse({ url, database: 'default' });
  await bare.command({ query: `CREATE DATABASE IF NOT EXISTS ${database}` });
  await bare.close();
  const client = openClickHouse({ url, database });
  await migrateSql(client, fileURLToPath(new URL('../../../sql/', import.meta.url)));
  return client;
}

/** A row in the order of the columns; what is not said is empty. */
export const rowOf = (table: Table, values: Record<string, unknown>): unknown[] =>
  columns[table].map((column) => values[column] ?? (column.endsWith('_at') ? 0 : ''));

/** The time and the position of a row, both by its offset. */
export const placeOf = (offset: number) => ({
  ...{ time: offset, generation: 1, partition: 0 },
  ...{ offset, ordinal: 0 },
});
