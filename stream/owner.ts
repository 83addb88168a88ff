// The owner of one partition: one batch at a time, decode ▶ load ▶ fold ▶ commit ▶ deliver, until it is stopped.
// A failure of any step ends the owner; what it had in memory is forgotten, the state in Redis is what counts.

import { isHeld, type PartitionControl, readControl } from '../platform/partition-control.ts';
import { type Batch, hasDelivery, newBatch } from './batch.ts';
import { clockRecord, clockTimeMs, isClockDue } from './clock.ts';
import { CommandList, commitCommands, runFenced } from './commit.ts';
import type { Message } from './decode.ts';
import { Delivery } from './delivery.ts';
import { createFolder, type FoldedBatch, type Folder } from './folder.ts';
import { createLoader, type Loader } from './loading.ts';
import { MessageQueue } from './message-queue.ts';
import type { OwnerParts } from './owner-parts.ts';
import { commitUntilKnown, connectionOf, untilReplicated } from './sure-commit.ts';
import type { TakenOver } from './take-over.ts';
import { startTicking } from './ticking.ts';
import type { Work } from './work.ts';

/** Why an owner ended. */
export type OwnerEnd = 'stopped' | 'fenced' | 'failed' | 'to be rewound';

/** What the log has for an owner that nothing comes to. */
export interface Unread {
  /** The offset that it waits for: it is over once this one has come. */
  readonly expected: number;
  /** When it was first seen to go on without being read. */
  readonly sinceMs: number;
}
type StepEnd = 'OK' | 'FENCED' | 'REWIND';

/** Whether so long has gone by; also if the wall clock was set back since, or nothing would be for as long as it was. */
function isOver(sinceMs: number, nowMs: number, afterMs: number): boolean {
  return nowMs < sinceMs || nowMs - sinceMs >= afterMs;
}

export class Owner {
  readonly work: Work;
  readonly ended: Promise<OwnerEnd>;
  #parts: OwnerParts;
  #queue = new MessageQueue();
  /** The next offset to come, and whether the first one has. */
  #expected: number;
  #inStep = false;
  #delivery: Delivery;
  #loader: Loader;
  #folder: Folder;
  #stopped = false;
  #givenUp: Error | undefined;
  #unread: Unread | undefined;
  #logEnd: number;
  #wake: (() => void) | undefined;
  #housekeptMs = 0;
  #flushedMs = 0;
  /** When the watermark last rose, or a clock was written that has it rise. */
  #risenMs: number;
  /** When the last records were committed, or a clock was written. */
  #activeMs: number;
  /** When the oldest record of the batch at hand was appended, from its fold until its commit. */
  #uncommittedMs: number | undefined;
  /** When the last batch began. */
  #batchedMs = Number.NEGATIVE_INFINITY;
  #control: PartitionControl;

  constructor(taken: TakenOver, parts: OwnerParts) {
    this.#expected = taken.readFrom;
    this.work = taken.work;
    this.#parts = parts;
    this.#control = taken.control;
    this.#logEnd = parts.logEnd;
    this.#delivery = new Delivery(taken.work, parts.sink, taken.undelivered, parts.now, () => this.#wake?.());
    this.#loader = createLoader(taken.work, parts.redis, parts.keys);
    this.#folder = createFolder(taken.work, this.#loader, parts);
    this.#risenMs = parts.now();
    this.#activeMs = this.#risenMs;
    this.ended = this.#run();
  }

  get backlog(): number {
    return this.#queue.length;
  }

  /** What they take of the memory. */
  get backlogBytes(): number {
    return this.#queue.bytes;
  }

  /** The offset to come next. */
  get expected(): number {
    return this.#expected;
  }

  /** Told by an operator to apply nothing now. */
  get isHeld(): boolean {
    return isHeld(this.#control, this.work.head.offset);
  }

  /** When the oldest record that is read and not committed was appended; undefined if there is none. */
  get oldestAppendMs(): number | undefined {
    return this.#uncommittedMs ?? this.#queue.peek()?.appendMs;
  }

  /** Undefined for one that reads, or is at the log's end. */
  get unread(): Unread | undefined {
    return this.#unread?.expected === this.#expected ? this.#unread : undefined;
  }

  noteUnread(unread: Unread): void {
    this.#unread = unread;
  }

  /** Where the log ended when Kafka was last asked: at the take-over, and at each look for those that read nothing. */
  get logEnd(): number {
    return this.#logEnd;
  }

  /** Kafka may have been asked before the take-over was, or before this topic was one of ours: an end does not go back. */
  noteLogEnd(offset: number): void {
    this.#logEnd = Math.max(this.#logEnd, offset);
  }

  /** Since when something waits, read or not; undefined if nothing does. */
  get oldestMs(): number | undefined {
    return this.oldestAppendMs ?? this.unread?.sinceMs;
  }

  /** Committed batches that ClickHouse or Kafka do not have yet. */
  get undelivered(): number {
    return this.#delivery.inSink;
  }

  /** When the oldest of them was committed, or taken over; undefined if there is none. */
  get undeliveredSinceMs(): number | undefined {
    return this.#delivery.oldestMs;
  }

  /** Takes messages from where this owner reads on; what a poll that began before it still brings is left out. */
  push(messages: readonly Message[]): void {
    const taken = messages.filter(({ offset }) => {
      if (offset < this.#expected || (offset > this.#expected && !this.#inStep)) return false;
      this.#inStep = true;
      this.#expected = offset + 1;
      return true;
    });
    this.#queue.push(taken);
    this.#wake?.();
  }

  /** Ends after the batch at hand. */
  async stop(): Promise<OwnerEnd> {
    this.#stopped = true;
    this.#wake?.();
    return this.ended;
  }

  /** Ends as failed, to be taken over again: what it waits for does not come. */
  giveUp(reason: Error): void {
    this.#givenUp = reason;
    this.#wake?.();
  }

  async #run(): Promise<OwnerEnd> {
    try {
      while (!this.#stopped) {
        if (this.#givenUp !== undefined) throw this.#givenUp;
        if (!this.#hasWork()) await this.#pause();
        await this.#linger();
        if (this.#stopped) break;
        const end = await this.#step();
        if (end === 'REWIND') return 'to be rewound';
        if (end === 'FENCED') {
          this.#parts.observer.fenced();
          return 'fenced';
        }
      }
      return 'stopped';
    } catch (error) {
      this.#parts.observer.failed(error);
      return 'failed';
    } finally {
      this.#delivery.end();
    }
  }

  async #step(): Promise<StepEnd> {
    this.#redeliver();
    if (this.#hasWork()) {
      const end = await this.#batch();
      if (end !== 'OK') return end;
    }
    this.#flush();
    return this.#housekeep();
  }

  /** Until messages or deliveries come, at most one tick. */
  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
      const timer = setTimeout(done, this.#parts.limits.tickMs);
      this.#wake = done;
    });
  }

  /** Until the next batch may begin. */
  #linger(): Promise<void> | undefined {
    const { batchMax, lingerMs } = this.#parts.limits;
    const isDue = (): boolean => this.#stopped || this.#queue.length >= batchMax;
    const leftMs = this.#batchedMs + lingerMs - performance.now();
    if (leftMs <= 0 || this.#queue.length === 0 || isDue()) return undefined;
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
      const timer = setTimeout(done, leftMs);
      this.#wake = () => {
        if (isDue()) done();
      };
    });
  }

  /** Between batches: all before it is applied. Offsets that hold no record are read, but never committed by themselves. */
  get #position(): number {
    return this.#queue.length === 0 ? Math.max(this.work.head.offset, this.#expected) : this.work.head.offset;
  }

  #hasWork(): boolean {
    return this.#queue.length > 0 && !this.#isFull() && !this.isHeld;
  }

  /** ClickHouse or Kafka cannot keep up: the fold waits, in bounded memory. */
  #isFull(): boolean {
    const { undeliveredMax, undeliveredRecordsMax, undeliveredBytesMax } = this.#parts.limits;
    const { inSink, recordsInSink, bytesInSink } = this.#delivery;
    return (
      inSink >= undeliveredMax || recordsInSink >= undeliveredRecordsMax || bytesInSink >= undeliveredBytesMax
    );
  }

  /** Messages below the stored offset were folded by the owner before. */
  #redeliver(): void {
    for (let next = this.#queue.peek(); next !== undefined; next = this.#queue.peek()) {
      if (next.offset >= this.work.head.offset) return;
      this.#delivery.rebuild(next);
      this.#queue.drop(1);
    }
  }

  // — one batch —

  /**
   * The first of the messages that wait, folded. Until its turn comes, which may take several seconds where all partitions have
   * much to do, nothing is changed, and the owner says that it lives. None is folded if it may not any more by then.
   */
  async #fold(): Promise<FoldedBatch | Exclude<StepEnd, 'OK'> | undefined> {
    const { holdAt } = this.#control;
    let isFenced = false;
    const isToRewind = (): boolean => this.#control.rewind !== null;
    const isCalledOff = (): boolean =>
      this.#stopped || isFenced || isToRewind() || this.isHeld || this.#control.holdAt !== holdAt;
    const ticking = startTicking(this.#parts.limits.tickMs, async () => {
      if (!this.#stopped && !isFenced) isFenced = (await this.#renew(this.#parts.now())) === 'FENCED';
    });
    try {
      const folded = await this.#folder.fold(this.#queue, holdAt, isCalledOff, ticking.end);
      if (folded !== undefined) return folded;
    } finally {
      await ticking.end();
    }
    if (isFenced) return 'FENCED';
    return isToRewind() ? 'REWIND' : undefined;
  }

  async #batch(): Promise<StepEnd> {
    const { observer, limits, bugs } = this.#parts;
    const { watermarkMs } = this.work.head;
    const done = await this.#fold();
    if (done === undefined) return 'OK';
    if (typeof done === 'string') return done;
    const { fold, folded, startedMs, oldestAppendMs, skipped } = done;
    this.#batchedMs = startedMs;
    this.#uncommittedMs = oldestAppendMs;
    this.#queue.drop(folded);
    const foldedMs = performance.now();
    const timers = bugs.timerChanges(fold.timers.changes());
    const reply = await this.#commit(fold.batch, timers, fold.looksAgain);
    if (reply === 'FENCED') return reply;
    this.#uncommittedMs = undefined;
    fold.live?.committed();
    const committedMs = performance.now();
    const nowMs = this.#parts.now();
    this.#activeMs = nowMs;
    // What does not move it may go on coming for as long as it stands: what waits for it must not wait for silence.
    if (this.work.head.watermarkMs > watermarkMs) this.#risenMs = nowMs;
    observer.committed({
      records: folded,
      batchSeconds: (committedMs - startedMs) / 1_000,
      commitSeconds: (committedMs - foldedMs) / 1_000,
      visibleSeconds: Math.max(0, nowMs - oldestAppendMs) / 1_000,
      skipped,
    });
    this.#loader.keep(limits.cacheMax, limits.cacheBytesMax);
    return 'OK';
  }

  // — commit and delivery —

  async #commit(
    batch: Batch,
    timers: ReadonlyMap<string, number>,
    looksAgain: boolean,
  ): Promise<'OK' | 'FENCED'> {
    const { keys, observer } = this.#parts;
    const { work } = this;
    const delivered = this.#toClear();
    const commands = commitCommands(work, keys, batch, timers, delivered, looksAgain);
    observer.step('before-commit', [batch]);
    const isStopped = (): boolean => this.#stopped;
    const connection = connectionOf(this.#parts.redis);
    if ((await commitUntilKnown(this.#parts, work.head, commands, isStopped)) === 'FENCED') return 'FENCED';
    work.counters.committed();
    const committed = { nonce: work.head.nonce, seq: work.head.seq + 1 };
    if ((await untilReplicated(this.#parts, committed, connection, isStopped)) === 'FENCED') return 'FENCED';
    this.#delivery.cleared(delivered.length);
    work.head.seq += 1;
    observer.step('after-commit', [batch]);
    if (hasDelivery(batch)) this.#delivery.deliver(work.head.seq, this.#parts.bugs.delivery(batch));
    return 'OK';
  }

  /** The seqs of the outbox entries that the next script may clear. */
  #toClear(): number[] {
    const { toClear } = this.#delivery;
    if (toClear.length > 0) {
      this.#parts.observer.step(
        'before-clear',
        toClear.map(({ batch }) => batch),
      );
    }
    return toClear.map(({ seq }) => seq);
  }

  #flush(): void {
    const nowMs = this.#parts.now();
    if (!isOver(this.#flushedMs, nowMs, this.#parts.limits.flushMs)) return;
    this.#flushedMs = nowMs;
    this.#delivery.flushAggregates();
  }

  /** Once a tick: that this owner lives, and the clock of one whose watermark stands. */
  async #housekeep(): Promise<StepEnd> {
    const nowMs = this.#parts.now();
    if (!isOver(this.#housekeptMs, nowMs, this.#parts.limits.tickMs)) return 'OK';
    if ((await this.#renew(nowMs)) === 'FENCED') return 'FENCED';
    return this.#control.rewind === null ? this.#clock(nowMs) : 'REWIND';
  }

  /**
   * The stamp that says this owner lives, what is delivered, and what an operator asks for. It speaks of what is committed: nothing
   * may be folded beyond that. By `seq` too: a Redis that was put back to before has this nonce, and its triggers were told.
   */
  async #renew(nowMs: number): Promise<'OK' | 'FENCED'> {
    const { keys, logEnd } = this.#parts;
    this.#housekeptMs = nowMs;
    const commands = new CommandList();
    const delivered = this.#toClear();
    commands.addLong(['HDEL', keys.outbox], delivered, 1);
    const ready = this.#position >= logEnd ? '1' : '0';
    const flushed = this.#delivery.flushedVersion().toString();
    const held = ['paused', this.isHeld ? '1' : '0', 'oldest', this.oldestMs ?? ''];
    const { recordsInSink, bytesInSink, oldestMs } = this.#delivery;
    const seen = [...held, 'owed', recordsInSink, 'owedBytes', bytesInSink, 'owedSince', oldestMs ?? ''];
    commands.add('HSET', keys.head, 'stamp', nowMs, 'ready', ready, 'flushed', flushed, ...seen);
    const reply = await this.#tick(commands.bytes());
    if (reply === 'FENCED') return reply;
    if (reply === 'OK') this.#delivery.cleared(delivered.length);
    await this.#heed();
    return 'OK';
  }

  /** What an operator asks for; while Redis is away, what was asked for before. */
  async #heed(): Promise<void> {
    try {
      this.#control = await readControl(this.#parts.redis, this.#parts.keys);
    } catch (error) {
      this.#parts.observer.failed(error);
    }
  }

  /** A tick that meets no Redis is left out: the next one comes. */
  async #tick(commands: Buffer): Promise<'OK' | 'FENCED' | 'UNANSWERED'> {
    try {
      return await runFenced(this.#parts.redis, this.#parts.keys, this.work.head, commands);
    } catch (error) {
      this.#parts.observer.failed(error);
      return 'UNANSWERED';
    }
  }

  async #clock(nowMs: number): Promise<'OK' | 'FENCED'> {
    const { limits } = this.#parts;
    const { work } = this;
    // It may have been set back since.
    this.#risenMs = Math.min(this.#risenMs, nowMs);
    this.#activeMs = Math.min(this.#activeMs, nowMs);
    const isDue = (sinceMs: number): boolean => isClockDue(nowMs, sinceMs, limits.clockMs);
    if (limits.clockMs === 0 || this.isHeld || this.#queue.length > 0 || !isDue(this.#risenMs)) return 'OK';
    if (work.id.topic === 'rejected' || work.head.anchor === null || !this.#parts.atLogEnd(this.#position))
      return 'OK';
    const timeMs = clockTimeMs(work.head, work.head.anchor, nowMs, !isDue(this.#activeMs));
    if (timeMs === undefined) return 'OK';
    this.#risenMs = nowMs;
    this.#activeMs = nowMs;
    const batch = newBatch(work.head.offset);
    batch.records.push(clockRecord(work, timeMs));
    return this.#commit(batch, new Map(), false);
  }
}
