// How far the stream has come, for a backfill that waits for it: each look is bounded, so that no funnel waits for another.
import type { TopicAdmin } from '../platform/kafka-topics.ts';
import { partitionKeys } from '../platform/keys.ts';
import { type Namespace, topicPartitions } from '../platform/namespace.ts';
import type { RedisClient } from '../platform/redis.ts';
import { pause } from './pause.ts';

const LOOK_MS = 200;

export interface ReachPorts {
  readonly namespace: Namespace;
  /** Of `events`. */
  readonly generation: number;
  readonly redis: RedisClient;
  readonly admin: TopicAdmin;
}

/** Looks until it is so, at most for a while, but once. */
async function comesTrue(
  look: () => Promise<boolean>,
  signal: AbortSignal,
  patienceMs: number,
): Promise<boolean> {
  const untilMs = performance.now() + patienceMs;
  while (!signal.aborted) {
    if (await look()) return true;
    if (performance.now() >= untilMs) return false;
    await pause(LOOK_MS, signal);
  }
  return false;
}

function eachPartition<Value>(
  { namespace, generation }: ReachPorts,
  work: (keys: ReturnType<typeof partitionKeys>, partition: number) => Promise<Value>,
): Promise<Value[]> {
  return Promise.all(
    Array.from({ length: topicPartitions.events }, (_, partition) =>
      work(partitionKeys(namespace, { topic: 'events', generation, partition }), partition),
    ),
  );
}

/** ClickHouse and Kafka have everything that every partition had committed when this was asked. */
export async function isDelivered(
  ports: ReachPorts,
  signal: AbortSignal,
  patienceMs: number,
): Promise<boolean> {
  const { redis } = ports;
  const committed = await eachPartition(ports, async ({ head }) =>
    Number((await redis.hget(head, 'seq')) ?? 0),
  );
  const look = async (): Promise<boolean> => {
    const waiting = await eachPartition(ports, async ({ outbox }, partition) =>
      (await redis.hkeys(outbox)).some((seq) => Number(seq) <= committed[partition]!),
    );
    return !waiting.includes(true);
  };
  return comesTrue(look, signal, patienceMs);
}

/** Where each partition of `events` ends now. */
export async function endsOf({ admin, namespace }: ReachPorts): Promise<number[]> {
  const watermarks = await admin.watermarks(namespace.topics.events);
  return watermarks.map(({ high }) => high);
}

/** The partitions that have not yet applied what was before these ends. */
export async function behind(
  ports: ReachPorts,
  ends: readonly number[],
  signal: AbortSignal,
  patienceMs: number,
): Promise<number[]> {
  const { redis } = ports;
  let late: number[] = [];
  const look = async (): Promise<boolean> => {
    const offsets = await eachPartition(ports, async ({ head }) =>
      Number((await redis.hget(head, 'offset')) ?? 0),
    );
    late = offsets.flatMap((offset, partition) => (offset < (ends[partition] ?? 0) ? [partition] : []));
    return late.length === 0;
  };
  await comesTrue(look, signal, patienceMs);
  return late;
}
