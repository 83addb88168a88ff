// `flywheel stream`: one processor, until SIGTERM or SIGINT.
import { setFlagsFromString } from 'node:v8';
import type { Command } from 'commander';
import type { Registry } from 'prom-client';
import { openClickHouse, pingClickHouse } from '../platform/clickhouse.ts';
import { type Config, readConfig } from '../platform/config.ts';
import { createFailpoint } from '../platform/failpoint.ts';
import { createProducer } from '../platform/kafka.ts';
import { ensureGeneration, openTopicAdmin } from '../platform/kafka-topics.ts';
import { createRegistry, serveMetrics } from '../platform/metrics.ts';
import { namespaceOf } from '../platform/namespace.ts';
import { type Opened, openOrClose } from '../platform/opening.ts';
import { openRedis } from '../platform/redis.ts';
import { runStream } from '../stream/main.ts';
import { readMessageLimits, setBytesMax } from '../stream/message-limits.ts';
import { runProcess } from './run-process.ts';

const CLOSE_MS_MAX = 15_000;

function log(level: 'info' | 'warn' | 'error', message: string): void {
  process.stderr.write(`${JSON.stringify({ level, time: new Date().toISOString(), message })}\n`);
}

/** Ends at once: what is at hand is not committed any more, and whoever takes over begins where the last commit stands. */
function fatal(error: Error): void {
  log('error', error.message);
  process.exit(1);
}

async function open(config: Config, signal: AbortSignal, closes: Opened) {
  const namespace = namespaceOf(config.namespace);
  const warn = (message: string): void => log('warn', message);
  const redis = await openRedis({ url: config.redisUrl, retriesPerCommandMax: 20, onWarning: warn });
  closes.add(() => redis.disconnect());
  const clickhouse = openClickHouse({ url: config.clickhouseUrl, database: namespace.database });
  closes.add(() => clickhouse.close());
  await pingClickHouse(clickhouse, config.clickhouseUrl);
  const admin = openTopicAdmin(config.kafkaBrokers);
  closes.add(() => admin.close());
  // Before there is a producer: while that connects its process cannot end, which for a Kafka that answers nothing takes 10 s.
  const generations = await ensureGeneration(namespace, admin, redis);
  const setBytes = setBytesMax(await readMessageLimits(admin, namespace));
  const registry: Registry = createRegistry();
  const metrics = await serveMetrics(registry, { host: config.serveHost, port: config.streamMetricsPort });
  closes.add(() => metrics.close());
  const producer = await createProducer({
    brokers: config.kafkaBrokers,
    clientId: `flywheel-outbox-${config.streamSlot}`,
    deliveryTimeoutMs: 0,
    setBytesMax: setBytes,
    onWarning: warn,
    // An outbox that cannot be sent is never skipped: the process ends, its successor sends it.
    onFatal: fatal,
  });
  closes.add(() => producer.close());
  const failpoint = createFailpoint(config.failpoint);
  const opened = { config, namespace, redis, clickhouse, producer, setBytes, admin, generations, registry };
  const stream = await runStream({ ...opened, failpoint, log, fatal, now: Date.now }, signal);
  closes.add(() => stream.close());
  return {
    ready: { ready: 'stream', namespace: namespace.name, metrics: metrics.url },
    close: closes.closeAll,
  };
}

async function runStreamCommand(config: Config): Promise<void> {
  // Else V8 learns in the first seconds to make parts of states old at once, and each old one that is dead keeps young ones.
  setFlagsFromString('--no-allocation-site-pretenuring');
  await runProcess({
    start: (_fatal, signal) => openOrClose((closes) => open(config, signal, closes), signal),
    onError: (message) => log('error', message),
    closeMsMax: CLOSE_MS_MAX,
  });
}

export function register(program: Command): void {
  program
    .command('stream')
    .description('process the log: state to Redis, rows to ClickHouse, outboxes to Kafka; runs until SIGTERM')
    .action(async () => runStreamCommand(readConfig()));
}
