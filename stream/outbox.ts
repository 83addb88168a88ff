// Records that a commit keeps go to Kafka here. A failure is fatal to the attempt, never skipped: the sink tries again.
// What Kafka would refuse for its size, then and ever, is put aside among the rejects: it would hold up all that is behind it. What a
// topic refuses only for how somebody set it waits, with all that is behind it, and nothing of it is handed over before.

import type { RejectedRecord } from '../domain/record.ts';
import type { Outgoing, Producer } from '../platform/kafka.ts';
import type { Namespace } from '../platform/namespace.ts';
import { isPlatformError, PlatformError } from '../platform/platform-error.ts';
import { messageBytesMax } from '../platform/topic-settings.ts';
import type { OutboxRecord } from './batch.ts';
import { type MessageLimits, outboxTopics } from './message-limits.ts';
import { rawOf } from './reject.ts';
import type { RecordStore } from './sink.ts';

/** What a record has around its key, its value and its source, alone in its batch. */
const FRAME_BYTES = 256;

/** Of so many that were put aside it is known that they were told of: an older one is at worst told of again. */
const TOLD_MAX = 10_000;

/** So long all topics are told to take what waits, after one was found to take too little: whichever broker is asked tells it. */
const SETTLE_MS = 5_000;

export interface OutboxPorts {
  /** Told of each record that is put aside, once it is, and once however often it is sent. */
  tooLarge(record: OutboxRecord, rejected: RejectedRecord): void;
  /** Bytes that the producer puts together at most, as it was made. */
  readonly setBytes: number;
  /** What the topics take now. */
  limits(): Promise<MessageLimits>;
  now(): number;
  /** Milliseconds of a clock that nobody sets. */
  steadyMs(): number;
}

/** A record, and what stands for it among the rejects. */
interface Aside {
  readonly record: OutboxRecord;
  readonly rejected: RejectedRecord;
}

function bytesOf({ key, value, source }: OutboxRecord): number {
  return Buffer.byteLength(key ?? '') + Buffer.byteLength(value) + Buffer.byteLength(source) + FRAME_BYTES;
}

function exceeds(record: OutboxRecord, most: number): boolean {
  // No character is more than three bytes of UTF-8 a UTF-16 unit, and nearly all records are short.
  const atMost = 3 * ((record.key ?? '').length + record.value.length + record.source.length) + FRAME_BYTES;
  return atMost > most && bytesOf(record) > most;
}

/** By what our topics take, not by what these do: of one that was set to take less, what is sent waits until it is mended. */
function isTooLarge(record: OutboxRecord): boolean {
  return exceeds(record, messageBytesMax[record.to]);
}

/**
 * When it happened, as the log says: the same record is put aside as the same reject, however often. A record that names no time
 * has that of the sending.
 */
function timeOf(value: string, nowMs: number): number {
  const { appendMs, timestamp, timeMs, base, behaviours } = JSON.parse(value);
  const times = [appendMs, timestamp, timeMs, base?.lastMs, behaviours?.at?.(-1)?.[0]];
  return times.find((time) => typeof time === 'number' && time > 0) ?? nowMs;
}

/** The reject that stands for it: named by the position of what caused it, for one record of the log can cause several. */
function rejectedOf(record: OutboxRecord, nowMs: number): RejectedRecord {
  const { to, partition, key, value, source } = record;
  const [topic = '', , sourcePartition, sourceOffset] = source.split(':');
  const said = `a record for ${to}/${partition}, of ${key}, has ${bytesOf(record)} bytes; at most ${messageBytesMax[to]} are taken`;
  return {
    kind: 'rejected',
    sourceTopic: topic,
    sourcePartition: Number(sourcePartition),
    sourceOffset: Number(sourceOffset),
    sourceId: source,
    route: '',
    source: '',
    reason: 'tooLarge',
    ...rawOf(Buffer.from(value), said),
    at: timeOf(value, nowMs),
  };
}

/** A reject that an older version kept whole stays what it is, of fewer of its bytes. */
function cutReject(value: string): RejectedRecord {
  const rejected = JSON.parse(value) as RejectedRecord;
  return { ...rejected, ...rawOf(Buffer.from(rejected.raw, 'base64'), rejected.detail) };
}

export function createOutbox(
  producer: Pick<Producer, 'sendBatch'>,
  namespace: Namespace,
  ports: OutboxPorts,
): RecordStore {
  const outgoing = ({ to, partition, key, value, source }: OutboxRecord): Outgoing => ({
    topic: namespace.topics[to],
    partition,
    key,
    value,
    headers: { source },
  });

  const told = new Set<string>();

  function tell(aside: readonly Aside[]): void {
    for (const { record, rejected } of aside) {
      const { source } = record;
      if (told.has(source)) continue;
      const [oldest] = told;
      if (told.size >= TOLD_MAX && oldest !== undefined) told.delete(oldest);
      told.add(source);
      ports.tooLarge(record, rejected);
    }
  }

  const command = (to: OutboxRecord['to']): string =>
    `kafka-configs.sh --alter --topic ${namespace.topics[to]} --add-config max.message.bytes=${messageBytesMax[to]}`;

  /** What the topics take; undefined where it is to be asked. */
  let limits: MessageLimits | undefined;
  /** Whether one was last found, or seen by a refusal, to take too little; and since when all are told to take what waits. */
  let wasLess = false;
  let enoughSinceMs: number | undefined;

  function noteLess(): void {
    limits = undefined;
    wasLess = true;
    enoughSinceMs = undefined;
  }

  /** Why a record may not be handed over to a topic that takes less than ours. */
  function tooMuchFor(record: OutboxRecord, limit: number): string | undefined {
    const { to, partition, key } = record;
    const said = `${namespace.topics[to]} takes ${limit} bytes at a time (max.message.bytes)`;
    if (exceeds(record, limit))
      return `${said}, and a record for its partition ${partition}, of ${key}, has ${bytesOf(record)}: nothing is sent until it takes that (${command(to)})`;
    if (limit < ports.setBytes)
      return `${said} and took more when this process began, which puts ${ports.setBytes} together: nothing is sent until stream is started again, or it takes that (${command(to)})`;
    return undefined;
  }

  /** @throws PlatformError KAFKA_TOO_LARGE if any would be refused: then none may be handed over */
  async function checkLimits(records: readonly OutboxRecord[]): Promise<void> {
    const known = limits ?? (await ports.limits());
    limits = undefined;
    const less = new Set(
      outboxTopics.filter((to) => known[to] < Math.max(messageBytesMax[to], ports.setBytes)),
    );
    for (const record of less.size > 0 ? records : []) {
      const fault = less.has(record.to) ? tooMuchFor(record, known[record.to]) : undefined;
      if (fault === undefined) continue;
      noteLess();
      throw new PlatformError('KAFKA_TOO_LARGE', fault);
    }
    // Who told it may have heard sooner than who leads the partition.
    if (wasLess) enoughSinceMs ??= ports.steadyMs();
    if (enoughSinceMs !== undefined && ports.steadyMs() - enoughSinceMs < SETTLE_MS)
      throw new PlatformError(
        'KAFKA_TOO_LARGE',
        `the topics take what waits since less than ${SETTLE_MS / 1_000} s ago, and not all brokers may have heard: it is sent then`,
      );
    limits = known;
    wasLess = false;
    enoughSinceMs = undefined;
  }

  function putAside(record: OutboxRecord, aside: Aside[]): OutboxRecord {
    if (record.to === 'rejected') return { ...record, value: JSON.stringify(cutReject(record.value)) };
    const rejected = rejectedOf(record, ports.now());
    aside.push({ record, rejected });
    const { source } = record;
    return { to: 'rejected', partition: 0, key: source, value: JSON.stringify(rejected), source };
  }

  return {
    async send(records) {
      const aside: Aside[] = [];
      const taken = records.map((record) => (isTooLarge(record) ? putAside(record, aside) : record));
      await checkLimits(taken);
      try {
        await producer.sendBatch(taken.map(outgoing));
      } catch (error) {
        // They were set to take less meanwhile.
        if (isPlatformError(error, 'KAFKA_TOO_LARGE')) noteLess();
        throw error;
      }
      tell(aside);
    },
  };
}
