// Waits until a partition rests, and reads it as it stood then: everything that the log held is applied and delivered.
import {
  generationsKey,
  type PartitionId,
  partitionKeys,
  type StatefulTopic,
  statefulTopics,
} from '../platform/keys.ts';
import type { Namespace } from '../platform/namespace.ts';
import type { RedisClient } from '../platform/redis.ts';
import { keysIn } from './identity/under-way.ts';
import type { LogPartition, LogReader, Watermarks } from './log.ts';
import { type Scope, type Snapshot, versionReached } from './scope.ts';
import { openStateNames, type StateNames } from './state-names.ts';
import { readHead, readStored, type StoredHead, type StoredPartition } from './stored.ts';

export interface Sources {
  readonly namespace: Namespace;
  readonly redis: RedisClient;
  readonly log: LogReader;
  /** All of the topic `deliveries`, as it stands. */
  readonly readDeliveries: () => Promise<Scope['deliveries']>;
  /** How long may still be waited for partitions to rest, in all; reading does not count. */
  readonly patience: { leftMs: number };
}

const LOOK_MS = 100;
/** Far longer than a flush of aggregates and slow inserts take. */
const REST_MS_MAX = 15_000;
/** Times that a live partition is read anew because it went on meanwhile. */
const READS_MAX = 10;

/** The generation of each topic with state, as it is kept in Redis. @throws Error for a namespace without any. */
export async function readGenerations(
  redis: RedisClient,
  namespace: Namespace,
): Promise<Record<StatefulTopic, number>> {
  const kept = await redis.hgetall(generationsKey(namespace));
  const generationOf = (topic: StatefulTopic): number => {
    const generation = /^\d+/.exec(kept[namespace.topics[topic]] ?? '')?.[0];
    if (generation === undefined) {
      throw new Error(
        `the namespace ${namespace.name} has no ${topic} in this Redis: was \`flywheel migrate\` run?`,
      );
    }
    return Number(generation);
  };
  return { events: generationOf('events'), spend: generationOf('spend'), rejected: generationOf('rejected') };
}

/** All partitions of a topic, one after the other, each as of a moment at which it rested (or of the last look). */
export async function takeSnapshots(
  sources: Sources,
  topic: StatefulTopic,
  generation: number,
  onPartition: (partition: number, records: number) => void,
): Promise<Snapshot[]> {
  const name = sources.namespace.topics[topic];
  const partitions = (await sources.log.watermarks([name])).get(name) ?? [];
  if (partitions.length === 0) throw new Error(`Kafka has no topic ${name}`);
  const names = openStateNames(sources.redis, sources.namespace, topic, generation, partitions.length);
  const snapshots: Snapshot[] = [];
  const take = async (partition: number): Promise<void> => {
    const snapshot = await takeSnapshot(sources, { topic, generation, partition }, names);
    snapshots[partition] = snapshot;
    onPartition(partition, snapshot.log.records.length);
  };
  for (const { partition } of partitions) await take(partition);
  // Partitions send each other records: one that rested when it was read may have got some since.
  for (let reads = 1; reads < READS_MAX; reads += 1) {
    const ends = (await sources.log.watermarks([name])).get(name) ?? [];
    const moved = ends.filter(({ partition, high }) => high > snapshots[partition]!.log.high);
    if (moved.length === 0 || sources.patience.leftMs <= 0) break;
    for (const { partition } of moved) await take(partition);
  }
  return snapshots;
}

/** A live partition may go on while it is read: then it is read again. */
async function takeSnapshot(sources: Sources, id: PartitionId, names: StateNames): Promise<Snapshot> {
  const { namespace, redis, log } = sources;
  const name = namespace.topics[id.topic];
  for (let reads = 1; ; reads += 1) {
    const { low, high } = await waitForRest(sources, id);
    if (low > 0) {
      throw new Error(
        `${name} ${id.partition} begins at offset ${low}: without its beginning nothing can be worked out`,
      );
    }
    const stored = await readStored(redis, namespace, id, names);
    const rested = isAtRest(stored.head, stored.outboxEntries, high);
    if (!rested && reads < READS_MAX && sources.patience.leftMs > 0) continue;
    const read = await log.read(name, id.partition, low, stored.head?.offset ?? 0);
    return { stored, rested, log: { ...read, high } };
  }
}

/** The head has reached the end of the log, nothing is undelivered and all aggregates are in. */
function isAtRest(head: StoredHead | undefined, undelivered: number, high: number): boolean {
  if (head === undefined) return high === 0;
  return head.offset >= high && undelivered === 0 && head.flushed === versionReached(head).toString();
}

/** Until the partition rests, or time is over. Answers where the log ended before the head was looked at. */
async function waitForRest(
  { namespace, redis, log, patience }: Sources,
  id: PartitionId,
): Promise<Watermarks> {
  const name = namespace.topics[id.topic];
  const keys = partitionKeys(namespace, id);
  for (;;) {
    const watermarks = (await log.watermarks([name])).get(name)![id.partition]!;
    const head = await readHead(redis, keys);
    if (isAtRest(head, await redis.hlen(keys.outbox), watermarks.high)) return watermarks;
    if (patience.leftMs <= 0) return watermarks;
    patience.leftMs -= LOOK_MS;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/**
 * What a partition that was on its way when it was read owes now, and its head: a batch takes a moment to be delivered, and longer on a
 * busy machine. Asked again until it owes nothing, or has gone on from `head`, or time is over.
 */
export async function restOf(
  { namespace, redis }: Pick<Sources, 'namespace' | 'redis'>,
  { stored: { id, head: before }, log: { high } }: Snapshot,
): Promise<Pick<StoredPartition, 'head' | 'outboxEntries'>> {
  const keys = partitionKeys(namespace, id);
  const untilMs = performance.now() + REST_MS_MAX;
  for (;;) {
    const head = await readHead(redis, keys);
    const outboxEntries = await redis.hlen(keys.outbox);
    const hasGoneOn = versionReached(head) > versionReached(before);
    if (hasGoneOn || isAtRest(head, outboxEntries, high) || performance.now() > untilMs)
      return { head, outboxEntries };
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/**
 * What a partition had committed when it was read on its way is in ClickHouse and Kafka: its rows are compared as of then, and a batch
 * takes a moment to be delivered, and longer on a busy machine. Waited for only so long: what never comes is found missing.
 */
export async function untilDelivered(
  { namespace, redis }: Pick<Sources, 'namespace' | 'redis'>,
  { rested, stored: { id, head: before } }: Pick<Snapshot, 'rested' | 'stored'>,
): Promise<void> {
  if (rested || before === undefined) return;
  const keys = partitionKeys(namespace, id);
  const untilMs = performance.now() + REST_MS_MAX;
  while (performance.now() < untilMs) {
    const [head, owed] = await Promise.all([readHead(redis, keys), redis.hkeys(keys.outbox)]);
    const isOwed = owed.some((seq) => Number(seq) <= before.seq);
    // Said once a tick, if no count of a window is on its way just then: one that counts all the time may never say it.
    if (!isOwed && BigInt(head?.flushed || 0) >= versionReached(before)) return;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** Deliveries first: a trigger is in its topic before anything is owed of it, so that none can lack that came meanwhile. */
export async function readDeliveriesAndTriggers({
  namespace,
  log,
  readDeliveries,
}: Pick<Sources, 'namespace' | 'log' | 'readDeliveries'>): Promise<Pick<Scope, 'deliveries' | 'triggers'>> {
  const deliveries = await readDeliveries();
  const name = namespace.topics.triggers;
  const partitions = (await log.watermarks([name])).get(name) ?? [];
  const triggers: LogPartition[] = [];
  for (const { partition, low, high } of partitions)
    triggers.push(await log.read(name, partition, low, high));
  return { deliveries, triggers };
}

/** Where the logs of all partitions end now. */
export async function readEnds({
  namespace,
  log,
}: Pick<Sources, 'namespace' | 'log'>): Promise<Scope['endNow']> {
  const { topics } = namespace;
  const ends = await log.watermarks(statefulTopics.map((topic) => topics[topic]));
  return (topic, partition) => ends.get(topics[topic])?.[partition]?.high ?? 0;
}

/** What came since all partitions were read: where their logs end now, and who those of `events` tell of. */
export async function readSince(
  { namespace, log }: Pick<Sources, 'namespace' | 'log'>,
  snapshots: readonly Snapshot[],
): Promise<Pick<Scope, 'endNow' | 'keysSince'>> {
  const { topics } = namespace;
  const endNow = await readEnds({ namespace, log });
  const keysSince = new Set<string>();
  for (const { stored } of snapshots) {
    const { partition } = stored.id;
    const since = await log.read(
      topics.events,
      partition,
      stored.head?.offset ?? 0,
      endNow('events', partition),
    );
    for (const key of keysIn(since)) keysSince.add(key);
  }
  return { endNow, keysSince };
}
