// Latest values of hours against a real ClickHouse: one that it refuses holds up no other, and is taken once it can be.
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { afterAll, beforeAll, expect, inject, it, vi } from 'vitest';
import { arrange } from '../../domain/in-force.ts';
import { type ClickHouse, insertBinary, insertCompact, openClickHouse } from '../../platform/clickhouse.ts';
import { migrateSql } from '../../platform/migrate-sql.ts';
import { Delivery } from '../../stream/delivery.ts';
import { createSink, RefusedRow, type Sink } from '../../stream/sink.ts';
import { emptyHead } from '../../stream/state.ts';
import { createWaitingTriggers } from '../../stream/triggers.ts';
import { createWindows } from '../../stream/windows.ts';
import { createWork } from '../../stream/work.ts';
import { noCounters } from './support/no-counters.ts';

const url = inject('clickhouseUrl');
const database = `flywheel_delivery_${randomBytes(3).toString('hex')}`;
const HOUR_MS = Date.UTC(2026, 0, 1);
/** As no count of ours: more than the column holds. */
const TOO_MUCH = 1e30;
let client: ClickHouse;
let sink: Sink;
const refused: string[] = [];

async function command(query: string): Promise<void> {
  const server = openClickHouse({ url, database: 'default' });
  await server.command({ query });
  await server.close();
}

beforeAll(async () => {
  await command(`CREATE DATABASE ${database}`);
  client = openClickHouse({ url, database });
  await migrateSql(client, path.join(import.meta.dirname, '../../sql'));
  sink = createSink(
    {
      insert: (table, names, rows) => insertCompact(client, table, names, rows),
      insertBinary: (table, names, rows) => insertBinary(client, table, names, rows),
    },
    { send: async () => {} },
    {
      inserted() {},
      sent() {},
      failed: (error) =>
        void refused.push(error instanceof RefusedRow ? String(error.row[3]) : String(error)),
      step() {},
    },
  );
});

afterAll(async () => {
  sink?.close();
  await client?.close();
  await command(`DROP DATABASE IF EXISTS ${database}`);
});

/** The first step's count of each country. */
async function stored(): Promise<unknown> {
  const answer = await client.query({
    query: 'SELECT country, steps[1] FROM funnel_hours FINAL ORDER BY country',
    format: 'JSONCompactEachRow',
  });
  return answer.json();
}

it('a refused value is named once a minute and seen as undelivered, while the others go on', async () => {
  const id = { topic: 'events', generation: 1, partition: 0 } as const;
  const inForce = { kept: [], definitions: arrange([]) };
  const head = { ...emptyHead(), nonce: 'n', seq: 0, watermarkMs: HOUR_MS };
  const parts = { id, head, inForce, windows: createWindows(), triggers: createWaitingTriggers() };
  const work = createWork({ ...parts, counters: noCounters });
  let nowMs = 1_000;
  const delivery = new Delivery(
    work,
    sink,
    [],
    () => nowMs,
    () => {},
  );
  const count = (country: string, amount: number): void => {
    head.offset += 1;
    const effect = { kind: 'count', series: 'funnel:f', revision: 1, column: 0, timeMs: HOUR_MS } as const;
    work.windows.count({ ...effect, cell: `${country}||`, amount }, inForce.definitions, HOUR_MS);
  };
  const flush = async (expected: unknown): Promise<void> => {
    delivery.flushAggregates();
    await vi.waitFor(async () => expect(await stored()).toEqual(expected), { timeout: 10_000 });
  };

  count('AT', 1);
  count('DE', TOO_MUCH);
  count('FR', 3);
  await flush([
    ['AT', 1],
    ['FR', 3],
  ]);
  await vi.waitFor(() => expect(refused).toEqual(['DE']));
  expect([delivery.flushedVersion(), delivery.inSink, delivery.oldestMs]).toEqual([0n, 1, 1_000]);

  nowMs = 6_000;
  count('AT', 1);
  count('DE', 1);
  await flush([
    ['AT', 2],
    ['FR', 3],
  ]);
  await vi.waitFor(() => expect(delivery.inSink).toBe(1));
  expect([delivery.flushedVersion(), delivery.oldestMs]).toEqual([0n, 1_000]);
  expect(refused).toEqual(['DE']);

  nowMs = 61_000;
  count('AT', 1);
  await flush([
    ['AT', 3],
    ['FR', 3],
  ]);
  await vi.waitFor(() => expect(refused).toEqual(['DE', 'DE']));

  // A count that a rewind, say, has made right.
  count('DE', -TOO_MUCH);
  count('DE', 5);
  nowMs = 122_000;
  await flush([
    ['AT', 3],
    ['DE', 5],
    ['FR', 3],
  ]);
  await vi.waitFor(() => expect(delivery.flushedVersion()).toBeGreaterThan(0n));
  nowMs = 127_000;
  delivery.flushAggregates();
  expect([delivery.inSink, delivery.oldestMs]).toEqual([0, undefined]);
  expect(refused).toEqual(['DE', 'DE']);
});
