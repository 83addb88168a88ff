// The sink against a real ClickHouse: what it refuses, and that nothing else waits for that.
import { randomBytes } from 'node:crypto';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { type ClickHouse, insertBinary, insertCompact, openClickHouse } from '../../platform/clickhouse.ts';
import { migrateSql } from '../../platform/migrate-sql.ts';
import { addRow, type Batch, newBatch } from '../../stream/batch.ts';
import { columns, type Row, type Table } from '../../stream/rows.ts';
import { createSink, type Sink } from '../../stream/sink.ts';

const url = inject('clickhouseUrl');
const database = `flywheel_sink_${randomBytes(3).toString('hex')}`;
const sqlDir = path.join(import.meta.dirname, '../../sql');
const START_MS = Date.UTC(2014, 0, 1);
let client: ClickHouse;
const faults: string[] = [];
let sink: Sink;

async function command(query: string): Promise<void> {
  const server = openClickHouse({ url, database: 'default' });
  await server.command({ query });
  await server.close();
}

async function rows(query: string): Promise<unknown[]> {
  const answer = await client.query({ query, format: 'JSONCompactEachRow' });
  return answer.json();
}

/** A row of a table: the values given, and something that fits elsewhere. */
function rowOf(table: Table, values: Record<string, unknown>): Row {
  const texts = ['series', 'country', 'industry', 'channel', 'campaign', 'account', 'funnel'];
  return columns[table].map((column) => values[column] ?? (texts.includes(column) ? 'x' : 1));
}

function batchOf(table: Table, given: readonly Row[]): Batch {
  const batch = newBatch(0);
  for (const row of given) addRow(batch, table, row);
  return batch;
}

/** All files up to this one, over rows that were there before the others are applied. */
async function migrateUpTo(name: string): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'flywheel-sql-'));
  await cp(sqlDir, folder, {
    recursive: true,
    filter: (file) => !/\d{3}_/.test(file) || path.basename(file) <= name,
  });
  await migrateSql(client, folder);
  await rm(folder, { recursive: true });
}

beforeAll(async () => {
  await command(`CREATE DATABASE ${database}`);
  client = openClickHouse({ url, database });
  await migrateUpTo('004_adjustments_signed.sql');
  const before = rowOf('funnel_hours', { funnel: 'old', hour: START_MS / 1_000, steps: [3, 2, 0] });
  await insertCompact(client, 'funnel_hours', columns.funnel_hours, [before]);
  await migrateSql(client, sqlDir);
  sink = createSink(
    {
      insert: (table, names, given) => insertCompact(client, table, names, given),
      insertBinary: (table, names, given) => insertBinary(client, table, names, given),
    },
    { send: async () => {} },
    {
      inserted() {},
      sent() {},
      failed: (error) => void faults.push((error as Error).message),
      step() {},
    },
  );
});

afterAll(async () => {
  sink?.close();
  await client?.close();
  await command(`DROP DATABASE IF EXISTS ${database}`);
});

describe('eleven years of a table in one batch', () => {
  it.each([
    ['adjustments', 'start', (ms: number) => ms / 1_000],
    ['funnel_hours', 'hour', (ms: number) => ms / 1_000],
    ['campaign_hours', 'hour', (ms: number) => ms / 1_000],
    ['north_star_days', 'day', (ms: number) => new Date(ms).toISOString().slice(0, 10)],
  ] as const)('%s', async (table, column, value) => {
    const months = Array.from({ length: 132 }, (_, month) => value(Date.UTC(2014, month, 1)));
    const given = months.map((at) => rowOf(table, { [column]: at, funnel: 'long', steps: [1] }));
    await sink.deliver(batchOf(table, given));
    const where = table === 'funnel_hours' ? "WHERE funnel = 'long'" : '';
    expect(await rows(`SELECT count() FROM ${table} FINAL ${where}`)).toEqual([[132]]);
    expect(faults).toEqual([]);
  });
});

describe('steps that were taken back elsewhere', () => {
  it('are a value below 0, beside what was there before tables could say so', async () => {
    const row = rowOf('funnel_hours', { funnel: 'back', hour: START_MS / 1_000, steps: [-1, 0] });
    await sink.deliver(batchOf('funnel_hours', [row]));
    const found = await rows(
      "SELECT funnel, steps FROM funnel_hours FINAL WHERE funnel != 'long' ORDER BY funnel",
    );
    expect(found).toEqual([
      ['back', [-1, 0]],
      ['old', [3, 2, 0]],
    ]);
    expect(faults).toEqual([]);
  });
});

describe('a row that ClickHouse refuses for what stands in it', () => {
  const hour = START_MS / 1_000;
  const good = (funnel: string): Row => rowOf('funnel_hours', { funnel, hour, steps: [1] });

  it('is named, and holds nothing up but its batch, of which the other tables are in', async () => {
    const arrived: string[] = [];
    const deliver = (name: string, batch: Batch): Promise<void> =>
      sink.deliver(batch).then(() => void arrived.push(name));
    const refused = batchOf('funnel_hours', [
      ...['a', 'b', 'c'].map(good),
      rowOf('funnel_hours', { funnel: 'refused', hour, steps: ['none'] }),
      good('d'),
    ]);
    addRow(refused, 'north_star_days', rowOf('north_star_days', { day: '2030-01-01', visitors: 7 }));
    const others = ['before', 'with', 'behind'].map((name) => batchOf('funnel_hours', [good(name)]));
    await deliver('before', others[0]!);
    void deliver('refused', refused);
    await Promise.all([deliver('with', others[1]!), deliver('behind', others[2]!)]);
    expect(arrived).toEqual(['before', 'with', 'behind']);
    await vi.waitFor(() => expect(faults).toHaveLength(1));
    expect(faults[0]).toMatch(/refuses a row of funnel_hours, .*\["refused",1,1388534400,.*steps/);
    expect(await rows("SELECT visitors FROM north_star_days FINAL WHERE day = '2030-01-01'")).toEqual([[7]]);
    expect(await rows(`SELECT count() FROM funnel_hours FINAL WHERE funnel IN ('with', 'behind')`)).toEqual([
      [2],
    ]);
  });
});
