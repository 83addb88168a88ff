// Of a user with very many links, real ClickHouse is asked for the visitors of the latest: anybody with a page's key can link more.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openPastReader } from '../../jobs/past-reader.ts';
import { type ClickHouse, insertCompact } from '../../platform/clickhouse.ts';
import { columns } from '../../stream/rows.ts';
import { openTables, placeOf, rowOf } from '../stream/support/tables.ts';

const LINKS = 1_100;
const LATEST = 1_000;
const BOUND = 100_000;
const DATABASE = 'past_reader';
let client: ClickHouse;

beforeAll(async () => {
  client = await openTables(DATABASE);
});
afterAll(() => client.close());

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
    rowOf('identities', {
      key: visitorOf(number),
      ...placeOf(number + 1),
      ...link(number),
      change: 'linked',
    }),
    rowOf('identities', { key: 'u:one', ...placeOf(offsetOf(number)), ...link(number), change: 'merged' }),
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
