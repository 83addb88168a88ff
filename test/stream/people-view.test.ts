// Whose a row of `events` is, by the view `event_people` of a real ClickHouse: of links that were superseded, taken back and made again.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type ClickHouse, insertCompact } from '../../platform/clickhouse.ts';
import { columns } from '../../stream/rows.ts';
import type { IdentityChange } from '../../verify/identity/changes.ts';
import { personsOf } from '../../verify/identity/persons.ts';
import type { EventsScope } from '../../verify/scope.ts';
import { openTables, placeOf, rowOf } from './support/tables.ts';

const DATABASE = 'people_view';
const KEY = 'a:v';
let client: ClickHouse;

beforeAll(async () => {
  client = await openTables(DATABASE);
});
afterAll(() => client.close());

/** Offset, link, user, what became of it, and from where it owns what came before. */
const changes: [number, string, string, IdentityChange['change'], number?][] = [
  [2, 'L1', 'u:one', 'linked', 0],
  [4, 'L1', 'u:one', 'superseded'],
  [4, 'L2', 'u:two', 'linked', 4],
  [7, 'L2', 'u:two', 'superseded'],
  [7, 'L3', 'u:one', 'linked', 7],
  [9, 'L1', 'u:one', 'revoked'],
  [10, 'L3', 'u:one', 'revoked'],
  // Of a version that let a link own a history again in which another's span lies.
  [13, 'L4', 'u:three', 'linked', 0],
  [16, 'L4', 'u:three', 'expired'],
  [18, 'L5', 'u:two', 'linked', 16],
];

it('is whose link was in force, and before the first one its owner’s, also where another’s span lies between', async () => {
  const offsets = Array.from({ length: 21 }, (_, offset) => offset);
  await insertCompact(
    client,
    'events',
    [...columns.events],
    offsets.map((offset) => rowOf('events', { key: KEY, ...placeOf(offset) })),
  );
  await insertCompact(
    client,
    'identities',
    [...columns.identities],
    changes.map(([offset, link, user, change, from = 0], ordinal) =>
      rowOf('identities', {
        ...{ key: KEY, ...placeOf(offset), ordinal, link, visitor: KEY, user, change, from_offset: from },
      }),
    ),
  );
  const answer = await client.query({
    query: 'SELECT person FROM event_people ORDER BY offset',
    format: 'JSONCompactEachRow',
  });
  const persons = (await answer.json<[string]>()).map(([person]) => person);
  const spans = [
    ...Array(4).fill('u:three'),
    ...Array(3).fill('u:two'),
    ...Array(6).fill(KEY),
    ...Array(3).fill('u:three'),
    ...Array(5).fill('u:two'),
  ];
  expect(persons).toEqual(spans);
  const told = changes.map(([offset, link, user, change, fromOffset = 0]) => ({
    ...{ key: KEY, offset, link, user, change, fromOffset },
  }));
  const personAt = personsOf([{ people: { changes: told } } as unknown as EventsScope]);
  expect(offsets.map((offset) => personAt(KEY, offset))).toEqual(spans);
});
