// Reading one partition by offset, outside any consumer group: for the definitions, the oracle and the tools. Who reads for as
// long as its process lives does it by `kafka-follow.ts`.
// The processor's own reading, with owners and rebalances, is stream/source.ts.
import type { LibrdKafkaError, Message } from 'node-rdkafka';
import Kafka from 'node-rdkafka';
import { beforeAbort } from './before-abort.ts';
import { kafkaClientSettings } from './kafka.ts';
import { PlatformError } from './platform-error.ts';

const CONNECT_TIMEOUT_MS = 10_000;
const BATCH_RECORDS_MAX = 4_000;
/** Who wants one record is not sent the megabytes behind it: a batch that is larger comes all the same. */
const ONE_RECORD_KBYTES = 64;
/** node-rdkafka waits so long for each further message of a batch before it hands over those it has. */
const NEXT_MESSAGE_MS = 5;
/** At the end of the partition one message is waited for, which is handed over at once; so often the signal is looked at. */
const IDLE_MS = 100;
const PATIENCE_MS = 60_000;

/** One record as it stands in the log. */
export interface LogRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** LogAppendTime, epoch ms. */
  readonly appendedAtMs: number;
  readonly headers: Readonly<Record<string, string>>;
}

export interface ReadOptions {
  readonly brokers: string;
  readonly topic: string;
  readonly partition: number;
  /** The first offset to read. */
  readonly from: number;
  /** The offset after the last one to read; absent: go on for ever. */
  readonly to?: number | undefined;
  /** With `to`: gives up when it is connected and has come no further for so long; absent: a minute. */
  readonly patienceMs?: number;
  readonly signal?: AbortSignal | undefined;
  /** Reads record by record, and little of what comes behind: for who needs but the first. */
  readonly oneByOne?: boolean;
  /** Told each time that the end of the log is reached, with the offset that is to come next. */
  readonly onEnd?: (offset: number) => void;
}

/**
 * The records of [from, to) in order, in batches; ends early when the signal is aborted.
 * @throws PlatformError KAFKA_UNREACHABLE, KAFKA_READ_FAILED (an offset that the log no longer or not yet has; a log of which
 * nothing more comes before `to` within `patienceMs`)
 */
export async function* readPartition(options: ReadOptions): AsyncGenerator<LogRecord[], void, undefined> {
  const { topic, partition, from, signal, oneByOne = false } = options;
  const to = options.to ?? Number.POSITIVE_INFINITY;
  const patienceMs =
    options.to === undefined ? Number.POSITIVE_INFINITY : (options.patienceMs ?? PATIENCE_MS);
  if (from >= to || signal?.aborted) return;
  const connecting = connect(options);
  const consumer = await beforeAbort(connecting, signal).catch((error: unknown) => {
    if (!signal?.aborted) throw error;
    // A client cannot be stopped while it connects, which takes long where nobody answers.
    void connecting.then(disconnect, () => {});
  });
  if (consumer === undefined) return;
  let endReachedAt = -1;
  consumer.on('partition.eof', (event) => {
    endReachedAt = event.offset;
    options.onEnd?.(event.offset);
  });
  try {
    consumer.assign([{ topic, partition, offset: from }]);
    let next = from;
    let movedMs = performance.now();
    // The end of the partition counts too: the offsets before `to` may be no records (markers of transactions).
    while (next < to && endReachedAt < to && !signal?.aborted) {
      const messages = await consume(consumer, endReachedAt >= next, oneByOne ? 1 : BATCH_RECORDS_MAX);
      const records = messages.map(toRecord).filter((record) => record.offset < to);
      if (records.length === 0) {
        // What comes stands behind: nothing more is before it.
        if (messages.length > 0) return;
        if (performance.now() - movedMs > patienceMs) throw stuck(options, next, patienceMs);
        continue;
      }
      next = records[records.length - 1]!.offset + 1;
      yield records;
      movedMs = performance.now();
    }
  } finally {
    await disconnect(consumer);
  }
}

/**
 * When the record at an offset was appended, epoch ms; undefined if none stands there, but a transaction's marker, say, and where
 * the signal is aborted before it is read.
 * @throws PlatformError as `readPartition`
 */
export async function appendMsAt(
  options: Pick<ReadOptions, 'brokers' | 'topic' | 'partition' | 'signal' | 'patienceMs'>,
  offset: number,
): Promise<number | undefined> {
  const one = { ...options, from: offset, to: offset + 1, oneByOne: true };
  for await (const [record] of readPartition(one)) return record!.appendedAtMs;
  return undefined;
}

function disconnect(consumer: Kafka.KafkaConsumer): Promise<void> {
  return new Promise((resolve) => {
    consumer.disconnect(() => resolve());
  });
}

/** Readers see what is committed: behind a transaction that nobody ends, nothing is. */
function stuck({ topic, partition, to }: ReadOptions, next: number, patienceMs: number): PlatformError {
  return new PlatformError(
    'KAFKA_READ_FAILED',
    `${topic} ${partition} ends at offset ${to}, and nothing came from ${next} on for ${patienceMs / 1_000} s: either no broker leads it, or a transaction there was never ended (find it with kafka-transactions.sh find-hanging, end it with abort)`,
  );
}

async function connect({ brokers, oneByOne }: ReadOptions): Promise<Kafka.KafkaConsumer> {
  const consumer = new Kafka.KafkaConsumer(
    {
      ...kafkaClientSettings(brokers, 'flywheel-reader'),
      // node-rdkafka wants a group; without a subscription or a commit it stays unused.
      'group.id': 'flywheel-reader',
      'enable.auto.commit': false,
      'enable.partition.eof': true,
      'fetch.queue.backoff.ms': 5,
      'fetch.wait.max.ms': 100,
      ...(oneByOne && {
        'fetch.message.max.bytes': ONE_RECORD_KBYTES * 1_024,
        'queued.max.messages.kbytes': ONE_RECORD_KBYTES,
      }),
    },
    { 'auto.offset.reset': 'error' },
  );
  await new Promise<void>((resolve, reject) => {
    consumer.connect({ timeout: CONNECT_TIMEOUT_MS }, (error) => {
      if (!error) return resolve();
      reject(new PlatformError('KAFKA_UNREACHABLE', `no Kafka at ${brokers}`, { cause: error }));
    });
  });
  return consumer;
}

function consume(consumer: Kafka.KafkaConsumer, atEnd: boolean, most: number): Promise<Message[]> {
  consumer.setDefaultConsumeTimeout(atEnd ? IDLE_MS : NEXT_MESSAGE_MS);
  return new Promise((resolve, reject) => {
    consumer.consume(atEnd ? 1 : most, (error: LibrdKafkaError | null, messages: Message[]) => {
      if (!error) return resolve(messages);
      reject(
        new PlatformError('KAFKA_READ_FAILED', `reading Kafka failed: ${error.message}`, { cause: error }),
      );
    });
  });
}

function toRecord(message: Message): LogRecord {
  const headers: Record<string, string> = {};
  for (const header of message.headers ?? []) {
    for (const [name, value] of Object.entries(header)) headers[name] = value.toString();
  }
  const { topic, partition, offset, key, value, timestamp } = message;
  return {
    topic,
    partition,
    offset,
    key: typeof key === 'string' ? Buffer.from(key) : (key ?? null),
    value,
    appendedAtMs: timestamp ?? 0,
    headers,
  };
}
