// Writing to Kafka: a producer whose every message is answered once, by its own delivery report.
// Partitions are always given by the caller (platform/keys.ts): librdkafka's default would be CRC32.
import type { GlobalConfig, LibrdKafkaError, MessageHeader } from 'node-rdkafka';
import Kafka from 'node-rdkafka';
import { isPlatformError, PlatformError } from './platform-error.ts';

const CONNECT_TIMEOUT_MS = 10_000;
/** How often delivery reports are fetched while messages are in flight, and otherwise (for errors and logs). */
const BUSY_POLL_MS = 1;
const IDLE_POLL_MS = 1_000;
/** How long a waiting batch sleeps before it looks for room again. */
const ROOM_CHECK_MS = 2;
const WARNING_INTERVAL_MS = 10_000;
const MESSAGE_BYTES_MAX = 8 * 1024 * 1024;
const IN_FLIGHT_KILOBYTES_MAX = 262_144;
const IN_FLIGHT_MAX = 100_000;
const { ERR__QUEUE_FULL, ERR_MSG_SIZE_TOO_LARGE, ERR__FATAL } = Kafka.CODES.ERRORS;

/** Settings that every Kafka client of ours shares. */
export function kafkaClientSettings(brokers: string, clientId: string): GlobalConfig {
  return {
    'metadata.broker.list': brokers,
    'client.id': clientId,
    'broker.address.family': 'v4',
    'socket.keepalive.enable': true,
    'reconnect.backoff.ms': 50,
    'reconnect.backoff.max.ms': 500,
    'log.connection.close': false,
  };
}

export interface ProducerOptions {
  readonly brokers: string;
  readonly clientId: string;
  /** After so long an unacknowledged message has failed; 0: never (an outbox, where a failure would be a loss). */
  readonly deliveryTimeoutMs: number;
  /** Messages that may be unacknowledged at a time. */
  readonly inFlightMax?: number;
  /** Kilobytes of messages that may be unacknowledged at a time. */
  readonly inFlightKilobytesMax?: number;
  readonly lingerMs?: number;
  /** Messages of one partition go to Kafka in sets of at most so many bytes; one that is larger by itself. */
  readonly setBytesMax?: number;
  /** Packs what goes to Kafka together, whose limit on a message is one on what arrives. */
  readonly compression?: 'gzip';
  /** Told when the producer can not go on; every later `send` fails with KAFKA_FATAL. */
  readonly onFatal?: (error: PlatformError) => void;
  /** Told of what librdkafka mends by itself, such as a broker that is away. */
  readonly onWarning?: (message: string) => void;
}

export type Headers = Readonly<Record<string, string>>;

/** One message to write. */
export interface Outgoing {
  readonly topic: string;
  readonly partition: number;
  readonly key: string | Buffer | null;
  readonly value: string | Buffer;
  readonly headers?: Headers | undefined;
}

/** What a batch does when there is no room: wait for it, or refuse the whole batch with KAFKA_QUEUE_FULL. */
export type WhenFull = 'wait' | 'refuse';

export interface Producer {
  /**
   * Resolves when all replicas in sync have the message.
   * @throws PlatformError KAFKA_QUEUE_FULL (try again later), KAFKA_TOO_LARGE, KAFKA_NOT_DELIVERED, KAFKA_FATAL, KAFKA_CLOSED
   */
  send(
    topic: string,
    partition: number,
    key: string | Buffer | null,
    value: string | Buffer,
    headers?: Headers,
  ): Promise<{ offset: number }>;
  /**
   * Writes messages in order and resolves with their offsets when all are acknowledged.
   * When one fails, rejects with the first failure after all reports are in: others may have been written.
   */
  sendBatch(messages: readonly Outgoing[], whenFull?: WhenFull): Promise<number[]>;
  /** Messages handed over and not yet acknowledged or failed. */
  readonly inFlight: number;
  /** Waits for what is in flight, at most `timeoutMs`, and disconnects. */
  close(timeoutMs?: number): Promise<void>;
}

/** What a delivery report is handed to. */
type Report = (error: { message: string } | null, offset: number) => void;

/** @throws PlatformError KAFKA_UNREACHABLE */
export async function createProducer(options: ProducerOptions): Promise<Producer> {
  const client = await connect(options);
  return new AcknowledgedProducer(client, options);
}

async function connect(options: ProducerOptions): Promise<Kafka.Producer> {
  const client = new Kafka.Producer(
    {
      ...kafkaClientSettings(options.brokers, options.clientId),
      'enable.idempotence': true,
      'linger.ms': options.lingerMs ?? 2,
      'message.max.bytes': MESSAGE_BYTES_MAX,
      ...(options.setBytesMax === undefined ? {} : { 'batch.size': options.setBytesMax }),
      'compression.codec': options.compression ?? 'none',
      'queue.buffering.max.messages': options.inFlightMax ?? IN_FLIGHT_MAX,
      'queue.buffering.max.kbytes': options.inFlightKilobytesMax ?? IN_FLIGHT_KILOBYTES_MAX,
      dr_cb: true,
    },
    { 'request.required.acks': -1, 'message.timeout.ms': options.deliveryTimeoutMs },
  );
  await new Promise<void>((resolve, reject) => {
    client.connect({ timeout: CONNECT_TIMEOUT_MS }, (error) => {
      if (!error) return resolve();
      reject(new PlatformError('KAFKA_UNREACHABLE', `no Kafka at ${options.brokers}`, { cause: error }));
    });
  });
  return client;
}

class AcknowledgedProducer implements Producer {
  #client: Kafka.Producer;
  #inFlightMax: number;
  #inFlight = 0;
  #pollTimer: NodeJS.Timeout | undefined;
  #idleTimer: NodeJS.Timeout;
  #fatal: PlatformError | undefined;
  #onFatal: ProducerOptions['onFatal'];
  #closed = false;
  #lastWarning = { message: '', at: 0 };

  constructor(client: Kafka.Producer, options: ProducerOptions) {
    this.#client = client;
    this.#inFlightMax = options.inFlightMax ?? IN_FLIGHT_MAX;
    client.on('delivery-report', (error, report) => {
      this.#inFlight -= 1;
      (report.opaque as Report)(error ?? null, report.offset);
    });
    client.on('event.error', ({ message }) => this.#warn(message, options));
    // The event of an error has neither its code nor its reason; its line in the log has.
    client.on('event.log', ({ fac, message }: { fac?: string; message?: string }) => {
      if (fac === 'FATAL') this.#fail(new Error(message));
    });
    this.#onFatal = options.onFatal;
    this.#idleTimer = setInterval(() => this.#poll(), IDLE_POLL_MS);
    this.#idleTimer.unref();
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  send(
    topic: string,
    partition: number,
    key: string | Buffer | null,
    value: string | Buffer,
    headers?: Headers,
  ): Promise<{ offset: number }> {
    return new Promise((resolve, reject) => {
      this.#produce({ topic, partition, key, value, headers }, (error, offset) => {
        if (error === null) resolve({ offset });
        else reject(notDelivered(topic, partition, error));
      });
    });
  }

  async sendBatch(messages: readonly Outgoing[], whenFull: WhenFull = 'wait'): Promise<number[]> {
    if (whenFull === 'refuse' && this.#inFlight + messages.length > this.#inFlightMax) throw queueFull();
    const offsets = new Array<number>(messages.length).fill(-1);
    let firstError: Error | null = null;
    let outstanding = 0;
    let allReported: () => void = () => {};
    for (const [index, message] of messages.entries()) {
      const report: Report = (error, offset) => {
        offsets[index] = offset;
        if (error !== null) firstError ??= notDelivered(message.topic, message.partition, error);
        outstanding -= 1;
        if (outstanding === 0) allReported();
      };
      try {
        while (!this.#tryProduce(message, report, whenFull)) await sleep(ROOM_CHECK_MS);
      } catch (error) {
        firstError ??= error as Error;
        break;
      }
      outstanding += 1;
    }
    if (outstanding > 0) await new Promise<void>((resolve) => (allReported = resolve));
    if (firstError !== null) throw firstError;
    return offsets;
  }

  async close(timeoutMs = 30_000): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const deadline = performance.now() + timeoutMs;
    while (this.#inFlight > 0 && performance.now() < deadline) await sleep(ROOM_CHECK_MS);
    clearInterval(this.#idleTimer);
    clearTimeout(this.#pollTimer);
    const left = this.#inFlight;
    await new Promise<void>((resolve) => this.#client.disconnect(1, () => resolve()));
    if (left > 0)
      throw new PlatformError('KAFKA_NOT_DELIVERED', `${left} messages were still unacknowledged`);
  }

  /** False when there is no room and the caller would rather wait. */
  #tryProduce(message: Outgoing, report: Report, whenFull: WhenFull): boolean {
    try {
      this.#produce(message, report);
      return true;
    } catch (error) {
      if (whenFull === 'wait' && isPlatformError(error, 'KAFKA_QUEUE_FULL')) return false;
      throw error;
    }
  }

  /** Hands one message over; its report will come exactly once, unless this throws. */
  #produce(message: Outgoing, report: Report): void {
    if (this.#fatal !== undefined) throw this.#fatal;
    if (this.#closed) throw new PlatformError('KAFKA_CLOSED', 'the producer is closed');
    if (this.#inFlight >= this.#inFlightMax) throw queueFull();
    const { topic, partition, key, value, headers } = message;
    const bytes = typeof value === 'string' ? Buffer.from(value) : value;
    try {
      this.#client.produce(topic, partition, bytes, key, null, report, headers && headerList(headers));
    } catch (error) {
      if ((error as LibrdKafkaError).code === ERR__FATAL) throw this.#fail(error as Error);
      throw refusal(error as LibrdKafkaError, topic, bytes.length);
    }
    this.#inFlight += 1;
    this.#pollTimer ??= setTimeout(() => this.#pollWhileBusy(), BUSY_POLL_MS);
  }

  /** The reports themselves arrive by a wake-up of the event loop, a hundred at a time, after the poll. */
  #pollWhileBusy(): void {
    this.#poll();
    this.#pollTimer = this.#inFlight > 0 ? setTimeout(() => this.#pollWhileBusy(), BUSY_POLL_MS) : undefined;
  }

  #poll(): void {
    if (this.#client.isConnected()) this.#client.poll();
  }

  /** librdkafka says the same twice a second while a broker is away. */
  #warn(message: string, options: ProducerOptions): void {
    const now = performance.now();
    if (message === this.#lastWarning.message && now < this.#lastWarning.at + WARNING_INTERVAL_MS) return;
    this.#lastWarning = { message, at: now };
    options.onWarning?.(message);
  }

  #fail(cause: Error): PlatformError {
    if (this.#fatal !== undefined) return this.#fatal;
    const said = `the Kafka producer failed for good: ${cause.message}`;
    this.#fatal = new PlatformError('KAFKA_FATAL', said, { cause });
    this.#onFatal?.(this.#fatal);
    return this.#fatal;
  }
}

function headerList(headers: Headers): MessageHeader[] {
  return Object.entries(headers).map(([name, value]) => ({ [name]: value }));
}

function refusal(error: LibrdKafkaError, topic: string, bytes: number): PlatformError {
  if (error.code === ERR__QUEUE_FULL) return queueFull(error);
  if (error.code === ERR_MSG_SIZE_TOO_LARGE) {
    return new PlatformError('KAFKA_TOO_LARGE', `${bytes} bytes are too large for ${topic}`, {
      cause: error,
    });
  }
  return new PlatformError('KAFKA_NOT_DELIVERED', `${topic} did not take a message: ${error.message}`, {
    cause: error,
  });
}

function queueFull(cause?: unknown): PlatformError {
  return new PlatformError('KAFKA_QUEUE_FULL', 'too many messages wait for Kafka', { cause });
}

function notDelivered(topic: string, partition: number, cause: { message: string }): PlatformError {
  const code = /too large/i.test(cause.message) ? 'KAFKA_TOO_LARGE' : 'KAFKA_NOT_DELIVERED';
  return new PlatformError(code, `${topic}/${partition} did not acknowledge: ${cause.message}`, { cause });
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
