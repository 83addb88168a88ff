// Latest values that ClickHouse refuses gather, an hour's cell in each hour of a day, in all partitions of one sink: the others get in.
import { ClickHouseError } from '@clickhouse/client';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { arrange } from '../../domain/in-force.ts';
import { addRow, newBatch } from '../../stream/batch.ts';
import { Delivery } from '../../stream/delivery.ts';
import { columns, type Row } from '../../stream/rows.ts';
import { createSink, RefusedRow, type SinkObserver } from '../../stream/sink.ts';
import { emptyHead } from '../../stream/state.ts';
import { createWaitingTriggers } from '../../stream/triggers.ts';
import { createWindows } from '../../stream/windows.ts';
import { createWork } from '../../stream/work.ts';
import { noCounters } from './support/no-counters.ts';

const START_MS = Date.UTC(2026, 0, 1);
const HOUR_MS = 3_600_000;
const FLUSH_MS = 5_000;
const PARTITIONS = 12;
const HOURS = 25;
const refuses = new ClickHouseError({ message: 'no', code: '27', type: 'CANNOT_PARSE_NUMBER' });
const hourAt = columns.funnel_hours.indexOf('hour');
const countryAt = columns.funnel_hours.indexOf('country');
const visit = {
  kind: 'page',
  messageId: 'm-1',
  userId: '1',
  timestamp: START_MS,
  receivedAt: START_MS,
} as const;
const at = { key: 'u:1', generation: 1, partition: 0, offset: 1, appendMs: 0, raw: Buffer.from('{}') };
const place = { ...at, verdict: 'applied', behaviour: 'visit' } as const;
const observer: SinkObserver = { inserted() {}, sent() {}, failed() {}, step() {} };

/** A ClickHouse that refuses `bad`, until it is mended. */
function storeOf() {
  const stored: Row[] = [];
  const tried = new Set<Row>();
  const state = { isMended: false, takes: (_: Row): boolean => false, stored, tried };
  const insert = async (_: unknown, __: unknown, rows: readonly Row[]): Promise<void> => {
    const bad = rows.filter((row) => row.includes('bad'));
    for (const row of bad) tried.add(row);
    if (!state.isMended && bad.some((row) => !state.takes(row))) throw refuses;
    stored.push(...rows);
  };
  return { state, rowStore: { insert, insertBinary: async () => {} } };
}

function partitionOf(partition: number, sink: ReturnType<typeof createSink>) {
  const id = { topic: 'events', generation: 1, partition } as const;
  const inForce = { kept: [], definitions: arrange([]) };
  const head = { ...emptyHead(), nonce: 'n', seq: 0, watermarkMs: START_MS };
  const parts = { id, head, inForce, windows: createWindows(), triggers: createWaitingTriggers() };
  const work = createWork({ ...parts, counters: noCounters });
  const delivery = new Delivery(work, sink, [], Date.now, () => {});
  return {
    delivery,
    count(country: string, hour: number): void {
      head.offset += 1;
      const effect = { kind: 'count', series: 'funnel:f', revision: 1, column: 0, amount: 1 } as const;
      const timeMs = START_MS + hour * HOUR_MS;
      work.windows.count({ ...effect, cell: `${country}||`, timeMs }, inForce.definitions, START_MS);
    },
  };
}

beforeEach(() => void vi.useFakeTimers({ now: START_MS }));
afterEach(() => void vi.useRealTimers());

it('values refused hour after hour hold up nobody, are tried by one of each partition, and get in once they can', async () => {
  const { state, rowStore } = storeOf();
  const sink = createSink(rowStore, { send: async () => {} }, observer);
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => partitionOf(partition, sink));
  const flush = async (): Promise<void> => {
    for (const { delivery } of partitions) delivery.flushAggregates();
    await vi.advanceTimersByTimeAsync(FLUSH_MS);
  };
  // A row that an attempt repeats is the same row.
  const good = () => new Set(state.stored.filter((row) => row[countryAt] === 'DE')).size;

  for (let hour = 0; hour < HOURS; hour += 1) {
    for (const { count } of partitions) {
      count('bad', hour);
      count('DE', hour);
    }
    await flush();
    expect(good()).toBe(PARTITIONS * (hour + 1));
  }
  // By now some were tried again; from here on nothing new is refused, and in a minute each partition tries one.
  state.tried.clear();
  for (let times = 0; times < 60_000 / FLUSH_MS; times += 1) await flush();
  expect(state.tried.size).toBe(PARTITIONS);

  state.isMended = true;
  for (let times = 0; times < (2 * 60_000) / FLUSH_MS; times += 1) await flush();
  expect(state.stored.filter((row) => row.includes('bad')).length).toBe(HOURS * PARTITIONS);
  expect(partitions.map(({ delivery }) => delivery.inSink)).toEqual(partitions.map(() => 0));
  sink.close();
});

// The others were refused once more, and for half a minute nothing said that they were owed.
it('values of which one is taken when it is tried are owed since they were, until the others are taken', async () => {
  const { state, rowStore } = storeOf();
  const sink = createSink(rowStore, { send: async () => {} }, observer);
  const { delivery, count } = partitionOf(0, sink);
  const flush = async (): Promise<void> => {
    delivery.flushAggregates();
    await vi.advanceTimersByTimeAsync(FLUSH_MS);
  };
  for (let hour = 0; hour < 3; hour += 1) count('bad', hour);
  await flush();
  const hours = (rows: Iterable<Row>) => [...rows].map((row) => row[hourAt]);
  const [first, ...others] = hours(state.tried);
  state.takes = (row) => row[hourAt] === first;
  state.tried.clear();
  for (let times = 0; times < 60_000 / FLUSH_MS + 1; times += 1) {
    await flush();
    expect(delivery.oldestMs).toBe(START_MS);
  }
  expect([hours(state.stored), hours(state.tried)]).toEqual([[first], [first, ...others]]);

  state.isMended = true;
  for (let times = 0; times < 60_000 / FLUSH_MS + 1; times += 1) await flush();
  expect(hours(state.stored).sort()).toEqual([first, ...others].sort());
  expect([delivery.inSink, delivery.oldestMs, delivery.flushedVersion() > 0n]).toEqual([0, undefined, true]);
  sink.close();
});

it('more refused rows than one attempt looks for, as all come again at a start, keep out none of the others', async () => {
  const { state, rowStore } = storeOf();
  const told: unknown[] = [];
  const sink = createSink(
    rowStore,
    { send: async () => {} },
    { ...observer, failed: (e) => void told.push(e) },
  );
  const latest = newBatch(0);
  for (let row = 0; row < 30; row += 1) {
    addRow(latest, 'leases', ['bad', row]);
    addRow(latest, 'leases', ['good', row]);
  }
  const kept = newBatch(0);
  for (let row = 30; row < 60; row += 1) addRow(kept, 'leases', ['bad', row]);
  addRow(kept, 'leases', ['good', 30]);
  let refused: readonly Row[] = [];
  let isKeptIn = false;
  void sink.deliverLatest(latest).then((rows) => (refused = rows));
  void sink.deliver(kept).then(() => (isKeptIn = true));

  await vi.advanceTimersByTimeAsync(30_000);
  expect(new Set(state.stored.map((row) => row.join()))).toEqual(
    new Set(Array.from({ length: 31 }, (_, row) => `good,${row}`)),
  );
  expect(refused.map((row) => row[1])).toEqual(Array.from({ length: 30 }, (_, row) => row));
  expect(isKeptIn).toBe(false);
  state.isMended = true;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(isKeptIn).toBe(true);
  sink.close();
});

// Each attempt found twenty, waited as for an outage, and inserted everything else once more.
it('hundreds of refused rows among others are found in one attempt, and nothing that is in is inserted again for them', async () => {
  const { state, rowStore } = storeOf();
  const events: number[] = [];
  const told: unknown[] = [];
  const sink = createSink(
    { ...rowStore, insertBinary: async (_, __, pieces) => void events.push(pieces.length) },
    { send: async () => {} },
    { ...observer, failed: (error, attempt) => void told.push([error instanceof RefusedRow, attempt]) },
  );
  const latest = Array.from({ length: PARTITIONS }, (_, partition) => {
    const batch = newBatch(0);
    for (let hour = 0; hour < HOURS; hour += 1) {
      addRow(batch, 'leases', ['good', partition, hour]);
      addRow(batch, 'leases', ['bad', partition, hour]);
    }
    return batch;
  });
  const kept = newBatch(0);
  kept.eventRows.add(visit, place);
  addRow(kept, 'leases', ['good', PARTITIONS, 0]);
  let refused: readonly (readonly Row[])[] = [];
  void Promise.all(latest.map((batch) => sink.deliverLatest(batch))).then((rows) => (refused = rows));
  void sink.deliver(kept);
  await vi.advanceTimersByTimeAsync(1_000);

  expect(refused).toEqual(
    latest.map((_, partition) => Array.from({ length: HOURS }, (__, hour) => ['bad', partition, hour])),
  );
  expect(events).toEqual([1]);
  expect(state.stored).toHaveLength(PARTITIONS * HOURS + 1);
  expect(new Set(state.stored).size).toBe(state.stored.length);
  expect(told).toEqual(new Array(PARTITIONS * HOURS).fill([true, 1]));
  sink.close();
});

it('a table that takes none is waited for like an outage, not searched row by row', async () => {
  const { state, rowStore } = storeOf();
  const told: unknown[] = [];
  const sink = createSink(
    rowStore,
    { send: async () => {} },
    { ...observer, failed: (error) => void told.push(error) },
  );
  const batch = newBatch(0);
  for (let row = 0; row < 1_000; row += 1) addRow(batch, 'leases', ['bad', row]);
  let isIn = false;
  void sink.deliver(batch).then(() => (isIn = true));
  await vi.advanceTimersByTimeAsync(1_000);
  expect(told.length).toBeGreaterThan(0);
  expect(new Set(told)).toEqual(new Set([refuses]));
  state.isMended = true;
  await vi.advanceTimersByTimeAsync(5_000);
  expect(told.filter((error) => error instanceof RefusedRow).length).toBeLessThan(100);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(isIn).toBe(true);
  sink.close();
});
