// The sink: one insert never meets more months than ClickHouse takes, what fails is tried again, nothing is lost.
import { expect, it } from 'vitest';
import { addRow, newBatch } from '../../stream/batch.ts';
import { columns, type Row } from '../../stream/rows.ts';
import { createSink, insertsOf, type SinkObserver } from '../../stream/sink.ts';

const PARTITIONS_PER_INSERT_MAX = 100;
const time = columns.events.indexOf('time');

function rowAt(timeMs: number, mark = 0): Row {
  const row: unknown[] = new Array(columns.events.length).fill('');
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
  const inserts = insertsOf('events', rows);
  for (const insert of inserts) {
    expect(new Set(insert.map(monthOf)).size).toBeLessThanOrEqual(PARTITIONS_PER_INSERT_MAX);
  }
  const marks = inserts.flat().map((row) => row[0] as number);
  expect(marks.sort((a, b) => a - b)).toEqual(rows.map((_, index) => index));
});

it('few months are one insert, in the order in which they came', () => {
  const rows = [5, 1, 3].map((month) => rowAt(Date.UTC(2024, month, 1)));
  expect(insertsOf('events', rows)).toEqual([rows]);
});

const observer: SinkObserver = { inserted: () => {}, failed: () => {}, step: () => {} };

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
    { insert: async () => {} },
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
