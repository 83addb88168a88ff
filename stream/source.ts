// The consumer: batches of messages from the partitions that this process owns. Offsets come from Redis, never from Kafka.
import Kafka, { type Assignment, type LibrdKafkaError } from 'node-rdkafka';
import { kafkaClientSettings } from '../platform/kafka.ts';
import { type Backlog, isToPause } from './backlog.ts';
import type { Message } from './decode.ts';

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

export interface SourceOptions {
  readonly brokers: string;
  readonly group: string;
  /** Static membership: a restarted process of the same slot rejoins at once. */
  readonly slot: string;
  readonly topics: readonly string[];
  readonly sessionTimeoutMs: number;
  /** `cooperative` moves only what must move; `eager` takes everything from everybody at each change of the group. */
  readonly assignment: 'cooperative' | 'eager';
}

export interface SourceListener {
  /**
   * Takes partitions over; resolves with the offset to read each from. Those left out are not read until `restart`: the others, and
   * the group, do not wait for them.
   */
  assigned(partitions: readonly TopicPartition[]): Promise<(TopicPartition & { readonly offset: number })[]>;
  /** Lets partitions go; resolves when nothing of them is in hand any more. */
  revoked(partitions: readonly TopicPartition[]): Promise<void>;
  /** Messages of one partition, in order. */
  messages(partition: TopicPartition, messages: readonly Message[]): void;
  /** How many messages of a partition wait, and how many bytes they have. */
  backlog(partition: TopicPartition): Backlog;
  failed(error: Error): void;
  /** The consumer will never read again: another process has joined with its slot. */
  fatal(error: Error): void;
}

const CONSUME_MAX = 4_000;
/** For the first message of a batch: the others are taken if they are there. */
const CONSUME_TIMEOUT_MS = 50;
const RETRY_MS = 200;
/** librdkafka's RD_KAFKA_OFFSET_END. */
const OFFSET_END = -1;

const SEEK_TIMEOUT_MS = 10_000;
const strategies: Readonly<Record<SourceOptions['assignment'], string>> = {
  cooperative: 'cooperative-sticky',
  eager: 'range,roundrobin',
};

const { ERR__FATAL, ERR_FENCED_INSTANCE_ID } = Kafka.CODES.ERRORS;
const fatalCodes: ReadonlySet<number> = new Set([ERR__FATAL, ERR_FENCED_INSTANCE_ID]);

const nameOf = ({ topic, partition }: TopicPartition): string => `${topic}:${partition}`;

export class Source {
  #consumer: Kafka.KafkaConsumer;
  #listener: SourceListener;
  #closed = false;
  /** The client keeps it over an assignment: whoever is let go paused would be paused when it comes again. */
  #paused = new Map<string, TopicPartition>();
  /** What the group gave, until it takes it back. */
  #assigned = new Map<string, TopicPartition>();
  /** What of that the client reads: not what could not be taken over. */
  #read = new Set<string>();
  #polls = 0;
  #polling: Promise<void> | undefined;
  #rebalancing: Promise<void> = Promise.resolve();

  constructor(options: SourceOptions, listener: SourceListener) {
    this.#listener = listener;
    this.#consumer = new Kafka.KafkaConsumer(
      {
        ...kafkaClientSettings(options.brokers, `flywheel-stream-${options.slot}`),
        'group.id': options.group,
        'group.instance.id': `${options.group}-${options.slot}`,
        'enable.auto.commit': false,
        'enable.auto.offset.store': false,
        'partition.assignment.strategy': strategies[options.assignment],
        'session.timeout.ms': options.sessionTimeoutMs,
        'heartbeat.interval.ms': Math.min(3_000, Math.floor(options.sessionTimeoutMs / 3)),
        'fetch.queue.backoff.ms': 5,
        'queued.min.messages': 100_000,
        'queued.max.messages.kbytes': 65_536,
        // A trickle is fetched forty times a second, not as often as the broker can answer.
        'fetch.min.bytes': 65_536,
        'fetch.wait.max.ms': 25,
        rebalance_cb: (error: LibrdKafkaError, partitions: TopicPartition[]) =>
          this.#rebalance(error, partitions),
      },
      { 'auto.offset.reset': 'error' },
    );
    this.#consumer.on('event.error', (error) => this.#report(error as unknown as LibrdKafkaError));
    this.#slot = options.slot;
    this.#topics = options.topics;
    this.#eager = options.assignment === 'eager';
  }

  #topics: readonly string[];
  #slot: string;
  #eager: boolean;

  #report(error: LibrdKafkaError): void {
    if (!fatalCodes.has(error.code)) {
      this.#listener.failed(error as unknown as Error);
      return;
    }
    this.#listener.fatal(
      new Error(
        `another process has taken slot ${this.#slot} of this group (${error.message}): give each its own STREAM_SLOT`,
      ),
    );
  }

  /**
   * Connects, joins the group and reads until closed. It does not join if the signal is aborted by then: a member that ends
   * without a word keeps its partitions from the others for a session.
   */
  async open(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#consumer.connect({}, (error) => (error ? reject(error) : resolve()));
    });
    if (signal.aborted) await this.close();
    signal.throwIfAborted();
    this.#consumer.subscribe([...this.#topics]);
    this.#polling = this.#poll();
  }

  /** Whether the group still gives it as it did then: not if it was taken back since, even if it was given again. */
  isAssigned(partition: TopicPartition): boolean {
    return this.#assigned.get(nameOf(partition)) === partition;
  }

  /** Whether the client fetches no more of it for now. */
  isPaused(partition: TopicPartition): boolean {
    return this.#paused.has(nameOf(partition));
  }

  /** Resolves when a poll that begins after this call has returned. */
  async afterNextPoll(): Promise<void> {
    const target = this.#polls + 2;
    while (this.#polls < target && !this.#closed) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  /** Reads a partition again from another offset, or for the first time one that `assigned` left out. */
  async restart(partition: TopicPartition, offset: number): Promise<void> {
    await this.#settled();
    if (!this.isAssigned(partition)) return;
    const name = nameOf(partition);
    // An eager group's assignment can only be replaced as a whole, which would lose the places of the others.
    if (this.#eager) {
      await this.#seek(partition, offset);
      if (!this.isAssigned(partition)) return;
    } else {
      if (this.#read.has(name)) this.#consumer.incrementalUnassign([{ ...partition }]);
      this.#consumer.incrementalAssign([{ ...partition, offset } as Assignment]);
    }
    this.#read.add(name);
    this.#resume([partition]);
  }

  /** Resolves when all that the group has asked for is answered: an answer of another kind would be taken for it. */
  async #settled(): Promise<void> {
    let before: Promise<void> | undefined;
    while (before !== this.#rebalancing) {
      before = this.#rebalancing;
      await before;
    }
  }

  #resume(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) this.#paused.delete(nameOf(partition));
    // One that closes refuses it, and reads nothing any more.
    if (partitions.length > 0 && !this.#closed)
      this.#consumer.resume(partitions.map((partition) => ({ ...partition })));
  }

  #pause(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) this.#paused.set(nameOf(partition), partition);
    if (partitions.length > 0) this.#consumer.pause(partitions.map((partition) => ({ ...partition })));
  }

  #seek(partition: TopicPartition, offset: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#consumer.seek({ ...partition, offset }, SEEK_TIMEOUT_MS, (error) =>
        error ? reject(error) : resolve(),
      );
    });
  }

  /** The log's end of a partition as the last fetch said; -1 if none did. */
  highOffset({ topic, partition }: TopicPartition): number {
    try {
      return this.#consumer.getWatermarkOffsets(topic, partition).highOffset;
    } catch {
      return -1;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#polling;
    await this.#rebalancing;
    await new Promise<void>((resolve) => {
      this.#consumer.disconnect(() => resolve());
    });
  }

  #rebalance(error: LibrdKafkaError, partitions: TopicPartition[]): void {
    const run = async (): Promise<void> => {
      if (error.code === Kafka.CODES.ERRORS.ERR__ASSIGN_PARTITIONS) await this.#assign(partitions);
      else await this.#revoke(partitions);
    };
    this.#rebalancing = this.#rebalancing.then(run).catch((reason: Error) => this.#listener.failed(reason));
  }

  async #assign(partitions: readonly TopicPartition[]): Promise<void> {
    for (const partition of partitions) this.#assigned.set(nameOf(partition), partition);
    const offsets = await this.#listener.assigned(partitions);
    for (const partition of offsets) this.#read.add(nameOf(partition));
    // Also if it is to end, and reads none of them: the client waits for the answer before it leaves the group.
    if (!this.#eager) return void this.#consumer.incrementalAssign(offsets as unknown as Assignment[]);
    // None can be added later: one that is not read yet waits at its end, paused.
    const leftOut = partitions.filter((partition) => !this.#read.has(nameOf(partition)));
    const waiting = leftOut.map(({ topic, partition }) => ({ topic, partition, offset: OFFSET_END }));
    this.#consumer.assign([...offsets, ...waiting] as unknown as Assignment[]);
    this.#pause(leftOut);
  }

  async #revoke(partitions: readonly TopicPartition[]): Promise<void> {
    for (const partition of partitions) this.#assigned.delete(nameOf(partition));
    await this.#listener.revoked(partitions);
    this.#resume(partitions.filter((partition) => this.#paused.has(nameOf(partition))));
    // The client refuses to let go what it does not read, and all that is asked for with it.
    const read = partitions.filter((partition) => this.#read.delete(nameOf(partition)));
    if (this.#eager) this.#consumer.unassign();
    else this.#consumer.incrementalUnassign(read as unknown as Assignment[]);
  }

  async #poll(): Promise<void> {
    while (!this.#closed) {
      try {
        this.#hand(await this.#consume());
        this.#polls += 1;
        this.#regulate();
      } catch (error) {
        this.#report(error as LibrdKafkaError);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  /**
   * Waits for one message and takes what else is there. A call that waits for more waits for as long as messages keep
   * coming, up to its maximum: at a steady rate that was up to a second.
   */
  async #consume(): Promise<Kafka.Message[]> {
    const first = await this.#take(1, CONSUME_TIMEOUT_MS);
    if (first.length === 0) return first;
    try {
      return [...first, ...(await this.#take(CONSUME_MAX - 1, 0))];
    } catch (error) {
      this.#report(error as LibrdKafkaError);
      return first;
    }
  }

  #take(most: number, timeoutMs: number): Promise<Kafka.Message[]> {
    this.#consumer.setDefaultConsumeTimeout(timeoutMs);
    return new Promise((resolve, reject) => {
      this.#consumer.consume(most, (error, messages) => (error ? reject(error) : resolve(messages)));
    });
  }

  /** A revoked partition may still deliver from a call in flight: only what is assigned is handed on. */
  #hand(messages: readonly Kafka.Message[]): void {
    const byPartition = new Map<string, { partition: TopicPartition; list: Message[] }>();
    let group: { partition: TopicPartition; list: Message[] } | undefined;
    for (const { topic, partition, offset, key, value, timestamp, size } of messages) {
      // They come in long runs of one partition.
      if (group?.partition.partition !== partition || group.partition.topic !== topic) {
        const name = nameOf({ topic, partition });
        group = byPartition.get(name) ?? { partition: { topic, partition }, list: [] };
        byPartition.set(name, group);
      }
      group.list.push({
        partition,
        offset,
        key: key == null ? null : String(key),
        value,
        appendMs: timestamp ?? 0,
        size,
      });
    }
    for (const [name, { partition, list }] of byPartition) {
      if (this.#assigned.has(name)) this.#listener.messages(partition, list);
    }
  }

  /** A partition that cannot keep up is paused, so that it does not hold the others up or fill the memory. */
  #regulate(): void {
    for (const [name, partition] of this.#assigned) {
      if (!this.#read.has(name)) continue;
      const isPaused = this.#paused.has(name);
      const pauses = isToPause(this.#listener.backlog(partition), isPaused);
      if (pauses && !isPaused) this.#pause([partition]);
      else if (!pauses && isPaused) this.#resume([partition]);
    }
  }
}
