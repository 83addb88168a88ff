// The owner of one partition: one batch at a time, decode ▶ load ▶ fold ▶ commit ▶ deliver, until it is stopped.
// A failure of any step ends the owner; what it had in memory is forgotten, the state in Redis is what counts.

import type { PartitionKeys } from '../platform/keys.ts';
import type { RedisClient } from '../platform/redis.ts';
import { type Batch, hasDelivery, newBatch } from './batch.ts';
import type { Bugs } from './bugs.ts';
import { clockRecord, isClockDue } from './clock.ts';
import { CommandList, commitCommands, runFenced } from './commit.ts';
import { type Decoded, decode, type Message } from './decode.ts';
import { Delivery } from './delivery.ts';
import type { Live } from './live.ts';
import { createLoader, type Loader } from './loading.ts';
import { type Fold, foldRecord } from './process.ts';
import type { Sink } from './sink.ts';
import type { TakenOver } from './take-over.ts';
import { createTimerQueue } from './timers.ts';
import type { Work } from './work.ts';

export interface OwnerLimits {
  /** Records in a batch. */
  readonly batchMax: number;
  readonly batchBytesMax: number;
  /** States that stay in memory between batches; 0: none. */
  readonly cacheMax: number;
  /** Committed batches that may wait for ClickHouse and Kafka. */
  readonly undeliveredMax: number;
  readonly tickMs: number;
  readonly flushMs: number;
  /** 0: no clock records. */
  readonly clockMs: number;
  /** Replicas that must have a commit before it is delivered. */
  readonly waitReplicas: number;
}

export type OwnerStep = 'before-commit' | 'after-commit' | 'before-clear';

export interface OwnerObserver {
  committed(records: number, seconds: number): void;
  fenced(): void;
  failed(error: unknown): void;
  /** A named step, where tests kill the process, and the batches at hand. */
  step(name: OwnerStep, batches: readonly Batch[]): void;
}

export interface OwnerParts {
  readonly redis: RedisClient;
  readonly keys: PartitionKeys;
  readonly sink: Sink;
  readonly limits: OwnerLimits;
  readonly observer: OwnerObserver;
  readonly bugs: Bugs;
  readonly live: Pick<Live, 'begin'>;
  /** Where the log ended when the partition was taken over. */
  readonly logEnd: number;
  /** Whether everything that the log is known to hold is applied. */
  atLogEnd(): boolean;
  now(): number;
}

/** Why an owner ended. */
export type OwnerEnd = 'stopped' | 'fenced' | 'failed';

const REDIS_RETRY_MS = 200;
const REPLICAS_MS = 1_000;

export class Owner {
  readonly work: Work;
  readonly ended: Promise<OwnerEnd>;
  #parts: OwnerParts;
  #queue: Message[] = [];
  /** The next offset to come, and whether the first one has. */
  #expected: number;
  #inStep = false;
  #delivery: Delivery;
  #loader: Loader;
  #stopped = false;
  #wake: (() => void) | undefined;
  #housekeptMs = 0;
  #flushedMs = 0;
  #activeMs: number;

  constructor(taken: TakenOver, parts: OwnerParts) {
    this.#expected = taken.readFrom;
    this.work = taken.work;
    this.#parts = parts;
    this.#delivery = new Delivery(taken.work, parts.sink, taken.undelivered, () => this.#wake?.());
    this.#loader = createLoader(taken.work, parts.redis, parts.keys);
    this.#activeMs = parts.now();
    this.ended = this.#run();
  }

  get backlog(): number {
    return this.#queue.length;
  }

  /** Takes messages from where this owner reads on; what a poll that began before it still brings is left out. */
  push(messages: readonly Message[]): void {
    for (const message of messages) {
      if (message.offset < this.#expected || (message.offset > this.#expected && !this.#inStep)) continue;
      this.#inStep = true;
      this.#expected = message.offset + 1;
      this.#queue.push(message);
    }
    this.#wake?.();
  }

  /** Ends after the batch at hand. */
  async stop(): Promise<OwnerEnd> {
    this.#stopped = true;
    this.#wake?.();
    return this.ended;
  }

  async #run(): Promise<OwnerEnd> {
    try {
      while (!this.#stopped) {
        if (this.#queue.length === 0 || this.#isFull()) await this.#pause();
        if (this.#stopped) break;
        const fenced = (await this.#step()) === 'FENCED';
        if (fenced) {
          this.#parts.observer.fenced();
          return 'fenced';
        }
      }
      return 'stopped';
    } catch (error) {
      this.#parts.observer.failed(error);
      return 'failed';
    }
  }

  async #step(): Promise<'OK' | 'FENCED'> {
    this.#redeliver();
    if (this.#queue.length > 0 && !this.#isFull()) {
      if ((await this.#batch()) === 'FENCED') return 'FENCED';
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

  /** ClickHouse or Kafka cannot keep up: the fold waits, in bounded memory. */
  #isFull(): boolean {
    return this.#delivery.inSink >= this.#parts.limits.undeliveredMax;
  }

  /** Messages below the stored offset were folded by the owner before. */
  #redeliver(): void {
    let taken = 0;
    while (taken < this.#queue.length && this.#queue[taken]!.offset < this.work.head.offset) {
      this.#delivery.rebuild(this.#queue[taken]!);
      taken += 1;
    }
    if (taken > 0) this.#queue.splice(0, taken);
  }

  // — one batch —

  async #batch(): Promise<'OK' | 'FENCED'> {
    const { work } = this;
    const { observer, limits, bugs, live } = this.#parts;
    const startedMs = performance.now();
    const messages = this.#nextMessages();
    const decoded = messages.map((message) => decode(work.id.topic, message));
    const timers = await this.#loader.load(decoded);
    const fold: Fold = {
      batch: newBatch(work.head.offset),
      timers: createTimerQueue(timers),
      timersLeft: work.inForce.definitions.settings.timersPerCommit,
      bugs,
      live: live.begin(),
    };
    let folded = 0;
    while (folded < messages.length && this.#next(fold, messages[folded]!, decoded[folded]!)) folded += 1;
    this.#loader.learn(fold.timers, timers);
    this.#queue.splice(0, folded);
    const reply = await this.#commit(fold.batch, bugs.timerChanges(fold.timers.changes()));
    if (reply === 'FENCED') return reply;
    fold.live?.committed();
    observer.committed(folded, (performance.now() - startedMs) / 1_000);
    this.#loader.keep(limits.cacheMax);
    this.#activeMs = this.#parts.now();
    return 'OK';
  }

  #next(fold: Fold, message: Message, decoded: Decoded): boolean {
    if (message.offset !== this.work.head.offset) {
      const { topic, partition } = this.work.id;
      throw new Error(
        `${topic} ${partition}: expected offset ${this.work.head.offset}, the log gave ${message.offset}`,
      );
    }
    return foldRecord(this.work, fold, message, decoded) === 'folded';
  }

  #nextMessages(): Message[] {
    const { batchMax, batchBytesMax } = this.#parts.limits;
    let bytes = 0;
    let count = 0;
    while (count < this.#queue.length && count < batchMax && (count === 0 || bytes < batchBytesMax)) {
      bytes += this.#queue[count]!.size;
      count += 1;
    }
    return this.#queue.slice(0, count);
  }

  // — commit and delivery —

  async #commit(batch: Batch, timers: ReadonlyMap<string, number>): Promise<'OK' | 'FENCED'> {
    const { keys, observer } = this.#parts;
    const { work } = this;
    const delivered = this.#toClear();
    const commands = commitCommands(work, keys, batch, timers, delivered);
    observer.step('before-commit', [batch]);
    if ((await this.#fenced(commands)) === 'FENCED') return 'FENCED';
    await this.#replicated();
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

  /** What has left cannot be taken back, so a commit that a failover could still lose does not leave. */
  async #replicated(): Promise<void> {
    const { waitReplicas } = this.#parts.limits;
    if (waitReplicas === 0) return;
    const { redis, observer } = this.#parts;
    for (;;) {
      const have = Number(await redis.call('WAIT', waitReplicas, REPLICAS_MS));
      if (have >= waitReplicas) return;
      observer.failed(new Error(`${have} of ${waitReplicas} replicas have the commit: waiting`));
      if (this.#stopped) throw new Error('stopped while replicas were waited for');
    }
  }

  /** Tries until the script's answer, or what the head says of it, is known. */
  async #fenced(commands: Buffer): Promise<'OK' | 'FENCED'> {
    const { redis, keys, observer } = this.#parts;
    const { head } = this.work;
    for (;;) {
      try {
        const reply = await runFenced(redis, keys, head, commands);
        if (reply === 'OK') return 'OK';
        // My nonce with the next seq means that an answer was lost, not the commit.
        const [nonce, seq] = await redis.hmget(keys.head, 'nonce', 'seq');
        return nonce === head.nonce && Number(seq) === head.seq + 1 ? 'OK' : 'FENCED';
      } catch (error) {
        observer.failed(error);
        if (this.#stopped) throw error;
        await new Promise((resolve) => setTimeout(resolve, REDIS_RETRY_MS));
      }
    }
  }

  #flush(): void {
    const nowMs = this.#parts.now();
    if (nowMs - this.#flushedMs < this.#parts.limits.flushMs) return;
    this.#flushedMs = nowMs;
    this.#delivery.flushAggregates();
  }

  /** Once a tick: the stamp that says this owner lives, what is delivered, and the clock of an idle partition. */
  async #housekeep(): Promise<'OK' | 'FENCED'> {
    const { keys, limits, logEnd } = this.#parts;
    const { work } = this;
    const nowMs = this.#parts.now();
    if (nowMs - this.#housekeptMs < limits.tickMs) return 'OK';
    this.#housekeptMs = nowMs;
    const commands = new CommandList();
    const delivered = this.#toClear();
    commands.addLong(['HDEL', keys.outbox], delivered, 1);
    const ready = work.head.offset >= logEnd ? '1' : '0';
    const flushed = this.#delivery.flushedVersion().toString();
    commands.add('HSET', keys.head, 'stamp', nowMs, 'ready', ready, 'flushed', flushed);
    const reply = await this.#tick(commands.bytes());
    if (reply === 'FENCED') return reply;
    if (reply === 'OK') this.#delivery.cleared(delivered.length);
    return this.#clock(nowMs);
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
    if (limits.clockMs === 0 || this.#queue.length > 0 || !isClockDue(nowMs, this.#activeMs, limits.clockMs))
      return 'OK';
    if (work.id.topic === 'rejected' || work.head.anchor === null || !this.#parts.atLogEnd()) return 'OK';
    this.#activeMs = nowMs;
    const batch = newBatch(work.head.offset);
    batch.records.push(clockRecord(work, work.head.anchor, nowMs));
    return this.#commit(batch, new Map());
  }
}
