// Reading one partition for as long as a process lives. A fetch that has stopped looks like a log at rest (librdkafka lets a
// partition go at some errors, and its binding drops an error that comes behind messages of the same call): so another client is
// asked where the log ends, and who stands still before it is told so and opened again where it stood.
import { type LogRecord, type ReadOptions, readPartition } from './kafka-read.ts';
import { openTopicAdmin, type TopicAdmin } from './kafka-topics.ts';
import { createStallWatch } from './stalls.ts';

/** One who stands still is found at the second look: far longer than a fetch takes, and longer than a client takes to connect. */
const LOOK_MS = 10_000;

export interface FollowOptions {
  readonly brokers: string;
  readonly topic: string;
  readonly partition: number;
  /** The first offset to read. */
  readonly from: number;
  readonly signal: AbortSignal;
  /** Told what is said of one that has stopped while the log goes on, and null once it has read on, or the signal ends it. */
  readonly onStall: (message: string | null) => void;
  /** The one before ended with an error while it stood still: nothing is read on until this one reads, or stands at the log's end. */
  readonly isStalled?: boolean;
  /** For tests. */
  readonly lookMs?: number;
  readonly read?: (options: ReadOptions) => AsyncIterable<LogRecord[]>;
  readonly openAdmin?: (brokers: string) => Pick<TopicAdmin, 'readableEnd' | 'close'>;
}

/** What `onStall` is where that it stands still is only to be said. */
export function warnOfStall(warn: (message: string) => void): FollowOptions['onStall'] {
  return (message) => {
    if (message !== null) warn(message);
  };
}

/**
 * The records from `from` on in order, in batches, until the signal is aborted.
 * @throws as `readPartition`
 */
export function followPartition(options: FollowOptions): AsyncGenerator<LogRecord[], void, undefined> {
  return new Follower(options).batches();
}

class Follower {
  #options: FollowOptions;
  /** The offset that is to come next. */
  #position: number;
  /** Whoever reads has a batch in hand: it does not wait for the log. */
  #isBusy = false;
  #isStalled: boolean;
  #isLooking = false;
  /** A look may still be under way. */
  #isOver = false;
  /** Ends the reader at hand, so that another one is opened. */
  #reopening = new AbortController();
  #stalls = createStallWatch();
  #positionBefore = -1;

  constructor(options: FollowOptions) {
    this.#options = options;
    this.#position = options.from;
    this.#isStalled = options.isStalled ?? false;
  }

  async *batches(): AsyncGenerator<LogRecord[], void, undefined> {
    const { signal, brokers, lookMs = LOOK_MS, openAdmin = openTopicAdmin } = this.#options;
    const admin = openAdmin(brokers);
    const looking = setInterval(() => void this.#look(admin), lookMs).unref();
    try {
      while (!signal.aborted) yield* this.#untilReopened();
    } finally {
      clearInterval(looking);
      this.#isOver = true;
      // One that ends with an error, which may be that of its being opened again, has read nothing on.
      if (signal.aborted) this.#readsOn();
      // Nobody waits for a broker that does not answer.
      void admin.close().catch(() => {});
    }
  }

  async *#untilReopened(): AsyncGenerator<LogRecord[], void, undefined> {
    const { brokers, topic, partition, signal, read = readPartition } = this.#options;
    this.#reopening = new AbortController();
    const batches = read({
      ...{ brokers, topic, partition },
      from: this.#position,
      signal: AbortSignal.any([signal, this.#reopening.signal]),
      onEnd: (offset) => this.#moveTo(offset),
    });
    for await (const batch of batches) {
      this.#moveTo(batch.at(-1)!.offset + 1);
      this.#isBusy = true;
      yield batch;
      this.#isBusy = false;
    }
  }

  #moveTo(position: number): void {
    if (position <= this.#position) return;
    this.#position = position;
    this.#readsOn();
  }

  #readsOn(): void {
    if (!this.#isStalled) return;
    this.#isStalled = false;
    this.#options.onStall(null);
  }

  async #look(admin: Pick<TopicAdmin, 'readableEnd'>): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      await this.#judge(admin);
    } catch {
      // While Kafka is away nobody reads: that is no stall, and others say so.
      this.#stalls.look([]);
    } finally {
      this.#isLooking = false;
    }
  }

  async #judge(admin: Pick<TopicAdmin, 'readableEnd'>): Promise<void> {
    const { topic, partition, onStall } = this.#options;
    const expected = this.#position;
    const hasMoved = expected !== this.#positionBefore;
    this.#positionBefore = expected;
    // Kafka is only asked about one at rest.
    if (hasMoved || this.#isBusy) return void this.#stalls.look([]);
    const high = await admin.readableEnd(topic, partition);
    if (this.#isOver) return;
    // Not where it ends before: then nobody knows, or the log was cut.
    if (high === this.#position) this.#readsOn();
    const name = `${topic} ${partition}`;
    const backlog = this.#isBusy ? 1 : 0;
    const [stalled] = this.#stalls.look([{ name, expected: this.#position, backlog, high }]);
    if (!stalled?.isDue) return;
    this.#isStalled = true;
    onStall(
      `nothing came of ${name} from offset ${stalled.expected} on, though it can be read up to ${high}: it is opened again there`,
    );
    // The next one gets as long as this one had.
    this.#stalls.look([]);
    this.#reopening.abort();
  }
}
