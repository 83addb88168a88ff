// `flywheel stream`: one processor, until SIGTERM or SIGINT.
import { setFlagsFromString } from 'node:v8';
import type { Command } from 'commander';
import type { Registry } from 'prom-client';
import { openClickHouse, pingClickHouse } from '../platform/clickhouse.ts';
import { type Config, readConfig } from '../platform/config.ts';
import { createFailpoint } from '../platform/failpoint.ts';
import { createProducer } from '../platform/kafka.ts';
import { openTopicAdmin } from '../platform/kafka-topics.ts';
import { createRegistry, serveMetrics } from '../platform/metrics.ts';
import { namespaceOf } from '../platform/namespace.ts';
import { openRedis } from '../platform/redis.ts';
import { runStream } from '../stream/main.ts';

const CLOSE_MS_MAX = 15_000;

function log(level: 'info' | 'warn' | 'error', message: string): void {
  process.stderr.write(`${JSON.stringify({ level, time: new Date().toISOString(), message })}\n`);
}

function fatal(error: Error): void {
  log('error', error.message);
  process.exit(1);
}

/** Runs until a signal; resolves when everything is closed. */
export async function runStreamCommand(config: Config): Promise<void> {
  // Else V8 learns in the first seconds to make parts of states old at once, and each old one that is dead keeps young ones.
  setFlagsFromString('--no-allocation-site-pretenuring');
  const namespace = namespaceOf(config.namespace);
  const warn = (message: string): void => log('warn', message);
  const redis = await openRedis({ url: config.redisUrl, retriesPerCommandMax: 20, onWarning: warn });
  const clickhouse = openClickHouse({ url: config.clickhouseUrl, database: namespace.database });
  await pingClickHouse(clickhouse, config.clickhouseUrl);
  const stopped = waitForSignal();
  const producer = await createProducer({
    brokers: config.kafkaBrokers,
    clientId: `flywheel-outbox-${config.streamSlot}`,
    deliveryTimeoutMs: 0,
    onWarning: warn,
    // An outbox that cannot be sent is never skipped: the process ends, its successor sends it.
    onFatal: fatal,
  });
  const admin = openTopicAdmin(config.kafkaBrokers);
  const registry: Registry = createRegistry();
  const metrics = await serveMetrics(registry, { host: config.serveHost, port: config.streamMetricsPort });
  const failpoint = createFailpoint(config.failpoint);
  const parts = {
    config,
    namespace,
    redis,
    clickhouse,
    producer,
    admin,
    registry,
    failpoint,
    log,
    fatal,
    now: Date.now,
  };
  const stream = await runStream(parts);
  process.stdout.write(
    `${JSON.stringify({ ready: 'stream', namespace: namespace.name, metrics: metrics.url })}\n`,
  );
  await stopped;
  setTimeout(() => process.exit(1), CLOSE_MS_MAX).unref();
  await stream.close();
  await producer.close();
  await Promise.all([metrics.close(), admin.close(), clickhouse.close()]);
  redis.disconnect();
}

function waitForSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  });
}

export function register(program: Command): void {
  program
    .command('stream')
    .description('process the log: state to Redis, rows to ClickHouse, outboxes to Kafka; runs until SIGTERM')
    .action(async () => runStreamCommand(readConfig()));
}
