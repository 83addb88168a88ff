// A namespace of its own on the run's real parts: topics, tables and definitions made as `flywheel migrate` makes them,
// and the clients that a test looks at them with.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Redis } from 'ioredis';
import { inject } from 'vitest';
import { type ClickHouse, openClickHouse } from '../../../platform/clickhouse.ts';
import { type Config, readConfig } from '../../../platform/config.ts';
import { createProducer, type Producer } from '../../../platform/kafka.ts';
import { type LogRecord, readPartition } from '../../../platform/kafka-read.ts';
import { openTopicAdmin, type TopicAdmin } from '../../../platform/kafka-topics.ts';
import { migrate } from '../../../platform/migrate.ts';
import { type Namespace, namespaceOf } from '../../../platform/namespace.ts';
import {
  isDrained,
  type PartitionProgress,
  readProgress,
  waitUntilDrained,
} from '../../../platform/progress.ts';
import { openRedis, type RedisClient } from '../../../platform/redis.ts';

export interface Stage {
  readonly namespace: Namespace;
  /** What a child process needs to work in this namespace. */
  readonly environment: Record<string, string>;
  readonly config: Config;
  /** A folder of this stage alone, removed when it closes. */
  readonly dir: string;
  readonly redis: RedisClient;
  readonly clickhouse: ClickHouse;
  readonly admin: TopicAdmin;
  readonly producer: Producer;
  /** The rows that a query answers, as objects; the database is the namespace's. */
  rows<Row>(query: string): Promise<Row[]>;
  progress(): Promise<PartitionProgress[]>;
  /** Resolves when everything in the log is applied, delivered and flushed. @throws Error saying what is not */
  untilDrained(timeoutMs?: number): Promise<void>;
  /** All records of one of the namespace's topics, from the given offsets (by partition; absent: the beginning). */
  log(topic: string, from?: readonly number[]): Promise<LogRecord[]>;
  /** Takes the namespace's topics and tables away; its processes must have ended before. */
  close(): Promise<void>;
}

export interface StageOptions {
  /** Holds `<type>/<id>.json`; the project's own definitions when left out. */
  readonly definitionsDir?: string;
  /** Goes over the addresses that the run's stack gave. */
  readonly environment?: Record<string, string>;
}

/** @param label what the namespace's name begins with; the rest is random, so that a test can run twice on the same parts */
export async function openStage(label: string, options: StageOptions = {}): Promise<Stage> {
  const name = `${label}-${randomBytes(3).toString('hex')}`;
  const dir = mkdtempSync(path.join(tmpdir(), `flywheel-${name}-`));
  const environment = {
    FLYWHEEL_NAMESPACE: name,
    FLYWHEEL_DIR: dir,
    KAFKA_BROKERS: inject('kafkaBrokers'),
    REDIS_URL: inject('redisUrl'),
    CLICKHOUSE_URL: inject('clickhouseUrl'),
    SERVE_PORT: '0',
    SERVE_KEYS_FILE: path.join(dir, 'keys.hashed.json'),
    STREAM_METRICS_PORT: '0',
    STREAM_CLOCK: 'off',
    // A stage is drained when its counts are in ClickHouse: nobody gains by waiting for that.
    STREAM_FLUSH_MS: '500',
    ...options.environment,
  };
  const config = readConfig(environment);
  const namespace = namespaceOf(name);
  const { definitionsDir } = options;
  await migrate({ config, ...(definitionsDir === undefined ? {} : { definitionsDir }) });
  const brokers = config.kafkaBrokers;
  const admin = openTopicAdmin(brokers);
  const redis = await openRedis({ url: config.redisUrl });
  const clickhouse = openClickHouse({ url: config.clickhouseUrl, database: namespace.database });
  const producer = await createProducer({ brokers, clientId: `test-${name}`, deliveryTimeoutMs: 30_000 });
  const progress = (): Promise<PartitionProgress[]> => readProgress(namespace, redis, admin);
  return {
    namespace,
    environment,
    config,
    dir,
    redis,
    clickhouse,
    admin,
    producer,
    async rows<Row>(query: string): Promise<Row[]> {
      const answer = await clickhouse.query({ query, format: 'JSONEachRow' });
      return answer.json<Row>();
    },
    progress,
    untilDrained: (timeoutMs = 45_000) => untilDrained(progress, timeoutMs),
    log: (topic, from = []) => readTopic(brokers, admin, topic, from),
    async close() {
      await producer.close();
      // What it leaves behind slows every later test on the same parts down: brokers and servers look at all they have.
      await admin.deleteTopics(Object.values(namespace.topics));
      await clickhouse.command({ query: `DROP DATABASE IF EXISTS ${namespace.database}` });
      for await (const found of (redis as Redis).scanStream({
        match: `*${namespace.redisPrefix}*`,
        count: 1_000,
      })) {
        if (found.length > 0) await redis.unlink(...(found as string[]));
      }
      await Promise.all([admin.close(), clickhouse.close()]);
      redis.disconnect();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function untilDrained(look: () => Promise<PartitionProgress[]>, timeoutMs: number): Promise<void> {
  let latest: readonly PartitionProgress[] = [];
  const drained = await waitUntilDrained(look, timeoutMs, (progress) => {
    latest = progress;
  });
  if (drained) return;
  const open = latest.filter((one) => !isDrained([one]));
  throw new Error(`not drained after ${timeoutMs} ms: ${JSON.stringify(open)}`);
}

async function readTopic(
  brokers: string,
  admin: TopicAdmin,
  topic: string,
  from: readonly number[],
): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  for (const [partition, { low, high }] of (await admin.watermarks(topic)).entries()) {
    const start = Math.max(low, from[partition] ?? 0);
    for await (const batch of readPartition({ brokers, topic, partition, from: start, to: high }))
      records.push(...batch);
  }
  return records;
}
