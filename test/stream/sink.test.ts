// The sink against a real ClickHouse: it takes what the stream may write.
import { randomBytes } from 'node:crypto';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
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
