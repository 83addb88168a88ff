// What the benchmarks of the stream run on: parts of their own, the definitions of the workload, and one `stream` process.
import { type ChildProcess, spawn } from 'node:child_process';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { flywheelCommandLine } from '../../ops/local/flywheel-process.ts';
import type { Stack } from '../../ops/local/stack.ts';
import { openClickHouse } from '../../platform/clickhouse.ts';
import { type Config, readConfig } from '../../platform/config.ts';
import type { Outgoing, Producer } from '../../platform/kafka.ts';
import { openTopicAdmin } from '../../platform/kafka-topics.ts';
import { namespaceOf } from '../../platform/namespace.ts';
import { readProgress, waitUntilDrained } from '../../platform/progress.ts';
import { openRedis } from '../../platform/redis.ts';
import { endWithUs } from '../measured.ts';
import { assertApplied } from './applied.ts';
import { benchDefinitions } from './workload.ts';

const isTypeScript = import.meta.url.endsWith('.ts');
/** How a script beside this one is run, whether built or not. */
export const nodeArguments = isTypeScript ? ['--import', 'tsx'] : ['--enable-source-maps'];
export const extension = isTypeScript ? 'ts' : 'js';
export const here = dirname(new URL(import.meta.url).pathname);

const PRODUCE_BATCH = 2_000;
const DRAIN_MS_MAX = 120_000;

/** Writes all messages, a batch after the other; `written` is told of each, and the next one waits for it. */
export async function produce(
  producer: Producer,
  messages: Iterable<Outgoing>,
  written: (count: number) => Promise<void> = async () => {},
): Promise<void> {
  let batch: Outgoing[] = [];
  const send = async (): Promise<void> => {
    await producer.sendBatch(batch);
    await written(batch.length);
    batch = [];
  };
  for (const message of messages) {
    batch.push(message);
    if (batch.length === PRODUCE_BATCH) await send();
  }
  await send();
}

export function configOf(stack: Stack, namespace: string): Config {
  const { kafkaBrokers, redisUrl, clickhouseUrl } = stack;
  if (kafkaBrokers === undefined || redisUrl === undefined || clickhouseUrl === undefined) {
    throw new Error('the benchmark needs Kafka, Redis and ClickHouse of its own');
  }
  return { ...readConfig({}), kafkaBrokers, redisUrl, clickhouseUrl, namespace };
}

/** Those of the workload, beside those that the project ships; answers the folder. */
export async function writeDefinitions(dir: string): Promise<string> {
  const root = join(dir, 'definitions');
  const shipped = new URL('../../definitions/', import.meta.url).pathname;
  for (const type of ['behaviours', 'lifecycle', 'opportunity', 'settings', 'trigger']) {
    await cp(join(shipped, type), join(root, type), { recursive: true });
  }
  for (const [name, document] of Object.entries(benchDefinitions())) {
    const file = join(root, `${name}.json`);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, JSON.stringify(document));
  }
  return root;
}

export function startStream(config: Config): ChildProcess {
  const [program, ...args] = flywheelCommandLine('stream');
  const child = spawn(program!, args, {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      ...process.env,
      FLYWHEEL_NAMESPACE: config.namespace,
      KAFKA_BROKERS: config.kafkaBrokers,
      REDIS_URL: config.redisUrl,
      CLICKHOUSE_URL: config.clickhouseUrl,
      STREAM_METRICS_PORT: '0',
    },
  });
  return endWithUs(child);
}

/** @throws Error once it has ended: nothing more will happen, and to wait for it would end at a limit that says nothing */
export function assertRuns({ exitCode, signalCode }: ChildProcess): void {
  if (exitCode === null && signalCode === null) return;
  throw new Error(
    `the stream that was measured ended by itself (${signalCode ?? exitCode}); its words are above`,
  );
}

export async function endStream(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await exited;
}

/** Until all that is in the log is applied and delivered. */
export async function untilDrained(config: Config): Promise<void> {
  const redis = await openRedis({ url: config.redisUrl });
  const admin = openTopicAdmin(config.kafkaBrokers);
  try {
    const namespace = namespaceOf(config.namespace);
    const drained = await waitUntilDrained(() => readProgress(namespace, redis, admin), DRAIN_MS_MAX);
    if (!drained) throw new Error('the stream has not taken up all of the log in time');
  } finally {
    redis.disconnect();
    await admin.close();
  }
}

/** Waits until all is delivered. @throws Error where the stream did something else with the events than to apply them */
export async function assertAllApplied(config: Config, events: number): Promise<void> {
  await untilDrained(config);
  const { database } = namespaceOf(config.namespace);
  const clickhouse = openClickHouse({ url: config.clickhouseUrl, database });
  await assertApplied(clickhouse, events).finally(() => clickhouse.close());
}
