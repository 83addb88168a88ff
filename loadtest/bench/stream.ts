// The stream benchmark: (a) consume + parse alone, (b) the whole pipeline with Redis and ClickHouse commits, on the same
// log, in alternating rounds of one run. Ratios are what counts; the machine decides the rest.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startStack } from '../../ops/local/stack.ts';
import type { Config } from '../../platform/config.ts';
import { createProducer } from '../../platform/kafka.ts';
import { openTopicAdmin } from '../../platform/kafka-topics.ts';
import { migrate } from '../../platform/migrate.ts';
import { namespaceOf } from '../../platform/namespace.ts';
import { isDrained, lagOf, type PartitionProgress, readProgress } from '../../platform/progress.ts';
import { openRedis } from '../../platform/redis.ts';
import { cpuSecondsOf, median, type Origin, originOf } from '../measured.ts';
import {
  assertAllApplied,
  assertRuns,
  configOf,
  endStream,
  extension,
  here,
  nodeArguments,
  produce,
  startStream,
  writeDefinitions,
} from './engine.ts';
import { defaultSpanMs, workloadMessages } from './workload.ts';

export interface StreamBenchOptions {
  readonly events: number;
  readonly rounds: number;
  /** Folder for the stack's data. */
  readonly dir: string;
  /** End of the log's event time. */
  readonly endMs: number;
  print(line: string): void;
}

export interface Side {
  readonly eventsPerSecond: number;
  readonly cpuSecondsPerMillion: number;
}

/** The whole pipeline: events a second until all are applied and delivered, CPU seconds until nothing is owed any more. */
export interface FullSide extends Side {
  /** So many seconds after the last event was delivered ClickHouse had the latest value of each hour and day, too. */
  readonly flushedAfterSeconds: number;
}

export interface StreamBenchResult extends Origin {
  readonly raw: Side;
  readonly full: FullSide;
  /** full ÷ raw, events per second. */
  readonly ratio: number;
  readonly rounds: { readonly raw: Side; readonly full: FullSide }[];
  readonly events: number;
  readonly eventsPerBuyer: number;
}

const EVENTS_PER_BUYER = 20;
/** Each look asks Kafka for the ends of all partitions: at forty a second, the observer was a part of what was measured. */
const LOOK_MS = 100;
const ROUND_MS_MAX = 300_000;

export async function benchStream(options: StreamBenchOptions): Promise<StreamBenchResult> {
  const stack = await startStack({
    dir: options.dir,
    ports: 'ephemeral',
    parts: ['kafka', 'redis', 'clickhouse'],
  });
  try {
    const definitionsDir = await writeDefinitions(options.dir);
    const rounds: { raw: Side; full: FullSide }[] = [];
    for (let round = 1; round <= options.rounds; round += 1) {
      const config = configOf(stack, `bench-${round}-${process.pid}`);
      await prepare(config, definitionsDir, options, round);
      const raw = await measureRaw(config, options.events);
      const full = await measureFull(config, options.events);
      rounds.push({ raw, full });
      options.print(
        `round ${round}: raw ${show(raw)}, full ${show(full)}, ratio ${(full.eventsPerSecond / raw.eventsPerSecond).toFixed(3)}, flushed ${full.flushedAfterSeconds.toFixed(1)} s after it`,
      );
    }
    return await summarise(rounds, options.events);
  } finally {
    await stack.stop();
  }
}

function show(side: Side): string {
  return `${Math.round(side.eventsPerSecond)} events/s (${side.cpuSecondsPerMillion.toFixed(1)} CPU s per million)`;
}

async function prepare(
  config: Config,
  definitionsDir: string,
  options: StreamBenchOptions,
  round: number,
): Promise<void> {
  await migrate({ config, definitionsDir });
  const producer = await createProducer({
    brokers: config.kafkaBrokers,
    clientId: 'bench',
    deliveryTimeoutMs: 0,
  });
  const { events: topic } = namespaceOf(config.namespace).topics;
  const workload = {
    events: options.events,
    eventsPerBuyer: EVENTS_PER_BUYER,
    endMs: options.endMs,
    spanMs: defaultSpanMs,
    seed: round,
  };
  await produce(producer, workloadMessages(topic, workload));
  await producer.close();
}

async function measureRaw(config: Config, events: number): Promise<Side> {
  const { events: topic } = namespaceOf(config.namespace).topics;
  const script = join(here, `raw.${extension}`);
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...nodeArguments,
    script,
    config.kafkaBrokers,
    topic,
    String(events),
  ]);
  const { seconds, cpuSeconds } = JSON.parse(stdout) as { seconds: number; cpuSeconds: number };
  return { eventsPerSecond: events / seconds, cpuSecondsPerMillion: (cpuSeconds / events) * 1e6 };
}

async function measureFull(config: Config, events: number): Promise<FullSide> {
  const namespace = namespaceOf(config.namespace);
  const redis = await openRedis({ url: config.redisUrl });
  const admin = openTopicAdmin(config.kafkaBrokers);
  const child = startStream(config);
  try {
    const look = (): Promise<PartitionProgress[]> => readProgress(namespace, redis, admin);
    const cpuSeconds = (): Promise<number> => {
      assertRuns(child);
      return cpuSecondsOf(child.pid!);
    };
    const timed = await timeUntilDrained(look, cpuSeconds, events);
    await assertAllApplied(config, events);
    return {
      eventsPerSecond: events / timed.seconds,
      cpuSecondsPerMillion: (timed.cpuSeconds / events) * 1e6,
      flushedAfterSeconds: timed.flushedAfterSeconds,
    };
  } finally {
    await endStream(child);
    redis.disconnect();
    await admin.close();
  }
}

export interface Timed {
  /** From the first event applied until all are applied and delivered. */
  readonly seconds: number;
  /** Behind that, until the latest values of hours and days have been flushed: owners do that by a clock, whatever there is to do. */
  readonly flushedAfterSeconds: number;
  /** From the first event applied until then: all of the work. */
  readonly cpuSeconds: number;
}

/** @param cpuSeconds what the stream has used so far */
export async function timeUntilDrained(
  look: () => Promise<PartitionProgress[]>,
  cpuSeconds: () => Promise<number>,
  events: number,
): Promise<Timed> {
  const limitMs = performance.now() + ROUND_MS_MAX;
  let started: { atMs: number; cpuSeconds: number } | undefined;
  let deliveredMs: number | undefined;
  while (performance.now() < limitMs) {
    const progress = await look();
    const used = await cpuSeconds();
    const nowMs = performance.now();
    if (started === undefined && lagOf(progress) < events) started = { atMs: nowMs, cpuSeconds: used };
    const delivered = progress.every(({ offset, high, undelivered }) => offset === high && undelivered === 0);
    if (!delivered) deliveredMs = undefined;
    else if (started !== undefined) deliveredMs ??= nowMs;
    if (started !== undefined && deliveredMs !== undefined && isDrained(progress)) {
      return {
        seconds: (deliveredMs - started.atMs) / 1_000,
        flushedAfterSeconds: (nowMs - deliveredMs) / 1_000,
        cpuSeconds: used - started.cpuSeconds,
      };
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  throw new Error(`the stream did not finish ${events} events within ${ROUND_MS_MAX / 1_000} s`);
}

function medianSide(sides: readonly Side[]): Side {
  return {
    eventsPerSecond: median(sides.map((side) => side.eventsPerSecond)),
    cpuSecondsPerMillion: median(sides.map((side) => side.cpuSecondsPerMillion)),
  };
}

async function summarise(rounds: StreamBenchResult['rounds'], events: number): Promise<StreamBenchResult> {
  const raw = medianSide(rounds.map((round) => round.raw));
  const full = {
    ...medianSide(rounds.map((round) => round.full)),
    flushedAfterSeconds: median(rounds.map((round) => round.full.flushedAfterSeconds)),
  };
  return {
    raw,
    full,
    ratio: full.eventsPerSecond / raw.eventsPerSecond,
    rounds,
    events,
    eventsPerBuyer: EVENTS_PER_BUYER,
    ...(await originOf()),
  };
}
