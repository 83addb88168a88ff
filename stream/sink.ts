// Behind the commit: rows to ClickHouse in large inserts over many batches, records to Kafka, in order.
// Both take repeats, so a batch that fails is simply tried again; nothing is skipped and nothing is dropped. One with a row
// that ClickHouse refuses for what stands in it waits by itself, in its outbox, until a migration or a later version has it taken;
// of an hour's or a day's latest values only the refused ones wait.
import { firstOf } from '../domain/text.ts';
import { isRefusedContent } from '../platform/clickhouse.ts';
import type { Batch, OutboxRecord } from './batch.ts';
import { batchesByRow, eventInsertsOf, insertsOf, rowCountOf, rowsByTable } from './inserts.ts';
import { createLane } from './lane.ts';
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
  /**
   * For rows alone that no outbox keeps, each of which a later one of the same cell replaces. Resolves when all are in but those that
   * ClickHouse refuses for what stands in them, with these: nobody waits for them here.
   */
  deliverLatest(batch: Batch): Promise<readonly Row[]>;
  /** Of an owner that has ended: its successor delivers them from the outbox. Whoever waits for one waits for ever. */
  forget(batches: ReadonlySet<Batch>): void;
  close(): void;
}

const ROWS_PER_INSERT_MAX = 50_000;
/** Inserts begin no sooner after each other, unless there are so many rows: each makes a part a table, which has to be merged. */
const INSERT_EVERY_MS = 250;
const ROWS_AT_ONCE = 20_000;
const RECORDS_PER_SEND_MAX = 20_000;
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 5_000;
/** What was refused for its content would be refused at once again. */
export const RETRY_REFUSED_MS = 60_000;
/**
 * So many more are looked for in a table, with halves of halves, while it takes none: one that lacks a migration would refuse each by
 * itself, and is waited for like an outage.
 */
const REFUSED_OF_NONE_TAKEN_MAX = 20;
/** And so many in a batch that was put aside: of it one is enough to know. */
const REFUSED_AGAIN_MAX = 20;
const ROW_CHARACTERS_MAX = 300;

/** A row that ClickHouse refuses for what stands in it: a bug of ours, or tables that an older version made. */
export class RefusedRow extends Error {
  readonly table: Table;
  readonly row: Row;
  constructor(table: Table, row: Row, cause: unknown) {
    const said = firstOf(JSON.stringify(row), ROW_CHARACTERS_MAX);
    super(
      `ClickHouse refuses a row of ${table}, which is kept and tried again once a minute: ${said}: ${(cause as Error).message}`,
      { cause },
    );
    this.table = table;
    this.row = row;
  }
}

/** What is looked for in one table. */
interface Search {
  readonly refused: RefusedRow[];
  /** So many refused are the most while none of the table is taken, and then. */
  readonly most: number;
  readonly mostBesideTaken: number;
  hasTaken: boolean;
}

/** One insert of so many rows. */
interface Insert {
  readonly count: number;
  run(): Promise<void>;
}

export function createSink(rowStore: RowStore, recordStore: RecordStore, observer: SinkObserver): Sink {
  let closed = false;
  /** Batches with a row that was refused, until it is taken after all. */
  const aside = new Map<Batch, { readonly taken: Promise<void>; tell(): void }>();
  let isTryingAgain = false;
  /** Those that were in a lot under way when they were forgotten. */
  const forgotten = new WeakSet<Batch>();
  /** Batches of latest values, with those of their rows that were refused. */
  const latest = new Map<Batch, Row[]>();

  /** By halves, if a row is refused, down to that row, which is added to the refused. @throws where these are the most already */
  async function insertRows(table: Table, rows: readonly Row[], search: Search): Promise<void> {
    const { refused } = search;
    try {
      await rowStore.insert(table, columns[table], rows);
      search.hasTaken = true;
    } catch (error) {
      const most = search.hasTaken ? search.mostBesideTaken : search.most;
      if (closed || !isRefusedContent(error) || refused.length >= most) throw error;
      if (rows.length === 1) {
        refused.push(new RefusedRow(table, rows[0]!, error));
        return;
      }
      const half = Math.ceil(rows.length / 2);
      await insertRows(table, rows.slice(0, half), search);
      await insertRows(table, rows.slice(half), search);
    }
  }

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

  /** The rows of all tables but `events`, a table after the other. Those that are refused are added to those that were; all others are in. */
  async function insertOthers(
    batches: readonly Batch[],
    refused: RefusedRow[],
    mostBesideTaken: number,
  ): Promise<void> {
    const known = new Set(refused.map(({ row }) => row));
    for (const [table, rows] of rowsByTable(batches, known)) {
      const most = refused.length + REFUSED_OF_NONE_TAKEN_MAX;
      const search = { refused, most, mostBesideTaken, hasTaken: false };
      const inserts = insertsOf(table, rows).map((part) => ({
        count: part.length,
        run: () => insertRows(table, part, search),
      }));
      await insertInto(table, inserts, batches);
    }
  }

  /**
   * The rows of `events`, and beside them the other tables in turn: all at a time take the machine from the stream for as long as
   * they last. Both have ended when it fails, so that none meets its repeat.
   */
  async function insertAll(batches: readonly Batch[], refused: RefusedRow[]): Promise<void> {
    observer.step('before-insert', batches);
    const events = eventInsertsOf(batches.map(({ eventRows }) => eventRows)).map(({ count, pieces }) => ({
      count,
      run: () => rowStore.insertBinary('events', columns.events, pieces),
    }));
    const [ofEvents, ofOthers] = await Promise.allSettled([
      insertInto('events', events, batches),
      // Each that is found is one less to look for: to stop and begin again would only insert all others once more.
      insertOthers(batches, refused, Number.POSITIVE_INFINITY),
    ]);
    if (ofEvents.status === 'rejected') throw ofEvents.reason;
    if (ofOthers.status === 'rejected') throw ofOthers.reason;
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

  /**
   * Resolves when the rows of all are in, but for those that are refused: their batches are put aside. An attempt leaves out what
   * those before it found refused, so that however many are, the others get in.
   */
  async function insertLot(batches: readonly Batch[]): Promise<void> {
    const refused: RefusedRow[] = [];
    await untilDone(() => insertAll(batches, refused));
    const owners = batchesByRow(batches, new Set(refused.map(({ row }) => row)));
    for (const each of refused) {
      const batch = owners.get(each.row)!;
      if (forgotten.has(batch)) continue;
      observer.failed(each, 1);
      const told = latest.get(batch);
      if (told === undefined) putAside(batch);
      else told.push(each.row);
    }
  }

  /** One after the other and once in a while: of a batch that is put aside, all but what was refused is in. */
  async function tryAgain(): Promise<void> {
    isTryingAgain = true;
    while (aside.size > 0) {
      // A process that has closed everything else does not wait for it.
      await new Promise((resolve) => setTimeout(resolve, RETRY_REFUSED_MS).unref());
      for (const [batch, { tell }] of aside) {
        const refused: RefusedRow[] = [];
        const failed = closed
          ? []
          : await insertOthers([batch], refused, REFUSED_AGAIN_MAX).then(
              () => refused,
              (error) => [error],
            );
        if (closed) return;
        if (!aside.has(batch)) continue;
        for (const error of failed) observer.failed(error, 1);
        if (failed.length > 0) continue;
        aside.delete(batch);
        tell();
      }
    }
    isTryingAgain = false;
  }

  function putAside(batch: Batch): void {
    if (aside.has(batch)) return;
    let tell = (): void => {};
    const taken = new Promise<void>((resolve) => (tell = resolve));
    aside.set(batch, { taken, tell });
    if (!isTryingAgain) void tryAgain();
  }

  // Records do not wait for rows: what people are told, and what partitions tell each other, is sooner there.
  const rows = createLane({
    sizeOf: rowCountOf,
    most: ROWS_PER_INSERT_MAX,
    enough: ROWS_AT_ONCE,
    everyMs: INSERT_EVERY_MS,
    work: insertLot,
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
      await aside.get(batch)?.taken;
    },
    async deliverLatest(batch) {
      const refused: Row[] = [];
      latest.set(batch, refused);
      await rows.add(batch);
      latest.delete(batch);
      return refused;
    },
    forget(batches) {
      rows.forget(batches);
      records.forget(batches);
      for (const batch of batches) {
        forgotten.add(batch);
        aside.delete(batch);
        latest.delete(batch);
      }
    },
    close() {
      closed = true;
      rows.close();
      records.close();
    },
  };
}
