// Behind the commit: rows to ClickHouse in large inserts over many batches, records to Kafka, in order.
// Both take repeats, so a batch that fails is simply tried again; nothing is skipped and nothing is dropped.
import type { Batch, OutboxRecord } from './batch.ts';
import type { EventRows } from './event-rows.ts';
import { insertsByMonth, monthOf } from './months.ts';
import { columns, type Row, type Table } from './rows.ts';

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
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 5_000;

interface Waiting {
  readonly batch: Batch;
  readonly done: () => void;
}

function rowsByTable(batches: readonly Waiting[]): Map<Table, Row[]> {
  const all = new Map<Table, Row[]>();
  const add = (table: Table, rows: readonly Row[]): void => {
    if (rows.length === 0) return;
    const known = all.get(table);
    if (known === undefined) all.set(table, [...rows]);
    else for (const row of rows) known.push(row);
  };
  for (const { batch } of batches) {
    add('links', batch.linkRows);
    for (const [table, rows] of batch.rows) add(table, rows);
  }
  return all;
}

/** Cuts rows so that one insert meets few enough months of its time column. */
export function insertsOf(table: Table, rows: readonly Row[]): (readonly Row[])[] {
  const timeColumn = columns[table].indexOf('time');
  if (timeColumn === -1) return [rows];
  const inserts = insertsByMonth(rows.map((row) => monthOf(row[timeColumn] as number)));
  return inserts === null ? [rows] : inserts.map((places) => places.map((place) => rows[place]!));
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

export function createSink(rowStore: RowStore, recordStore: RecordStore, observer: SinkObserver): Sink {
  let queue: Waiting[] = [];
  let running = false;
  let closed = false;

  async function insertEvents(batches: readonly Batch[]): Promise<void> {
    const inserts = eventInsertsOf(batches.map(({ eventRows }) => eventRows));
    for (const { count, pieces } of inserts) {
      const startedMs = performance.now();
      await rowStore.insertBinary('events', columns.events, pieces);
      observer.inserted('events', count, (performance.now() - startedMs) / 1_000);
    }
    if (inserts.length > 0) observer.step('mid-insert', batches);
  }

  async function insertAll(waiting: readonly Waiting[]): Promise<void> {
    const batches = waiting.map(({ batch }) => batch);
    observer.step('before-insert', batches);
    await insertEvents(batches);
    for (const [table, rows] of rowsByTable(waiting)) {
      for (const part of insertsOf(table, rows)) {
        const startedMs = performance.now();
        await rowStore.insert(table, columns[table], part);
        observer.inserted(table, part.length, (performance.now() - startedMs) / 1_000);
      }
      observer.step('mid-insert', batches);
    }
    observer.step('after-insert', batches);
  }

  async function sendAll(waiting: readonly Waiting[]): Promise<void> {
    const batches = waiting.map(({ batch }) => batch);
    const records = batches.flatMap((batch) => batch.records);
    if (records.length === 0) return;
    observer.step('before-outbox', batches);
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

  function takeSome(): Waiting[] {
    let rows = 0;
    let count = 0;
    for (const { batch } of queue) {
      rows += batch.eventRows.length;
      count += 1;
      if (rows >= ROWS_PER_INSERT_MAX) break;
    }
    const taken = queue.slice(0, count);
    queue = queue.slice(count);
    return taken;
  }

  async function run(): Promise<void> {
    running = true;
    while (queue.length > 0 && !closed) {
      const taken = takeSome();
      await Promise.all([untilDone(() => insertAll(taken)), untilDone(() => sendAll(taken))]);
      if (!closed) for (const { done } of taken) done();
    }
    running = false;
  }

  return {
    deliver(batch) {
      return new Promise((resolve) => {
        queue.push({ batch, done: resolve });
        if (!running) void run();
      });
    },
    close() {
      closed = true;
    },
  };
}
