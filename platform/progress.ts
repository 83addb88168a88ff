// How far the stream is behind the log: what `flywheel up`, `flywheel verify` and tests wait for.
import { ensureGeneration, type TopicAdmin } from './kafka-topics.ts';
import { type PartitionId, partitionKeys, type StatefulTopic, statefulTopics } from './keys.ts';
import { type Namespace, topicPartitions } from './namespace.ts';
import { isPlatformError } from './platform-error.ts';
import type { RedisClient } from './redis.ts';

export interface PartitionProgress {
  readonly topic: StatefulTopic;
  readonly partition: number;
  /** The next offset that the stream will apply. */
  readonly offset: number;
  /** The log's end. */
  readonly high: number;
  /** Committed batches that ClickHouse or Kafka do not have yet. */
  readonly undelivered: number;
  /** Whether ClickHouse has the latest value of every aggregate. */
  readonly flushed: boolean;
  /** Its owner stands still, as it was asked to. */
  readonly paused: boolean;
}

type Applied = Omit<PartitionProgress, 'high'>;

/**
 * Everything that partitions have applied and still owe is read first, the logs' ends last. What an owner sends to another
 * partition (or topic) is then either still in its outbox, or already behind an end that nobody has applied: never unseen.
 * @param redis connected; @param admin open
 */
export async function readProgress(
  namespace: Namespace,
  redis: RedisClient,
  admin: TopicAdmin,
): Promise<PartitionProgress[]> {
  const generations = await ensureGeneration(namespace, admin, redis);
  const ids = statefulTopics.flatMap((topic) =>
    Array.from(
      { length: topicPartitions[topic] },
      (_, partition): PartitionId => ({ topic, generation: generations[topic], partition }),
    ),
  );
  const applied = await Promise.all(ids.map((id) => readApplied(namespace, redis, id)));
  const ends = new Map(
    await Promise.all(
      statefulTopics.map(async (topic) => [topic, await admin.watermarks(namespace.topics[topic])] as const),
    ),
  );
  return applied.map((one) => ({ ...one, high: ends.get(one.topic)![one.partition]?.high ?? 0 }));
}

/** The head before the outbox: what a commit after the head adds to the outbox only makes it look less done. */
async function readApplied(namespace: Namespace, redis: RedisClient, id: PartitionId): Promise<Applied> {
  const keys = partitionKeys(namespace, id);
  // One connection, one node: Redis answers in this order.
  const [[offset, fired, flushed, paused], undelivered] = await Promise.all([
    redis.hmget(keys.head, 'offset', 'fired', 'flushed', 'paused'),
    redis.hlen(keys.outbox),
  ]);
  const version = BigInt(offset ?? 0) * 4_194_304n + BigInt(fired ?? 0);
  return {
    topic: id.topic,
    partition: id.partition,
    offset: Number(offset ?? 0),
    undelivered,
    flushed: (flushed ?? '') === version.toString() || offset === null,
    paused: paused === '1',
  };
}

/** True only if there was a time, during the look, at which nothing was on its way (see `readProgress`). */
export function isDrained(progress: readonly PartitionProgress[]): boolean {
  return progress.every(
    ({ offset, high, undelivered, flushed }) => offset === high && undelivered === 0 && flushed,
  );
}

/** The state belongs to another log than there is: a later look says the same. */
export function isOfAnotherLog(error: unknown): boolean {
  return isPlatformError(error, 'GENERATION_MISMATCH') || isPlatformError(error, 'TOPIC_MISMATCH');
}

/** How many records wait, in all partitions. */
export function lagOf(progress: readonly PartitionProgress[]): number {
  return progress.reduce((lag, { offset, high }) => lag + Math.max(0, high - offset), 0);
}

const CHECK_MS = 200;

/**
 * Resolves true when everything in the log is applied, delivered and flushed; false when `timeoutMs` have passed before.
 * @param onProgress told of every look
 * @param isNotYet whether a look that failed is to be repeated; never, if it is left out
 */
export async function waitUntilDrained(
  look: () => Promise<PartitionProgress[]>,
  timeoutMs: number,
  onProgress: (progress: readonly PartitionProgress[]) => void = () => {},
  isNotYet: (error: unknown) => boolean = () => false,
): Promise<boolean> {
  const untilMs = performance.now() + timeoutMs;
  for (;;) {
    const progress = await look().catch((error: unknown) => {
      if (!isNotYet(error)) throw error;
    });
    if (progress !== undefined) {
      onProgress(progress);
      if (isDrained(progress)) return true;
    }
    if (performance.now() > untilMs) return false;
    await new Promise((resolve) => setTimeout(resolve, CHECK_MS));
  }
}
