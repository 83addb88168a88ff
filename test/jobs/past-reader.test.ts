// Of a user with very many links, real ClickHouse is asked for the visitors of the latest: anybody with a page's key can link more.
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { openPastReader } from '../../jobs/past-reader.ts';
import { type ClickHouse, insertCompact, openClickHouse } from '../../platform/clickhouse.ts';
import { migrateSql } from '../../platform/migrate-sql.ts';
import { columns } from '../../stream/rows.ts';

const LINKS = 1_100;
const LATEST = 1_000;
const BOUND = 100_000;
const DATABASE = 'past_reader';
let client: ClickHouse;

beforeAll(async () => {
  const url = inject('clickhouseUrl');
  const first = openClickHouse({ url, database: 'default' });
  await first.command({ query: `CREATE DATABASE IF NOT EXISTS ${DATABASE}` });
  await first.close();
  client = openClickHouse({ url, database: DATABASE });
  await migrateSql(client, 'sql');
});
afterAll(() => client.close());

const rowOf = (table: 'events' | 'identities', values: Record<string, unknown>): unknown[] =>
  columns[table].map((column) => values[column] ?? (column === 'appended_at' ? 0 : ''));
const place = (offset: number) => ({ time: offset, generation: 1, partition: 0, offset, ordinal: 0 });

it('reads the latest links before the record, with what their visitors did', async () => {
  const numbers = Array.from({ length: LINKS + 1 }, (_, number) => number);
  const visitorOf = (number: number): string => `a:${String(number).padStart(4, '0')}`;
  // The last one was merged after the funnel's record: it takes no other's place.
  const offsetOf = (number: number): number => (number === LINKS ? BOUND : number + 1);
  const link = (number: number) => ({
    link: `l${number}`,
    visitor: visitorOf(number),
    user: 'u:one',
    from_offset: 0,
  });
  const identities = numbers.flatMap((number) => [
    rowOf('identities', { key: visitorOf(number), ...place(number + 1), ...link(number), change: 'linked' }),
    rowOf('identities', { key: 'u:one', ...place(offsetOf(number)), ...link(number), change: 'merged' }),
  ]);
  await insertCompact(client, 'identities', [...columns.identities], identities);
  const { keys, visitors, merged } = await openPastReader(client, 1).pasts(
    [BOUND],
    ['u:one'],
    new AbortController().signal,
  );
  const latest = numbers.slice(LINKS - LATEST, LINKS);
  expect(visitors.map(({ key }) => key).sort()).toEqual(latest.map(visitorOf));
  expect(keys[0]!.changes).toHaveLength(LATEST);
  expect(merged.size).toBe(LATEST);
});
