// What `flywheel up` counts in ClickHouse itself.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readCounts } from '../../cli/up-counts.ts';
import { type Answering, answering, GENERATION } from '../serve/answering.ts';

let here: Answering;
beforeAll(async () => {
  here = await answering('up-counts', { tables: true });
});
afterAll(() => here?.close());

async function insert(table: string, rows: readonly Record<string, unknown>[]): Promise<void> {
  const time = '2026-01-14 09:00:00.000';
  const values = rows.map((row, offset) => ({ time, generation: GENERATION, partition: 1, offset, ...row }));
  // Twice, as after a crash.
  for (let times = 0; times < 2; times += 1)
    await here.clickhouse.insert({ table, values, format: 'JSONEachRow' });
}

it('counts a trigger once, by what it came to', async () => {
  const row = (trigger_id: string, status: string, more: object = {}) => ({
    ...{ key: 'u:1', trigger_id, status },
    ...more,
  });
  await insert('triggers', [
    ...['t1', 't2', 't3', 't4'].map((id) => row(id, 'created')),
    row('t2', 'acknowledged'),
    row('t3', 'expired'),
    row('t1', 'expired', { generation: GENERATION + 1 }),
  ]);
  expect((await readCounts(here.clickhouse)).triggers).toEqual({ acknowledged: 1, expired: 2, waiting: 2 });
});

it('counts the stages that buyers came to by themselves', async () => {
  const row = (to_stage: string, reason: string) => ({ key: 'u:1', from_stage: '', to_stage, reason });
  await insert('transitions', [
    row('new', 'first'),
    row('mature', 'matured'),
    row('new', 'merged'),
    row('mature', 'unlinked'),
    row('', 'revoked'),
  ]);
  expect((await readCounts(here.clickhouse)).transitions).toEqual({ mature: 1, new: 1 });
});
