// How soon an event can be read in Redis, at half of the rate that the stream can do: events are produced evenly, and for some of
// them it is looked when the partition's stored offset has passed them. Counted from the broker's append time, which the log has.
import type { ChildProcess } from 'node:child_process';
import { startStack } from '../../ops/local/stack.ts';
import type { Config } from '../../platform/config.ts';
import { createProducer } from '../../platform/kafka.ts';
import { readPartition } from '../../platform/kafka-read.ts';
import { openTopicAdmin } from '../../platform/kafka-topics.ts';
import { partitionKeys } from '../../platform/keys.ts';
import { migrate } from '../../platform/migrate.ts';
import { namespaceOf, topicPartitions } from '../../platform/namespace.ts';
import { openRedis, type RedisClient } from '../../platform/redis.ts';
import { type Origin, originOf, REACHED_SHARE_MIN } from '../measured.ts';
import {
  assertAllApplied,
  assertRuns,
  configOf,
  endStream,
  startStream,
  untilDrained,
  writeDefinitions,
} from './engine.ts';
import { workloadMessages } from './workload.ts';

export interface LatencyBenchOptions {
  /** Events a second. */
  readonly rate: number;
  readonly seconds: number;
  readonly buyers: number;
  /** What the stream could do when that was measured last, events a second; null: it was not. */
  readonly maximumPerSecond: number | null;
  /** Folder for the stack's data. */
  readonly dir: string;
  print(line: string): void;
}

export interface LatencyBenchResult extends Origin {
  /** As they were appended. */
  readonly eventsPerSecond: number;
  /** What it is to be half of. */
  readonly maximumPerSecond: number | null;
  readonly buyers: number;
  readonly samples: number;
  readonly visibleMs: VisibleMs;
}

export type VisibleMs = Readonly<Record<'p50' | 'p95' | 'p99' | 'max', number>>;

/** The log is written so often: every 10 ms, the driver's requests, one a partition, were half of the machine's work. */
const SLICE_MS = 25;
/** At five hundred looks a second the observer was most of what Redis did. */
const LOOK_MS = 5;
/** One of so many events is timed. */
const SAMPLE_EVERY = 50;
/** The first events compile the code, Kafka's too, which takes a third of a core for a minute; they are not counted. */
const WARM_SECONDS = 60;
const SEEN_MS_MAX = 1_200_000;
const GENERATION = 1;

interface Sample {
  readonly partition: number;
  readonly offset: number;
}

/** When it was seen in Redis, epoch ms. */
type Seen = Sample & { readonly seenMs: number };

export async function benchLatency(options: LatencyBenchOptions): Promise<LatencyBenchResult> {
  const stack = await startStack({
    dir: options.dir,
    ports: 'ephemeral',
    parts: ['kafka', 'redis', 'clickhouse'],
  });
  try {
    const config = configOf(stack, `bench-latency-${process.pid}`);
    await migrate({ config, definitionsDir: await writeDefinitions(options.dir) });
    const child = startStream(config);
    try {
      await untilDrained(config);
      const { eventsPerSecond, visible } = await driveEvenly(config, child, options);
      assertReached(eventsPerSecond, options.rate);
      await assertAllApplied(config, eventsDriven(options));
      return {
        eventsPerSecond,
        maximumPerSecond: options.maximumPerSecond,
        buyers: options.buyers,
        samples: visible.length,
        visibleMs: visibleOf(visible),
        ...(await originOf()),
      };
    } finally {
      await endStream(child);
    }
  } finally {
    await stack.stop();
  }
}

/** Nearest-rank percentiles of milliseconds. */
export function visibleOf(ms: readonly number[]): VisibleMs {
  const sorted = [...ms].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN;
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
}

/** How many events `driveEvenly` produces. */
export function eventsDriven({ rate, seconds }: Pick<LatencyBenchOptions, 'rate' | 'seconds'>): number {
  return Math.ceil(rate * (WARM_SECONDS + seconds));
}

export interface Driven {
  /** As they were appended. */
  readonly eventsPerSecond: number;
  /** Milliseconds from its append to when it was seen in Redis, of each sampled event. */
  readonly visible: number[];
}

/** @throws Error where the log was written too slowly: what waits to be appended is in no figure */
export function assertReached(reached: number, asked: number): void {
  if (reached >= REACHED_SHARE_MIN * asked) return;
  throw new Error(
    `${asked} events a second were asked for, and only ${Math.round(reached)} were written to the log: ask for fewer`,
  );
}

/** Produces at an even rate and looks when each sampled event is seen in Redis. */
export async function driveEvenly(
  config: Config,
  child: ChildProcess,
  { rate, seconds, buyers, print }: Omit<LatencyBenchOptions, 'dir' | 'maximumPerSecond'>,
): Promise<Driven> {
  const redis = await openRedis({ url: config.redisUrl });
  const clientId = 'bench-latency';
  const producer = await createProducer({ brokers: config.kafkaBrokers, clientId, deliveryTimeoutMs: 0 });
  const { topics } = namespaceOf(config.namespace);
  const count = eventsDriven({ rate, seconds });
  const spanMs = (WARM_SECONDS + seconds) * 1_000;
  const workload = {
    events: count,
    eventsPerBuyer: count / buyers,
    endMs: Date.now() + spanMs,
    spanMs,
    seed: 7,
  };
  // Made before, so that the driver has nothing to do but to write and to look.
  const messages = [...workloadMessages(topics.events, workload)];
  const waiting = new Set<Sample>();
  const seen: Seen[] = [];
  const startedMs = performance.now();
  let ended = false;
  let failed: unknown;
  let eventsPerSecond = 0;
  const isOver = (): boolean => {
    assertRuns(child);
    return ended && waiting.size === 0;
  };
  const looking = lookUntil(config, redis, waiting, isOver, (one) => seen.push(one));
  looking.catch((error: unknown) => {
    failed = error;
  });
  try {
    const sends: Promise<void>[] = [];
    for (let sent = 0; sent < count && failed === undefined; ) {
      const due = Math.min(count, Math.ceil(((performance.now() - startedMs) / 1_000) * rate));
      const batch = messages.slice(sent, due);
      if (batch.length > 0) {
        const first = sent;
        sends.push(
          producer.sendBatch(batch).then((offsets) => {
            offsets.forEach((offset, index) => {
              if ((first + index) % SAMPLE_EVERY !== 0) return;
              waiting.add({ partition: batch[index]!.partition, offset });
            });
          }),
        );
        sent += batch.length;
      }
      await new Promise((resolve) => setTimeout(resolve, SLICE_MS));
    }
    await Promise.all(sends);
    const tookSeconds = (performance.now() - startedMs) / 1_000;
    print(`${count} events in ${tookSeconds.toFixed(1)} s`);
    eventsPerSecond = count / tookSeconds;
    ended = true;
    await looking;
  } finally {
    await producer.close();
    redis.disconnect();
  }
  const warmUntilMs = performance.timeOrigin + startedMs + WARM_SECONDS * 1_000;
  return { eventsPerSecond, visible: await sinceAppend(config, seen, warmUntilMs) };
}

/** Milliseconds from append to seen, of the samples that were appended at a time or later. */
async function sinceAppend(config: Config, seen: readonly Seen[], fromMs: number): Promise<number[]> {
  const { topics } = namespaceOf(config.namespace);
  const seenAt = new Map(seen.map(({ partition, offset, seenMs }) => [`${partition}:${offset}`, seenMs]));
  const visible: number[] = [];
  const admin = openTopicAdmin(config.kafkaBrokers);
  const ends = await admin.watermarks(topics.events).finally(() => admin.close());
  for (const [partition, { low, high }] of ends.entries()) {
    const part = { brokers: config.kafkaBrokers, topic: topics.events, partition, from: low, to: high };
    for await (const records of readPartition(part)) {
      for (const { offset, appendedAtMs } of records) {
        const seenMs = seenAt.get(`${partition}:${offset}`);
        if (seenMs !== undefined && appendedAtMs >= fromMs) visible.push(seenMs - appendedAtMs);
      }
    }
  }
  return visible;
}

async function offsetsOf(redis: RedisClient, heads: readonly string[]): Promise<number[]> {
  const looks = redis.pipeline();
  for (const head of heads) looks.hget(head, 'offset');
  const answers = (await looks.exec()) ?? [];
  return answers.map(([, offset]) => Number(offset ?? 0));
}

/** Looks at the stored offsets again and again; tells of each sample that they have passed. */
async function lookUntil(
  config: Config,
  redis: RedisClient,
  waiting: Set<Sample>,
  isOver: () => boolean,
  seen: (one: Seen) => void,
): Promise<void> {
  const namespace = namespaceOf(config.namespace);
  const heads = Array.from(
    { length: topicPartitions.events },
    (_, partition) => partitionKeys(namespace, { topic: 'events', generation: GENERATION, partition }).head,
  );
  const untilMs = performance.now() + SEEN_MS_MAX;
  while (!isOver()) {
    if (performance.now() > untilMs) throw new Error(`${waiting.size} samples were never seen`);
    const offsets = await offsetsOf(redis, heads);
    const seenMs = performance.timeOrigin + performance.now();
    for (const sample of waiting) {
      if (sample.offset >= (offsets[sample.partition] ?? 0)) continue;
      seen({ ...sample, seenMs });
      waiting.delete(sample);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
