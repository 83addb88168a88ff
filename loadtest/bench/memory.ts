// What many buyers cost: a million of them with ten events each go through one `stream`; meanwhile the memory of Redis (with
// its rewrites of the append-only file) and of the process is looked at, and afterwards how soon events of them can be read.
import type { ChildProcess } from 'node:child_process';
import { startStack } from '../../ops/local/stack.ts';
import type { Config } from '../../platform/config.ts';
import { createProducer } from '../../platform/kafka.ts';
import { openTopicAdmin } from '../../platform/kafka-topics.ts';
import { migrate } from '../../platform/migrate.ts';
import { namespaceOf } from '../../platform/namespace.ts';
import { lagOf, readProgress } from '../../platform/progress.ts';
import { openRedis, type RedisClient } from '../../platform/redis.ts';
import { residentBytes } from '../faults/arena/pid.ts';
import { type Origin, originOf } from '../measured.ts';
import {
  assertAllApplied,
  assertRuns,
  configOf,
  endStream,
  produce,
  startStream,
  writeDefinitions,
} from './engine.ts';
import { driveEvenly, eventsDriven, type VisibleMs, visibleOf } from './latency.ts';
import { defaultSpanMs, workloadMessages } from './workload.ts';

export interface MemoryBenchOptions {
  readonly buyers: number;
  readonly eventsPerBuyer: number;
  /** Events a second while it is measured how soon they can be read; absent: half of what it did with so many buyers. */
  readonly rate?: number | undefined;
  /** For how long that is measured. */
  readonly seconds: number;
  /** Folder for the stack's data. */
  readonly dir: string;
  print(line: string): void;
}

/** Bytes at a moment. */
export interface MemorySample {
  readonly events: number;
  readonly redisUsedBytes: number;
  /** Resident set of the `stream` process. */
  readonly streamBytes: number;
}

export interface MemoryBenchResult extends Origin {
  readonly buyers: number;
  readonly events: number;
  readonly eventsPerSecond: number;
  /** Redis' `used_memory` when all was applied, and the highest that Redis itself has noted until then, its rewrites among it. */
  readonly redisUsedBytes: { readonly peak: number; readonly end: number };
  /** Rewrites of the append-only file that ended until then. */
  readonly appendOnlyRewrites: number;
  readonly samples: readonly MemorySample[];
  readonly latency: { readonly eventsPerSecond: number; readonly visibleMs: VisibleMs };
}

/** So much may wait in the log: it is produced beside, not before. */
const LAG_MAX = 100_000;
const LOOK_MS = 500;
const SAMPLES = 20;

export async function benchMemory(options: MemoryBenchOptions): Promise<MemoryBenchResult> {
  const { dir, buyers, eventsPerBuyer, seconds, print } = options;
  const stack = await startStack({ dir, ports: 'ephemeral', parts: ['kafka', 'redis', 'clickhouse'] });
  try {
    const config = configOf(stack, `bench-memory-${process.pid}`);
    await migrate({ config, definitionsDir: await writeDefinitions(dir) });
    const redis = await openRedis({ url: config.redisUrl });
    const child = startStream(config);
    try {
      const filled = await fill(config, redis, child, options);
      const rate = options.rate ?? Math.round(filled.eventsPerSecond / 2);
      print(`then ${rate} events a second of them, for ${seconds} s`);
      const { eventsPerSecond, visible } = await driveEvenly(config, child, { rate, seconds, buyers, print });
      await assertAllApplied(config, buyers * eventsPerBuyer + eventsDriven({ rate, seconds }));
      return {
        buyers,
        events: buyers * eventsPerBuyer,
        ...filled,
        latency: { eventsPerSecond, visibleMs: visibleOf(visible) },
        ...(await originOf()),
      };
    } finally {
      await endStream(child);
      redis.disconnect();
    }
  } finally {
    await stack.stop();
  }
}

type Filled = Pick<
  MemoryBenchResult,
  'eventsPerSecond' | 'redisUsedBytes' | 'appendOnlyRewrites' | 'samples'
>;

/** Feeds every buyer's events and watches until all are applied. */
async function fill(
  config: Config,
  redis: RedisClient,
  child: ChildProcess,
  { buyers, eventsPerBuyer, print }: MemoryBenchOptions,
): Promise<Filled> {
  const namespace = namespaceOf(config.namespace);
  const admin = openTopicAdmin(config.kafkaBrokers);
  const events = buyers * eventsPerBuyer;
  const samples: MemorySample[] = [];
  const startedMs = performance.now();
  let sent = 0;
  let applied = 0;
  let failed: unknown;
  const hasRoom = (): boolean => sent - applied <= LAG_MAX;
  const feeding = feed(config, { events, eventsPerBuyer }, hasRoom, (count) => {
    sent += count;
  });
  feeding.catch((error: unknown) => {
    failed = error;
  });
  try {
    while (applied < events) {
      if (failed !== undefined) throw failed;
      assertRuns(child);
      // Read before the lag, which counts what is sent meanwhile: never more than what is applied.
      const acknowledged = sent;
      applied = Math.max(applied, acknowledged - lagOf(await readProgress(namespace, redis, admin)));
      const redisUsedBytes = await infoOf(redis, 'memory', 'used_memory');
      if (applied >= (samples.length + 1) * (events / SAMPLES)) {
        samples.push({ events: applied, redisUsedBytes, streamBytes: residentBytes(child.pid!) });
        print(lineOf(samples.at(-1)!, performance.now() - startedMs));
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    await feeding;
    const eventsPerSecond = events / ((performance.now() - startedMs) / 1_000);
    const end = await infoOf(redis, 'memory', 'used_memory');
    const peak = await infoOf(redis, 'memory', 'used_memory_peak');
    const appendOnlyRewrites = await infoOf(redis, 'persistence', 'aof_rewrites');
    return { eventsPerSecond, redisUsedBytes: { peak, end }, appendOnlyRewrites, samples };
  } finally {
    await admin.close();
  }
}

async function feed(
  config: Config,
  { events, eventsPerBuyer }: { events: number; eventsPerBuyer: number },
  hasRoom: () => boolean,
  acknowledged: (count: number) => void,
): Promise<void> {
  const clientId = 'bench-memory';
  const producer = await createProducer({ brokers: config.kafkaBrokers, clientId, deliveryTimeoutMs: 0 });
  const { events: topic } = namespaceOf(config.namespace).topics;
  const workload = { events, eventsPerBuyer, endMs: Date.now(), spanMs: defaultSpanMs, seed: 8 };
  await produce(producer, workloadMessages(topic, workload), async (count) => {
    acknowledged(count);
    while (!hasRoom()) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  });
  await producer.close();
}

async function infoOf(redis: RedisClient, section: string, field: string): Promise<number> {
  const found = new RegExp(`^${field}:(\\d+)`, 'm').exec(await redis.info(section));
  if (found === null) throw new Error(`Redis says nothing of ${field}`);
  return Number(found[1]);
}

function lineOf({ events, redisUsedBytes, streamBytes }: MemorySample, ms: number): string {
  const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;
  const rate = Math.round(events / (ms / 1_000));
  return `${events} events, ${rate} a second: Redis ${megabytes(redisUsedBytes)}, stream ${megabytes(streamBytes)}`;
}
