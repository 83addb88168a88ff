// Reads Kafka low to high by itself, with another client than the stream's: every offset is a record or a gap.
import { Consumer, type RecordsBatch } from '@platformatic/kafka';

/** One record as it stands in the log. */
export interface LogRecord {
  readonly offset: number;
  /** The broker's append time. */
  readonly appendMs: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly (readonly [string, string])[];
}

export interface LogPartition {
  readonly topic: string;
  readonly partition: number;
  readonly low: number;
  /** The end of what was read. */
  readonly high: number;
  readonly records: readonly LogRecord[];
  /** Offsets between low and high that hold no record (transaction markers, compaction): none are expected. */
  readonly gaps: readonly number[];
}

export interface LogReader {
  /** Low and high watermark of every partition of the topics. */
  watermarks(topics: readonly string[]): Promise<Map<string, readonly Watermarks[]>>;
  /** Every record of one partition in `[from, to)`. */
  read(topic: string, partition: number, from: number, to: number): Promise<LogPartition>;
  close(): Promise<void>;
}

export interface Watermarks {
  readonly partition: number;
  readonly low: number;
  readonly high: number;
}

const EARLIEST = -2n;
const LATEST = -1n;
const CONTROL_BATCH = 1 << 5;
const APPEND_TIME_BATCH = 1 << 3;
const FETCH_BYTES_MAX = 16 * 1024 * 1024;
const FETCH_WAIT_MS = 100;
/** Fetches in a row that bring nothing new before the reader gives up on a partition. */
const EMPTY_FETCHES_MAX = 100;

/** Opens a reader of its own connection; it joins no group. */
export function openLogReader(brokers: string): LogReader {
  const consumer = new Consumer({
    clientId: 'flywheel-verify',
    groupId: 'flywheel-verify',
    bootstrapBrokers: brokers.split(','),
    retries: 5,
    retryDelay: 200,
    maxBytes: FETCH_BYTES_MAX,
  });
  return {
    watermarks: (topics) => watermarksOf(consumer, topics),
    read: (topic, partition, from, to) => readPartition(consumer, { topic, partition, from, to }),
    close: () => consumer.close(),
  };
}

async function watermarksOf(
  consumer: Consumer,
  topics: readonly string[],
): Promise<Map<string, Watermarks[]>> {
  const [lows, highs] = await Promise.all([
    consumer.listOffsets({ topics: [...topics], timestamp: EARLIEST }),
    consumer.listOffsets({ topics: [...topics], timestamp: LATEST }),
  ]);
  const result = new Map<string, Watermarks[]>();
  for (const topic of topics) {
    const low = lows.get(topic) ?? [];
    const high = highs.get(topic) ?? [];
    result.set(
      topic,
      high.map((end, partition) => ({ partition, low: Number(low[partition] ?? 0n), high: Number(end) })),
    );
  }
  return result;
}

interface ReadRange {
  readonly topic: string;
  readonly partition: number;
  readonly from: number;
  readonly to: number;
}

async function readPartition(consumer: Consumer, range: ReadRange): Promise<LogPartition> {
  const { topic, partition, from, to } = range;
  const metadata = await consumer.metadata({ topics: [topic] });
  const described = metadata.topics.get(topic);
  const leader = described?.partitions[partition]?.leader;
  if (described === undefined || leader === undefined)
    throw new Error(`the topic ${topic} has no partition ${partition}`);
  const records: LogRecord[] = [];
  const gaps: number[] = [];
  let next = from;
  let empty = 0;
  while (next < to) {
    const response = await consumer.fetch({
      node: leader,
      minBytes: 1,
      maxBytes: FETCH_BYTES_MAX,
      maxWaitTime: FETCH_WAIT_MS,
      topics: [
        {
          topicId: described.id,
          partitions: [
            {
              partition,
              currentLeaderEpoch: -1,
              fetchOffset: BigInt(next),
              lastFetchedEpoch: -1,
              partitionMaxBytes: FETCH_BYTES_MAX,
            },
          ],
        },
      ],
    });
    const before = next;
    for (const batch of response.responses[0]?.partitions[0]?.records ?? [])
      next = take(batch, next, to, records, gaps);
    empty = next === before ? empty + 1 : 0;
    if (empty > EMPTY_FETCHES_MAX)
      throw new Error(`${topic}/${partition} gave nothing at offset ${next} of ${to}`);
  }
  return { topic, partition, low: from, high: to, records, gaps };
}

/** Appends the batch's records in `[next, to)`; answers the offset after the batch. */
function take(batch: RecordsBatch, next: number, to: number, records: LogRecord[], gaps: number[]): number {
  const first = Number(batch.firstOffset);
  const end = Math.min(first + batch.lastOffsetDelta + 1, to);
  const control = (batch.attributes & CONTROL_BATCH) !== 0;
  const appendMs = (batch.attributes & APPEND_TIME_BATCH) === 0 ? undefined : Number(batch.maxTimestamp);
  let expected = next;
  for (const record of control ? [] : batch.records) {
    const offset = first + record.offsetDelta;
    if (offset < next || offset >= to) continue;
    while (expected < offset) gaps.push(expected++);
    expected = offset + 1;
    records.push({
      offset,
      appendMs: appendMs ?? Number(batch.firstTimestamp + record.timestampDelta),
      // Copies, because the fetched block is much larger than what is kept of it.
      key: record.key === null ? null : Buffer.from(record.key),
      value: record.value === null ? null : Buffer.from(record.value),
      headers: record.headers.map(
        ([name, value]) => [name?.toString() ?? '', value?.toString() ?? ''] as const,
      ),
    });
  }
  while (expected < end) gaps.push(expected++);
  return Math.max(next, end);
}
