// How every partition is, for who looks at a glance: where it stands, whether its owner lives, what it was told.
import { ensureGeneration, type TopicAdmin } from './kafka-topics.ts';
import {
  type PartitionId,
  type PartitionKeys,
  partitionKeys,
  type StatefulTopic,
  statefulTopics,
} from './keys.ts';
import { type Namespace, topicPartitions } from './namespace.ts';
import { PlatformError } from './platform-error.ts';
import type { RedisClient } from './redis.ts';
import { STAMP_AGE_MS_MAX } from './trigger-offer.ts';
import {
  UNDELIVERED_BATCHES_MAX,
  UNDELIVERED_BYTES_MAX,
  UNDELIVERED_MS_MAX,
  UNDELIVERED_RECORDS_MAX,
} from './undelivered.ts';

/** What is older waits too long. */
const FRESH_MS_MAX = 60_000;

/**
 * `behind`, `undelivered` (something waits too long for ClickHouse or Kafka, or so much that the owner folds nothing more)
 * and `no owner` are unhealthy; `paused` is what somebody wanted.
 */
export type PartitionHealth = 'ok' | 'paused' | 'behind' | 'undelivered' | 'no owner';

export interface PartitionStatus {
  readonly topic: StatefulTopic;
  readonly partition: number;
  readonly health: PartitionHealth;
  /** `<slot>@<host>:<process>`; null: nobody's stamp is fresh. */
  readonly owner: string | null;
  readonly offset: number;
  readonly high: number;
  readonly lag: number;
  /** Since the oldest record that is not applied was appended; 0 if none waits. */
  readonly freshnessMs: number;
  /** Epoch milliseconds; 0 before the first record. */
  readonly watermarkMs: number;
  /** Committed batches that ClickHouse or Kafka do not have yet, and the records in them. */
  readonly undelivered: number;
  readonly undeliveredRecords: number;
  readonly undeliveredBytes: number;
  /** Since the oldest of them was committed; 0 if none waits, or where its owner is too old to say. */
  readonly undeliveredMs: number;
}

type Facts = Omit<PartitionStatus, 'health'> & { readonly paused: boolean };

export function healthOf(facts: Facts): PartitionHealth {
  const { owner, paused, freshnessMs, undelivered, undeliveredRecords, undeliveredBytes, undeliveredMs } =
    facts;
  if (owner === null) return 'no owner';
  if (undelivered >= UNDELIVERED_BATCHES_MAX || undeliveredRecords >= UNDELIVERED_RECORDS_MAX)
    return 'undelivered';
  if (undeliveredBytes >= UNDELIVERED_BYTES_MAX) return 'undelivered';
  if (undeliveredMs > UNDELIVERED_MS_MAX) return 'undelivered';
  if (paused) return 'paused';
  return freshnessMs > FRESH_MS_MAX ? 'behind' : 'ok';
}

const fields = [
  'offset',
  'watermark',
  'stamp',
  'owner',
  'paused',
  'oldest',
  'owed',
  'owedBytes',
  'owedSince',
] as const;

async function readHead(redis: RedisClient, keys: PartitionKeys, nowMs: number) {
  const [head, undelivered] = await Promise.all([redis.hmget(keys.head, ...fields), redis.hlen(keys.outbox)]);
  const [offset, watermark, stamp, owner, paused, oldest, owed, owedBytes, owedSince] = head;
  const isSeen = Math.abs(nowMs - Number(stamp ?? 0)) < STAMP_AGE_MS_MAX;
  return {
    offset: Number(offset ?? 0),
    watermarkMs: Number(watermark ?? 0),
    owner: isSeen ? (owner ?? '') : null,
    paused: paused === '1',
    oldestMs: Number(oldest ?? 0),
    undelivered,
    undeliveredRecords: Number(owed ?? 0),
    undeliveredBytes: Number(owedBytes ?? 0),
    undeliveredMs: owedSince ? Math.max(0, nowMs - Number(owedSince)) : 0,
  };
}

/** @throws PlatformError of the part that cannot be reached */
export async function readPartitions(
  namespace: Namespace,
  redis: RedisClient,
  admin: TopicAdmin,
  nowMs: number,
): Promise<PartitionStatus[]> {
  const generations = await ensureGeneration(namespace, admin, redis);
  const all = statefulTopics.map(async (topic) => {
    const ids = Array.from(
      { length: topicPartitions[topic] },
      (_, partition): PartitionId => ({ topic, generation: generations[topic], partition }),
    );
    const heads = await Promise.all(ids.map((id) => readHead(redis, partitionKeys(namespace, id), nowMs)));
    const marks = await admin.watermarks(namespace.topics[topic]);
    return heads.map(({ oldestMs, ...head }, partition): PartitionStatus => {
      const high = marks[partition]?.high ?? 0;
      const lag = Math.max(0, high - head.offset);
      const freshnessMs = lag === 0 || oldestMs === 0 ? 0 : Math.max(0, nowMs - oldestMs);
      const { paused, ...shown } = head;
      const facts = { topic, partition, ...shown, high, lag, freshnessMs };
      return { ...facts, health: healthOf({ ...facts, paused }) };
    });
  });
  return (await Promise.all(all)).flat();
}

/** The partition that somebody names. @throws PlatformError NO_SUCH_PARTITION */
export function partitionNamed(
  topic: string,
  partition: string,
): { readonly topic: StatefulTopic; readonly partition: number } {
  const known = statefulTopics.find((each) => each === topic);
  if (known === undefined) {
    throw new PlatformError(
      'NO_SUCH_PARTITION',
      `there is no topic ${JSON.stringify(topic)} with state: name one of ${statefulTopics.join(', ')}`,
    );
  }
  const count = topicPartitions[known];
  const number = /^\d{1,4}$/.test(partition) ? Number(partition) : -1;
  if (number < 0 || number >= count) {
    throw new PlatformError(
      'NO_SUCH_PARTITION',
      `${topic} has no partition ${JSON.stringify(partition)}: there are 0 to ${count - 1}`,
    );
  }
  return { topic: known, partition: number };
}
