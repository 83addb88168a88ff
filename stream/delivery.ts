// Behind the commit, for one partition: hands committed batches to the sink in order, remembers which are in, and takes
// up what the owner before left undelivered.
import { addRow, type Batch, newBatch, verdictAt } from './batch.ts';
import { type Decoded, decode, type Message } from './decode.ts';
import { rowCountOf } from './inserts.ts';
import { aggregateRow, linkRow, type Row } from './rows.ts';
import { RETRY_REFUSED_MS, type Sink } from './sink.ts';
import { versionOf } from './state.ts';
import type { TakenOver } from './take-over.ts';
import type { Aggregate } from './window.ts';
import type { Work } from './work.ts';

/** A batch and the commit that keeps it. */
export interface CommittedBatch {
  readonly seq: number;
  readonly batch: Batch;
}

/** A batch in the sink. */
interface OnItsWay {
  readonly batch: Batch;
  readonly sinceMs: number;
}

export class Delivery {
  #work: Work;
  #sink: Sink;
  /** Told when a batch is in. */
  #onDelivered: () => void;
  /** Left by the owner before and not yet handed on. */
  #left: CommittedBatch[];
  #now: () => number;
  #takenOverMs: number;
  /** In the order in which they were handed to the sink. */
  #inSink = new Set<OnItsWay>();
  #recordsInSink = 0;
  #bytesInSink = 0;
  #delivered: CommittedBatch[] = [];
  #flushInFlight = false;
  /** Latest values that were refused: since when some are, and when they were tried last. */
  #refused: { readonly onItsWay: OnItsWay; readonly triedMs: number } | undefined;

  constructor(
    work: Work,
    sink: Sink,
    left: TakenOver['undelivered'],
    now: () => number,
    onDelivered: () => void,
  ) {
    this.#work = work;
    this.#sink = sink;
    this.#left = [...left];
    this.#now = now;
    this.#takenOverMs = now();
    this.#onDelivered = onDelivered;
    this.#handOnRecordsOnly();
  }

  /** Batches that are on their way: committed ones, and the latest values of hours and days. */
  get inSink(): number {
    return this.#inSink.size;
  }

  /** How many records of the log they are of; of one that fired many timers, whichever it has more of: what these came to. */
  get recordsInSink(): number {
    return this.#recordsInSink;
  }

  /** And how many bytes those have there, and what came of them. */
  get bytesInSink(): number {
    return this.#bytesInSink;
  }

  /**
   * When the oldest batch that is not in was committed; undefined if all are in. Of what the owner before left, when it was
   * taken over: the outbox does not say since when it waits.
   */
  get oldestMs(): number | undefined {
    if (this.#left.length > 0) return this.#takenOverMs;
    const [oldest] = this.#inSink;
    return oldest?.sinceMs;
  }

  /** Delivered, and still in the outbox. */
  get toClear(): readonly CommittedBatch[] {
    return this.#delivered;
  }

  /** The first `count` of `toClear` are out of the outbox. */
  cleared(count: number): void {
    this.#delivered = this.#delivered.slice(count);
  }

  deliver(seq: number, batch: Batch): void {
    this.#handOn({ seq, batch }, this.#now());
  }

  #handOn({ seq, batch }: CommittedBatch, sinceMs: number): void {
    // Rows of `events` and `links` are of a record each. All else may come of timers, which are no records.
    const others = rowCountOf(batch) - batch.eventRows.length - batch.linkRows.length;
    const records = Math.max(batch.to - batch.from + 1, others + batch.records.length);
    const { bytes } = batch;
    const onItsWay = { batch, sinceMs };
    this.#inSink.add(onItsWay);
    this.#recordsInSink += records;
    this.#bytesInSink += bytes;
    void this.#sink.deliver(batch).then(() => {
      this.#inSink.delete(onItsWay);
      this.#recordsInSink -= records;
      this.#bytesInSink -= bytes;
      this.#delivered.push({ seq, batch });
      this.#onDelivered();
    });
  }

  /** What is not in is its successor's, which finds it in the outbox: here it would only be kept once more. */
  end(): void {
    this.#sink.forget(new Set([...this.#inSink].map(({ batch }) => batch)));
    this.#inSink.clear();
  }

  /** A message below the stored offset only rebuilds its row: its verdict is in the outbox. */
  rebuild(message: Message): void {
    const entry = this.#left[0];
    if (entry === undefined || message.offset < entry.batch.from) return;
    const decoded = decode(this.#work.id.topic, message);
    entry.batch.bytes += message.size;
    if (decoded.kind === 'segment') this.#rebuildRows(entry.batch, message, decoded);
    if (message.offset < entry.batch.to) return;
    this.#left.shift();
    this.#handOn(entry, this.#takenOverMs);
    this.#handOnRecordsOnly();
  }

  #rebuildRows(batch: Batch, message: Message, decoded: Extract<Decoded, { kind: 'segment' }>): void {
    const { generation, partition } = this.#work.id;
    const { offset, appendMs } = message;
    const { key, raw, record } = decoded;
    const at = { key, generation, partition, offset, appendMs, raw, ...verdictAt(batch, offset) };
    batch.eventRows.add(record, at);
    if (record.kind === 'identify' || record.kind === 'alias' || record.kind === 'group')
      batch.linkRows.push(linkRow(record, at));
  }

  /** Batches without offsets (clock records) need nothing of the log. */
  #handOnRecordsOnly(): void {
    while (this.#left[0] !== undefined && this.#left[0].batch.to < this.#left[0].batch.from) {
      this.#handOn(this.#left.shift()!, this.#takenOverMs);
    }
  }

  /** The latest value of each hour and day that was touched, with the committed position that it is of. */
  flushAggregates(): void {
    if (this.#flushInFlight) return;
    const nowMs = this.#now();
    const isProbe = this.#lookAtRefused(nowMs);
    const latest = this.#work.windows.flush(versionOf(this.#work.head));
    const leavesOutNone = !this.#work.windows.hasRefused();
    if (latest.length === 0) {
      if (leavesOutNone) this.#noneRefused();
      return;
    }
    const { generation, partition } = this.#work.id;
    const batch = newBatch(this.#work.head.offset);
    const aggregates = new Map<Row, Aggregate>();
    for (const aggregate of latest) {
      const [table, row] = aggregateRow(aggregate, generation, partition);
      addRow(batch, table, row);
      aggregates.set(row, aggregate);
    }
    this.#flushInFlight = true;
    // It stands in no outbox, but that it is not in is to be seen as well.
    const onItsWay = { batch, sinceMs: nowMs };
    this.#inSink.add(onItsWay);
    void this.#sink.deliverLatest(batch).then((refused) => {
      this.#flushInFlight = false;
      this.#work.windows.flushed(refused.map((row) => aggregates.get(row)!));
      // They are owed since the first of them was, until a flush that left out none comes back with none.
      if (refused.length > 0 && leavesOutNone)
        this.#refused = { onItsWay: this.#refused?.onItsWay ?? onItsWay, triedMs: nowMs };
      else if (refused.length === 0 && leavesOutNone) this.#noneRefused();
      else if (refused.length === 0 && isProbe) this.#work.windows.tryRefusedAgain();
      if (this.#refused?.onItsWay !== onItsWay) this.#inSink.delete(onItsWay);
    });
  }

  /**
   * They are to be seen as undelivered until they are taken, and hold up none that come after them: one goes first, for those of
   * many hours together would be looked for one by one in the insert that all partitions share. @returns whether one goes now
   */
  #lookAtRefused(nowMs: number): boolean {
    if (this.#refused === undefined || !this.#work.windows.hasRefused()) return false;
    const { onItsWay, triedMs } = this.#refused;
    if (nowMs >= triedMs && nowMs - triedMs < RETRY_REFUSED_MS) return false;
    this.#work.windows.tryOneRefused();
    this.#refused = { onItsWay, triedMs: nowMs };
    return true;
  }

  #noneRefused(): void {
    if (this.#refused !== undefined) this.#inSink.delete(this.#refused.onItsWay);
    this.#refused = undefined;
  }

  /** The position up to which ClickHouse has every aggregate, 0 while something is on its way. */
  flushedVersion(): bigint {
    return this.#flushInFlight || this.#work.windows.hasUnflushed() ? 0n : versionOf(this.#work.head);
  }
}
