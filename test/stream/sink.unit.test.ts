// The sink: one insert never meets more months than ClickHouse takes, what fails is tried again, nothing is lost.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { ClickHouseError } from '@clickhouse/client';
import { expect, it, onTestFinished, vi } from 'vitest';
import { addRow, newBatch } from '../../stream/batch.ts';
import { type EventRowContext, EventRows } from '../../stream/event-rows.ts';
import { eventInsertsOf, insertsOf } from '../../stream/inserts.ts';
import { columns, partitionedBy, type Row, type Table } from '../../stream/rows.ts';
import { createSink, type SinkObserver } from '../../stream/sink.ts';

const visit = {
  kind: 'page' as const,
  messageId: 'm-1',
  userId: '1',
  timestamp: Date.UTC(2024, 0, 1),
  receivedAt: Date.UTC(2024, 0, 1),
};
const place: EventRowContext = {
  key: 'u:1',
  generation: 1,
  partition: 0,
  offset: 1,
  appendMs: 0,
  verdict: 'applied',
  behaviour: 'visit',
  raw: Buffer.from('{}'),
};
const PARTITIONS_PER_INSERT_MAX = 100;
const time = columns.transitions.indexOf('time');

function rowAt(timeMs: number, mark = 0): Row {
  const row: unknown[] = new Array(columns.transitions.length).fill('');
  row[time] = timeMs;
  row[0] = mark;
  return row;
}

function monthOf(row: Row): string {
  return new Date(row[time] as number).toISOString().slice(0, 7);
}

it('a century in one batch becomes inserts of few enough calendar months, with every row once', () => {
  const rows: Row[] = [];
  for (let month = 0; month < 1_200; month += 1) {
    // First and last millisecond of the month, the hardest for a month of average length; in no order.
    rows.push(rowAt(Date.UTC(2000, month, 1), rows.length));
    rows.unshift(rowAt(Date.UTC(2000, month + 1, 1) - 1, rows.length));
  }
  const inserts = insertsOf('transitions', rows);
  for (const insert of inserts) {
    expect(new Set(insert.map(monthOf)).size).toBeLessThanOrEqual(PARTITIONS_PER_INSERT_MAX);
  }
  const marks = inserts.flat().map((row) => row[0] as number);
  expect(marks.sort((a, b) => a - b)).toEqual(rows.map((_, index) => index));
});

it('months that stand apart count, though each of average length meets two of them', () => {
  const rows: Row[] = [];
  for (let month = 0; month < 160; month += 2) {
    rows.push(rowAt(Date.UTC(2000, month, 1) - 1), rowAt(Date.UTC(2000, month, 1)));
  }
  for (const insert of insertsOf('transitions', rows)) {
    expect(new Set(insert.map(monthOf)).size).toBeLessThanOrEqual(PARTITIONS_PER_INSERT_MAX);
  }
});

const sqlDir = path.join(import.meta.dirname, '../../sql');
const sql = readdirSync(sqlDir)
  .filter((name) => name.endsWith('.sql'))
  .map((name) => readFileSync(path.join(sqlDir, name), 'utf8'))
  .join('\n----\n');

/** What sql/ says of a table's partitions: of which column and which type, or null. */
function partitionOf(table: Table): { column: string; type: string } | null {
  const created = new RegExp(`CREATE TABLE IF NOT EXISTS ${table}\\n(.*?)\\n----\\n`, 's').exec(
    `${sql}\n----\n`,
  );
  const by = /PARTITION BY (.*)/.exec(created![1]!)?.[1];
  if (by === undefined) return null;
  const column = /^toYYYYMM\((\w+)\)$/.exec(by)![1]!;
  return { column, type: new RegExp(`^    ${column} +(\\w+)`, 'm').exec(created![1]!)![1]! };
}

const typeOf = { ms: 'DateTime64', s: 'DateTime', date: 'Date' };

it.each(Object.keys(columns) as Table[])('rows of %s are cut by what sql/ partitions it by', (table) => {
  const by = partitionedBy[table];
  expect(by && { column: by.column, type: typeOf[by.unit] }).toEqual(partitionOf(table));
  if (by !== null) expect(columns[table]).toContain(by.column);
});

it.each([
  ['adjustments', 'start', (ms: number) => ms / 1_000],
  ['funnel_hours', 'hour', (ms: number) => ms / 1_000],
  ['campaign_hours', 'hour', (ms: number) => ms / 1_000],
  ['north_star_days', 'day', (ms: number) => new Date(ms).toISOString().slice(0, 10)],
] as const)('ten years of %s are cut', (table, column, value) => {
  const place = columns[table].indexOf(column);
  const rows = Array.from({ length: 120 }, (_, month): Row => {
    const row: unknown[] = new Array(columns[table].length).fill('');
    row[place] = value(Date.UTC(2014, month, 1));
    return row;
  });
  const inserts = insertsOf(table, rows);
  expect(Math.max(...inserts.map((insert) => insert.length))).toBeLessThanOrEqual(PARTITIONS_PER_INSERT_MAX);
  expect(inserts.flat()).toEqual(rows);
});

it('few months are one insert, in the order in which they came', () => {
  const rows = [5, 1, 3].map((month) => rowAt(Date.UTC(2024, month, 1)));
  expect(insertsOf('transitions', rows)).toEqual([rows]);
});

it('the same holds for the bytes of events, over several batches', () => {
  const batches = [new EventRows(), new EventRows(), new EventRows()];
  const times = new Map<string, number>();
  for (let month = 0; month < 1_200; month += 1) {
    const record = { ...visit, messageId: `m-${month}`, timestamp: Date.UTC(2000, month, 1) };
    const rows = batches[month % 2 === 0 ? 0 : 2]!;
    rows.add(record, { ...place, offset: month });
    times.set(rows.row(rows.length - 1).toString('hex'), record.timestamp);
  }
  const inserts = eventInsertsOf(batches);
  expect(inserts.length).toBeGreaterThan(1);
  for (const { count, pieces } of inserts) {
    const months = pieces.map((piece) =>
      new Date(times.get(piece.toString('hex'))!).toISOString().slice(0, 7),
    );
    expect(new Set(months).size).toBeLessThanOrEqual(PARTITIONS_PER_INSERT_MAX);
    expect(pieces.length).toBe(count);
  }
  const all = inserts.flatMap(({ pieces }) => pieces.map((piece) => piece.toString('hex')));
  expect(all.sort()).toEqual([...times.keys()].sort());
});

it('few months of events are one insert of whole batches, without those that have none', () => {
  const rows = new EventRows();
  rows.add(visit, place);
  rows.add({ ...visit, messageId: 'm-2' }, { ...place, offset: 2 });
  const [insert, ...others] = eventInsertsOf([new EventRows(), rows]);
  expect(others).toEqual([]);
  expect(insert).toEqual({ count: 2, pieces: [Buffer.concat([rows.row(0), rows.row(1)])] });
  rows.dropLast();
  expect(rows.bytes().equals(rows.row(0))).toBe(true);
  expect(eventInsertsOf([new EventRows()])).toEqual([]);
});

const observer: SinkObserver = { inserted: () => {}, sent: () => {}, failed: () => {}, step: () => {} };

it('a store that fails is tried again until it has everything; only then is the batch delivered', async () => {
  let failures = 2;
  const stored: unknown[] = [];
  let delivered = false;
  const sink = createSink(
    {
      insert: async (table, _, rows) => {
        expect(delivered).toBe(false);
        failures -= 1;
        if (failures >= 0) throw new Error('away');
        stored.push(table, rows.length);
      },
      insertBinary: async () => {},
    },
    { send: async (records) => void stored.push(...records.map(({ value }) => value)) },
    observer,
  );
  const batch = newBatch(0);
  addRow(batch, 'transitions', ['a']);
  addRow(batch, 'transitions', ['b']);
  batch.records.push({ to: 'triggers', partition: 0, key: null, value: 'sent', source: '' });
  await sink.deliver(batch).then(() => {
    delivered = true;
  });
  expect(stored).toEqual(['sent', 'transitions', 2]);
});

it('records leave in the order of the batches, though the first send fails', async () => {
  const sent: string[] = [];
  let failed = false;
  const sink = createSink(
    { insert: async () => {}, insertBinary: async () => {} },
    {
      send: async (records) => {
        if (!failed) {
          failed = true;
          throw new Error('away');
        }
        sent.push(...records.map(({ value }) => value));
      },
    },
    observer,
  );
  const batches = ['first', 'second', 'third'].map((value, index) => {
    const batch = newBatch(index);
    batch.records.push({ to: 'triggers', partition: 0, key: null, value, source: '' });
    return batch;
  });
  await Promise.all(batches.map((batch) => sink.deliver(batch)));
  expect(sent).toEqual(['first', 'second', 'third']);
});

it('a batch with a row that is refused is tried again a minute later, and is delivered when all of it is taken', async () => {
  vi.useFakeTimers();
  const refuses = new ClickHouseError({ message: 'no', code: '27', type: 'CANNOT_PARSE_NUMBER' });
  let isMended = false;
  const delivered: string[] = [];
  const faults: unknown[] = [];
  const sink = createSink(
    {
      insert: async (_, __, rows) => {
        if (!isMended && rows.some(([mark]) => mark === 'bad')) throw refuses;
      },
      insertBinary: async () => {},
    },
    { send: async () => {} },
    { ...observer, failed: (error) => void faults.push(error) },
  );
  const batches = { first: ['good'], bad: ['good', 'bad', 'good'], last: ['good'] };
  for (const [name, marks] of Object.entries(batches)) {
    const batch = newBatch(0);
    for (const mark of marks) addRow(batch, 'leases', [mark]);
    void sink.deliver(batch).then(() => void delivered.push(name));
  }
  await vi.advanceTimersByTimeAsync(50_000);
  expect(delivered).toEqual(['first', 'last']);
  expect(faults).toEqual([expect.objectContaining({ table: 'leases', row: ['bad'] })]);
  isMended = true;
  await vi.advanceTimersByTimeAsync(20_000);
  expect(delivered).toEqual(['first', 'last', 'bad']);
  vi.useRealTimers();
});

it('keeps no batch of an owner that has ended, but of the lot that is under way', async () => {
  const inserted: Row[][] = [];
  let goOn = (): void => {};
  const sink = createSink(
    {
      insert: (_table, _columns, rows) => {
        inserted.push([...rows]);
        return new Promise((resolve) => (goOn = resolve));
      },
      insertBinary: async () => {},
    },
    { send: async () => {} },
    { inserted() {}, sent() {}, failed() {}, step() {} },
  );
  const arrived: number[] = [];
  const deliver = (mark: number) => {
    const batch = newBatch(mark);
    addRow(batch, 'transitions', rowAt(Date.UTC(2026, 0, 1), mark));
    void sink.deliver(batch).then(() => arrived.push(mark));
    return batch;
  };
  deliver(0);
  await vi.waitFor(() => expect(inserted).toHaveLength(1));
  for (let owner = 1; owner < 10; owner += 1) sink.forget(new Set([deliver(owner)]));
  deliver(10);
  goOn();
  await vi.waitFor(() => expect(inserted).toHaveLength(2));
  goOn();
  await vi.waitFor(() => expect(arrived).toEqual([0, 10]));
  expect(inserted.map((rows) => rows.map(([mark]) => mark))).toEqual([[0], [10]]);
  sink.close();
});

it('a row that is refused of a batch that was forgotten meanwhile is its successor’s to tell', async () => {
  vi.useFakeTimers();
  onTestFinished(() => {
    vi.useRealTimers();
  });
  const refusal = new ClickHouseError({
    message: 'it cannot be read',
    code: '27',
    type: 'CANNOT_PARSE_NUMBER',
  });
  const failed: unknown[] = [];
  let tries = 0;
  const sink = createSink(
    {
      insert: async () => {
        tries += 1;
        await new Promise((resolve) => setTimeout(resolve, 100));
        throw refusal;
      },
      insertBinary: async () => {},
    },
    { send: async () => {} },
    { inserted() {}, sent() {}, failed: (error) => void failed.push(error), step() {} },
  );
  const batchOf = () => {
    const batch = newBatch(1);
    addRow(batch, 'transitions', rowAt(Date.UTC(2026, 0, 1)));
    void sink.deliver(batch);
    return new Set([batch]);
  };
  const aside = batchOf();
  await vi.advanceTimersByTimeAsync(10_000);
  expect([tries, failed.length]).toEqual([1, 1]);
  // Put aside: no copy of an ended owner's is tried on.
  sink.forget(aside);
  const underWay = batchOf();
  await vi.advanceTimersByTimeAsync(1);
  sink.forget(underWay);
  await vi.advanceTimersByTimeAsync(200_000);
  expect([tries, failed.length]).toEqual([2, 1]);
  sink.close();
});
