// Behind the commit: rows to ClickHouse in large inserts over many batches, records to Kafka, in order.
// Both take repeats, so a batch that fails is simply tried again; nothing is skipped and nothing is dropped.
import type { Batch, OutboxRecord } from './batch.ts';
import type { EventRows } from './event-rows.ts';
import { createLane } from './lane.ts';
import { insertsByMonth, monthOf } from './months.ts';
import { columns, type MonthColumn, partitionedBy, type Row, type Table } from './rows.ts';

/** What the sink needs of ClickHouse. */
export interface RowStore {
  insert(table: Table, columns: readonly string[], rows: readonly Row[]): Promise<void>;
  /** Rows that are RowBinary already, in as many pieces as there are. */
  insertBinary(table: Table, columns: readonly string[], rows: readonly Buffer[]): Promise<void>;
}

/** What the sink needs of Kafka. */
export interface RecordStore {
  send(records: readonly OutboxRecord[]): Promise<void>;
}

export type SinkStep = 'before-insert' | 'mid-insert' | 'after-insert' | 'before-outbox' | 'after-outbox';

export interface SinkObserver {
  inserted(table: Table, rows: number, seconds: number): void;
  /** Records that Kafka has acknowledged. */
  sent(records: number, seconds: number): void;
  failed(error: unknown, attempt: number): void;
  /** Named steps, where tests kill the process, and the batches at hand. */
  step(name: SinkStep, batches: readonly Batch[]): void;
}

export interface Sink {
  /** Resolves when all rows and records of the batch are in. */
  deliver(batch: Batch): Promise<void>;
  close(): void;
}

const ROWS_PER_INSERT_MAX = 50_000;
/** Inserts begin no sooner after each other, unless there are so many rows: each makes a part a table, which has to be merged. */
const INSERT_EVERY_MS = 250;
const ROWS_AT_ONCE = 20_000;
const RECORDS_PER_SEND_MAX = 20_000;
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 5_000;

function rowsByTable(batches: readonly Batch[]): Map<Table, Row[]> {
  const all = new Map<Table, Row[]>();
  const add = (table: Table, rows: readonly Row[]): void => {
    if (rows.length === 0) return;
    const known = all.get(table);
    if (known === undefined) all.set(table, [...rows]);
    else for (const row of rows) known.push(row);
  };
  for (const { linkRows, rows } of batches) {
    add('links', linkRows);
    for (const [table, own] of rows) add(table, own);
  }
  return all;
}

const msOf: Record<MonthColumn['unit'], (value: unknown) => number> = {
  ms: (value) => value as number,
  s: (value) => (value as number) * 1_000,
  date: (value) => Date.parse(value as string),
};

/** Cuts rows so that one insert meets few enough of the months by which the table is partitioned. */
export function insertsOf(table: Table, rows: readonly Row[]): (readonly Row[])[] {
  const by = partitionedBy[table];
  if (by === null) return [rows];
  const place = columns[table].indexOf(by.column);
  const inserts = insertsByMonth(rows.map((row) => monthOf(msOf[by.unit](row[place]))));
  return inserts === null ? [rows] : inserts.map((places) => places.map((place) => rows[place]!));
}

/** One insert of so many rows. */
interface Insert {
  readonly count: number;
  run(): Promise<void>;
}

interface BinaryInsert {
  readonly count: number;
  readonly pieces: readonly Buffer[];
}

/** As `insertsOf`, for the rows of `events`. */
export function eventInsertsOf(batches: readonly EventRows[]): BinaryInsert[] {
  const filled = batches.filter((rows) => rows.length > 0);
  if (filled.length === 0) return [];
  const months = filled.flatMap((rows) => rows.months);
  const inserts = insertsByMonth(months);
  if (inserts === null) return [{ count: months.length, pieces: filled.map((rows) => rows.bytes()) }];
  const all = filled.flatMap((rows) => rows.months.map((_, index) => rows.row(index)));
  return inserts.map((places) => ({ count: places.length, pieces: places.map((place) => all[place]!) }));
}

/** How many rows a batch brings to ClickHouse. */
function rowCountOf({ eventRows, linkRows, rows }: Batch): number {
  let count = eventRows.length + linkRows.length;
  for (const own of rows.values()) count += own.length;
  return count;
}

export function createSink(rowStore: RowStore, recordStore: RecordStore, observer: SinkObserver): Sink {
  let closed = false;

  /** The inserts of one table, one after the other. */
  async function insertInto(
    table: Table,
    inserts: readonly Insert[],
    batches: readonly Batch[],
  ): Promise<void> {
    for (const { count, run: insert } of inserts) {
      const startedMs = performance.now();
      await insert();
      observer.inserted(table, count, (performance.now() - startedMs) / 1_000);
    }
    if (inserts.length > 0) observer.step('mid-insert', batches);
  }

  /**
   * The rows of `events`, and beside them the other tables in turn: all at a time take the machine from the stream for as long as
   * they last. Both have ended when it fails, so that none meets its repeat.
   */
  async function insertAll(batches: readonly Batch[]): Promise<void> {
    observer.step('before-insert', batches);
    const events = eventInsertsOf(batches.map(({ eventRows }) => eventRows)).map(({ count, pieces }) => ({
      count,
      run: () => rowStore.insertBinary('events', columns.events, pieces),
    }));
    const insertOthers = async (): Promise<void> => {
      for (const [table, rows] of rowsByTable(batches)) {
        const inserts = insertsOf(table, rows).map((part) => ({
          count: part.length,
          run: () => rowStore.insert(table, columns[table], part),
        }));
        await insertInto(table, inserts, batches);
      }
    };
    const ends = await Promise.allSettled([insertInto('events', events, batches), insertOthers()]);
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    observer.step('after-insert', batches);
  }

  async function sendAll(batches: readonly Batch[]): Promise<void> {
    observer.step('before-outbox', batches);
    const records = batches.flatMap((batch) => batch.records);
    const startedMs = performance.now();
    await recordStore.send(records);
    observer.sent(records.length, (performance.now() - startedMs) / 1_000);
    observer.step('after-outbox', batches);
  }

  async function untilDone(work: () => Promise<void>): Promise<void> {
    for (let attempt = 1; !closed; attempt += 1) {
      try {
        await work();
        return;
      } catch (error) {
        observer.failed(error, attempt);
        const waitMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(attempt, 10));
        await new Promise((resolve) => setTimeout(resolve, waitMs));
      }
    }
  }

  // Records do not wait for rows: what people are told, and what partitions tell each other, is sooner there.
  const rows = createLane({
    sizeOf: rowCountOf,
    most: ROWS_PER_INSERT_MAX,
    enough: ROWS_AT_ONCE,
    everyMs: INSERT_EVERY_MS,
    work: (batches) => untilDone(() => insertAll(batches)),
  });
  const records = createLane({
    sizeOf: (batch) => batch.records.length,
    most: RECORDS_PER_SEND_MAX,
    enough: 0,
    everyMs: 0,
    work: (batches) => untilDone(() => sendAll(batches)),
  });

  return {
    async deliver(batch) {
      await Promise.all([rows.add(batch), records.add(batch)]);
    },
    close() {
      closed = true;
      rows.close();
      records.close();
    },
  };
}
