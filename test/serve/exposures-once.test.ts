// The view that counts exposures: one a message, whatever was inserted, sent or written again.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Answering, answering, GENERATION } from './answering.ts';

let here: Answering;
beforeAll(async () => {
  here = await answering('exposures-once', { tables: true });
});
afterAll(() => here?.close());

it('has one row a buyer, experiment and message, the earliest, and each generation by itself', async () => {
  const first = { key: 'u:1', time: 2_000, message_id: 'm1', experiment: 'form', variant: 'short' };
  const row = (offset: number, change: object = {}) => ({
    ...{ generation: GENERATION, partition: 3, offset, ordinal: 1, revision: 1, reason: 'IMPORTED' },
    ...first,
    ...change,
  });
  const values = [
    row(10),
    row(20),
    row(30, { time: 1_000, variant: 'long' }),
    row(40, { message_id: 'm2' }),
    row(50, { experiment: 'mail' }),
    row(60, { key: 'u:2' }),
    row(10, { generation: GENERATION + 1 }),
  ];
  // Twice, as after a crash.
  for (let times = 0; times < 2; times += 1)
    await here.clickhouse.insert({
      table: 'exposures',
      values: values.map((value) => ({ ...value, time: new Date(value.time).toISOString() })),
      format: 'JSONEachRow',
      clickhouse_settings: { date_time_input_format: 'best_effort' },
    });
  const query = `SELECT generation, key, experiment, message_id, toUnixTimestamp64Milli(time), toUInt32(offset), variant
    FROM exposures_once ORDER BY generation, toUInt32(offset)`;
  const answer = await here.clickhouse.query({ query, format: 'JSONCompactEachRow' });
  const rows = await answer.json<unknown[]>();
  expect(rows.map((each) => each.map(String).join(' '))).toEqual([
    `${GENERATION} u:1 form m1 1000 30 long`,
    `${GENERATION} u:1 form m2 2000 40 short`,
    `${GENERATION} u:1 mail m1 2000 50 short`,
    `${GENERATION} u:2 form m1 2000 60 short`,
    `${GENERATION + 1} u:1 form m1 2000 10 short`,
  ]);
});

it('by the query of the page, whoever is shown one as a visitor and again as a user is one person of the first', async () => {
  const page = readFileSync(new URL('../../docs/decisions/serve.md', import.meta.url), 'utf8');
  const query = /`(SELECT variant, count\(\)[^`]+)`/.exec(page)![1]!;
  const shown = (key: string, offset: number, variant: string) => ({
    ...{ key, generation: GENERATION, partition: 4, offset, ordinal: 1, revision: 1, reason: 'SPLIT' },
    ...{ time: offset * 1_000, message_id: `${key} ${variant}`, experiment: 'inquiry-form', variant },
  });
  const link = (key: string, user: string, change: string, offset: number) => ({
    ...{ key, generation: GENERATION, partition: 4, offset, ordinal: 1, time: offset * 1_000 },
    ...{ change, link: 'l', user, from_offset: 5 },
  });
  const insert = (table: string, values: readonly { time: number }[]) =>
    here.clickhouse.insert({
      table,
      values: values.map((value) => ({ ...value, time: new Date(value.time).toISOString() })),
      format: 'JSONEachRow',
      clickhouse_settings: { date_time_input_format: 'best_effort' },
    });
  await insert('identities', [
    link('a:x', 'u:x', 'linked', 20),
    // A device that others use afterwards.
    link('a:y', 'u:y', 'linked', 20),
    link('a:y', 'u:y', 'superseded', 40),
    link('a:z', 'u:z', 'linked', 20),
    link('a:z', 'u:z', 'revoked', 30),
  ]);
  await insert('exposures', [
    shown('a:x', 10, 'short'),
    shown('u:x', 25, 'short'),
    shown('u:x', 60, 'long'),
    shown('u:y', 30, 'short'),
    shown('a:y', 50, 'long'),
    shown('a:z', 10, 'long'),
    shown('u:z', 25, 'long'),
  ]);
  const answer = await here.clickhouse.query({
    query: `${query} ORDER BY variant`,
    format: 'JSONCompactEachRow',
  });
  // x and y; and who used y's device after it, and both of z, who are not one.
  expect(await answer.json()).toEqual([
    ['long', 3],
    ['short', 2],
  ]);
});
