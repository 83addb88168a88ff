// How soon an event can be read in Redis, at half of the rate that the stream can do: events are produced evenly, and for some of
// them it is looked when the partition's stored offset has passed them. Measured from outside, by another clock than the stream's own.
import { startStack } from '../../ops/local/stack.ts';
import type { Config } from '../../platform/config.ts';
import { createProducer, type Outgoing } from '../../platform/kafka.ts';
import { openTopicAdmin } from '../../platform/kafka-topics.ts';
import { partitionKeys } from '../../platform/keys.ts';
import { migrate } from '../../platform/migrate.ts';
import { namespaceOf, topicPartitions } from '../../platform/namespace.ts';
import { readProgress, waitUntilDrained } from '../../platform/progress.ts';
import { openRedis, type RedisClient } from '../../platform/redis.ts';
import { type Origin, originOf } from '../measured.ts';
import { configOf, endStream, startStream, writeDefinitions } from './engine.ts';
import { workloadMessages } from './workload.ts';

export interface LatencyBenchOptions {
  /** Events a second. */
  readonly rate: number;
  readonly seconds: number;
  readonly buyers: number;
  /** Folder for the stack's data. */
  readonly dir: string;
  print(line: string): void;
}

export interface LatencyBenchResult extends Origin {
  readonly eventsPerSecond: number;
  readonly buyers: number;
  readonly samples: number;
  readonly visibleMs: Readonly<Record<'p50' | 'p95' | 'p99' | 'max', number>>;
}

const SLICE_MS = 10;
const LOOK_MS = 2;
/** One of so many events is timed. */
const SAMPLE_EVERY = 50;
/** The first events compile the code, and are not counted. */
const WARM_SECONDS = 10;
const DRAIN_MS_MAX = 120_000;
const GENERATION = 1;

interface Sample {
  readonly partition: number;
  readonly offset: number;
  /** When it was handed to the producer: before its append. */
  readonly fromMs: number;
}

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
      const visible = (await drive(config, options)).sort((a, b) => a - b);
      const at = (share: number): number => visible[Math.ceil(share * visible.length) - 1] ?? Number.NaN;
      return {
        eventsPerSecond: options.rate,
        buyers: options.buyers,
        samples: visible.length,
        visibleMs: { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) },
        ...(await originOf()),
      };
    } finally {
      await endStream(child);
    }
  } finally {
    await stack.stop();
  }
}

async function untilDrained(config: Config): Promise<void> {
  const redis = await openRedis({ url: config.redisUrl });
  const admin = openTopicAdmin(config.kafkaBrokers);
  try {
    const namespace = namespaceOf(config.namespace);
    const drained = await waitUntilDrained(() => readProgress(namespace, redis, admin), DRAIN_MS_MAX);
    if (!drained) throw new Error('the stream did not take up the definitions in time');
  } finally {
    redis.disconnect();
    await admin.close();
  }
}

/** Milliseconds of each sample. */
async function drive(
  config: Config,
  { rate, seconds, buyers, print }: LatencyBenchOptions,
): Promise<number[]> {
  const redis = await openRedis({ url: config.redisUrl });
  const clientId = 'bench-latency';
  const producer = await createProducer({ brokers: config.kafkaBrokers, clientId, deliveryTimeoutMs: 0 });
  const { topics } = namespaceOf(config.namespace);
  const count = Math.ceil(rate * (WARM_SECONDS + seconds));
  const spanMs = (WARM_SECONDS + seconds) * 1_000;
  const workload = {
    events: count,
    eventsPerBuyer: count / buyers,
    endMs: Date.now() + spanMs,
    spanMs,
    seed: 7,
  };
  const messages = workloadMessages(topics.events, workload);
  const waiting = new Set<Sample>();
  const visible: number[] = [];
  const startedMs = performance.now();
  let ended = false;
  const looking = lookUntil(
    config,
    redis,
    waiting,
    () => ended && waiting.size === 0,
    (ms, { fromMs }) => {
      if (fromMs - startedMs > WARM_SECONDS * 1_000) visible.push(ms);
    },
  );
  const sends: Promise<void>[] = [];
  for (let sent = 0; sent < count; ) {
    const due = Math.min(count, Math.ceil(((performance.now() - startedMs) / 1_000) * rate));
    const batch: Outgoing[] = [];
    while (sent + batch.length < due) batch.push(messages.next().value as Outgoing);
    if (batch.length > 0) {
      const fromMs = performance.now();
      const first = sent;
      sends.push(
        producer.sendBatch(batch).then((offsets) => {
          offsets.forEach((offset, index) => {
            if ((first + index) % SAMPLE_EVERY !== 0) return;
            waiting.add({ partition: batch[index]!.partition, offset, fromMs });
          });
        }),
      );
      sent += batch.length;
    }
    await new Promise((resolve) => setTimeout(resolve, SLICE_MS));
  }
  await Promise.all(sends);
  print(`${count} events in ${((performance.now() - startedMs) / 1_000).toFixed(1)} s`);
  ended = true;
  await looking;
  await producer.close();
  redis.disconnect();
  return visible;
}

/** Looks at the stored offsets again and again; tells of each sample that they have passed. */
async function lookUntil(
  config: Config,
  redis: RedisClient,
  waiting: Set<Sample>,
  isOver: () => boolean,
  seen: (ms: number, sample: Sample) => void,
): Promise<void> {
  const namespace = namespaceOf(config.namespace);
  const heads = Array.from(
    { length: topicPartitions.events },
    (_, partition) => partitionKeys(namespace, { topic: 'events', generation: GENERATION, partition }).head,
  );
  const untilMs = performance.now() + 10 * DRAIN_MS_MAX;
  while (!isOver()) {
    if (performance.now() > untilMs) throw new Error(`${waiting.size} samples were never seen`);
    const offsets = await Promise.all(heads.map((head) => redis.hget(head, 'offset')));
    const nowMs = performance.now();
    for (const sample of waiting) {
      if (sample.offset >= Number(offsets[sample.partition] ?? 0)) continue;
      seen(nowMs - sample.fromMs, sample);
      waiting.delete(sample);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
