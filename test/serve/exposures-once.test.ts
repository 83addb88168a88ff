// The view that counts exposures: one a message, whatever was inserted, sent or written again.
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
