// One `serve` process: opens the parts, listens, is ready once the definitions are read, and closes in order.
import { openClickHouse } from '../platform/clickhouse.ts';
import type { Config } from '../platform/config.ts';
import { openDefinitionLog } from '../platform/definition-log.ts';
import { createPublisher } from '../platform/definition-publish.ts';
import { noticeSecretOf } from '../platform/hashed-keys.ts';
import { createProducer } from '../platform/kafka.ts';
import { ensureGeneration, openTopicAdmin } from '../platform/kafka-topics.ts';
import { type Namespace, namespaceOf } from '../platform/namespace.ts';
import { type Opened, openOrClose } from '../platform/opening.ts';
import type { PlatformError } from '../platform/platform-error.ts';
import { openRedis, type RedisClient } from '../platform/redis.ts';
import { buildApp } from './app.ts';
import { watchBrokers } from './broker-watch.ts';
import { prepareClose } from './closing.ts';
import { keepComplete } from './definitions/completion.ts';
import { openDeliveryView } from './deliveries/view.ts';
import type { ServeLog } from './dependencies.ts';
import { openKeysFile } from './keys-file.ts';
import { serveMetrics } from './metrics.ts';

/** What Kafka has not acknowledged by then is answered 503. */
export const DELIVERY_TIMEOUT_MS = 10_000;
/** An answer waits no longer for Redis. */
const REDIS_COMMAND_TIMEOUT_MS = 2_000;
/** Of requests in flight when a close begins: time for Kafka to acknowledge or not, and for the answer to get out. */
const LAST_ANSWERS_MS = DELIVERY_TIMEOUT_MS + 2_000;

export interface Serving {
  /** `http://host:port`, with the port that was really taken. */
  readonly url: string;
  readonly namespace: Namespace;
  /** Stops accepting, answers what is in flight, hands what is buffered to Kafka, closes the parts. */
  close(): Promise<void>;
}

export interface ServeOptions {
  /** Told when nothing more can be written to Kafka, ever: the process has to end. Until then it says that it is not ready. */
  readonly onFatal?: (error: PlatformError) => void;
  readonly openProducer?: typeof createProducer;
  /** Aborted when it is to end, also before it is ready. */
  readonly signal?: AbortSignal;
}

async function generationsOf(config: Config, namespace: Namespace, redis: RedisClient) {
  const admin = openTopicAdmin(config.kafkaBrokers);
  try {
    return await ensureGeneration(namespace, admin, redis);
  } finally {
    await admin.close();
  }
}

/** Each part that is open has its way to close in `closes`. */
async function openParts(
  config: Config,
  namespace: Namespace,
  log: ServeLog,
  closes: Opened,
  { onFatal = () => {}, openProducer = createProducer }: ServeOptions,
) {
  const onWarning = (message: string): void => log.warn(message);
  const metrics = serveMetrics();
  const keysFile = await openKeysFile(config.serveKeysFile, { registry: metrics.registry, log });
  closes.add(() => keysFile.close());
  const redis = await openRedis({
    url: config.redisUrl,
    autoPipelining: true,
    commandTimeoutMs: REDIS_COMMAND_TIMEOUT_MS,
    onWarning,
  });
  closes.add(() => redis.disconnect());
  const generations = await generationsOf(config, namespace, redis);
  const clickhouse = openClickHouse({ url: config.clickhouseUrl, database: namespace.database });
  closes.add(() => clickhouse.close());
  const definitionLog = await openDefinitionLog({ brokers: config.kafkaBrokers, namespace, onWarning });
  closes.add(() => definitionLog.close());
  const deliveries = openDeliveryView({ brokers: config.kafkaBrokers, namespace, onWarning });
  closes.add(() => deliveries.close());
  let canWrite = true;
  const producer = await openProducer({
    brokers: config.kafkaBrokers,
    clientId: 'flywheel-serve',
    deliveryTimeoutMs: DELIVERY_TIMEOUT_MS,
    onWarning,
    onFatal: (error) => {
      canWrite = false;
      onFatal(error);
    },
  });
  closes.add(() => producer.close());
  const publisher = createPublisher({ log: definitionLog, producer, namespace, nowMs: Date.now });
  const monotonicMs = () => performance.now();
  closes.add(keepComplete({ log: definitionLog, publisher, monotonicMs, onWarning }));
  const brokers = watchBrokers(config.kafkaBrokers, (up) => log.warn(`Kafka is ${up ? 'back' : 'away'}`));
  closes.add(() => brokers.close());
  return {
    metrics,
    keysFile,
    redis,
    generations,
    clickhouse,
    definitionLog,
    deliveries,
    publisher,
    producer,
    kafkaIsUp: () => canWrite && brokers.isUp(),
  };
}

async function open(config: Config, log: ServeLog, options: ServeOptions, closes: Opened): Promise<Serving> {
  const namespace = namespaceOf(config.namespace);
  const parts = await openParts(config, namespace, log, closes, options);
  const app = await buildApp({
    ...parts,
    config,
    namespace,
    keys: parts.keysFile.keys,
    noticeSecret: noticeSecretOf(parts.keysFile.initial),
    log,
    clock: { nowMs: Date.now, monotonicMs: () => performance.now() },
  });
  closes.add(prepareClose(app, LAST_ANSWERS_MS));
  const url = await app.listen({ host: config.serveHost, port: config.servePort });
  await parts.definitionLog.caughtUp();
  return { url, namespace, close: closes.closeAll };
}

/**
 * Listens before all is ready, so that /readyz can say what is missing, and resolves when it is.
 * @throws PlatformError of the part that cannot be opened, or the signal's reason; then all others are closed again
 */
export function startServe(config: Config, log: ServeLog, options: ServeOptions = {}): Promise<Serving> {
  const { signal = new AbortController().signal } = options;
  return openOrClose((closes) => open(config, log, options, closes), signal);
}
