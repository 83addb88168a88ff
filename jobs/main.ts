// The role `jobs`: work by the clock, under one fenced leader. Its work now: sending triggers to their receivers,
// computing the pasts of funnels, and looking after the health of sources.
// Read `lead` top to bottom: open the transactional id (which fences the leader before), read what is owed, go on.
import { randomBytes, randomInt } from 'node:crypto';
import type { AccountDefinition, InForce } from '../domain/definition.ts';
import type { DeliveriesTopicRecord } from '../domain/delivery.ts';
import type { ReceiverDefinition } from '../domain/receiver-definition.ts';
import { type ClickHouse, openClickHouse } from '../platform/clickhouse.ts';
import type { Config } from '../platform/config.ts';
import { type DefinitionLog, openDefinitionLog } from '../platform/definition-log.ts';
import { createPublisher, type Publisher } from '../platform/definition-publish.ts';
import { deliveryMessage, eachDeliveryRecord, readDeliveryRecord } from '../platform/delivery-log.ts';
import { createFailpoint, type Failpoint } from '../platform/failpoint.ts';
import { createProducer, type Producer } from '../platform/kafka.ts';
import { followPartition, warnOfStall } from '../platform/kafka-follow.ts';
import { ensureGeneration, openTopicAdmin, type TopicAdmin } from '../platform/kafka-topics.ts';
import { openTransactionalProducer, type TransactionalProducer } from '../platform/kafka-transactions.ts';
import { jobsLeaderKey } from '../platform/keys.ts';
import { createRegistry, serveMetrics } from '../platform/metrics.ts';
import { type Namespace, namespaceOf } from '../platform/namespace.ts';
import { type Opened, openOrClose } from '../platform/opening.ts';
import { openRedis, type RedisClient } from '../platform/redis.ts';
import { openWebhookSecrets } from '../platform/webhook-secrets.ts';
import { keepBackfilled } from './backfill.ts';
import { createBeginning } from './beginning.ts';
import { type BudgetMetrics, createBudgetMetrics } from './budget-metrics.ts';
import { createDispatcher, type Dispatcher } from './dispatch.ts';
import { expiryOrNone, readExpiry } from './expiry.ts';
import { type ForgetPorts, keepForgetting } from './forget.ts';
import { runForLeadership } from './leadership.ts';
import { createJobsMetrics, type JobsMetrics } from './metrics.ts';
import { openPastReader, type PastReader } from './past-reader.ts';
import { aborted } from './pause.ts';
import { createPendingCheck } from './pending.ts';
import { saidOnce } from './said-once.ts';
import { createSender, type Sender } from './send.ts';
import { createSourceMetrics, type SourceMetrics } from './source-metrics.ts';
import { watchSources } from './source-watch.ts';
import { readTriggers } from './trigger-reader.ts';
import { createDeliveryWriter } from './writer.ts';

/** How long a turn that ends waits for what is under way. */
const DRAIN_MS_MAX = 10_000;
const CHANCE_STEPS = 2 ** 32;

export interface JobsLog {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
  /** Told when receipts can no longer be written: the process is to end, its successor writes them. */
  fatal(error: Error): void;
}

export interface Jobs {
  readonly namespace: Namespace;
  readonly metricsUrl: string;
  /** Finishes what is under way, gives the leadership back, closes the parts. */
  close(): Promise<void>;
}

interface Parts {
  readonly config: Config;
  readonly namespace: Namespace;
  readonly redis: RedisClient;
  readonly clickhouse: ClickHouse;
  readonly admin: TopicAdmin;
  /** Of `events`. */
  readonly generation: number;
  readonly definitions: DefinitionLog;
  readonly publisher: Publisher;
  readonly producer: Producer;
  readonly reader: PastReader;
  readonly sender: Sender;
  readonly metrics: JobsMetrics;
  readonly sourceMetrics: SourceMetrics;
  readonly budgetMetrics: BudgetMetrics;
  readonly failpoint: Failpoint;
  readonly log: JobsLog;
  /** Raised when the process is to end. */
  readonly stop: AbortSignal;
}

async function disable({ publisher, log }: Parts, receiver: InForce<ReceiverDefinition>): Promise<void> {
  const published = await publisher.publish({
    type: 'receiver',
    id: receiver.id,
    document: { ...receiver.document, status: 'disabled' },
    by: 'jobs',
    why: 'it answered 410 Gone',
    // Whoever has changed it meanwhile knows better.
    precondition: (current) => current?.hash === receiver.hash,
  });
  log.warn(`receiver ${receiver.id} answered 410 Gone: ${published.outcome}`);
}

/** Replays that are asked for from now on; the leader's own records come by too and say nothing new. */
async function readReplays(
  { config, namespace, log }: Parts,
  from: number,
  dispatcher: Dispatcher,
  signal: AbortSignal,
): Promise<void> {
  const at = { brokers: config.kafkaBrokers, topic: namespace.topics.deliveries, partition: 0, from };
  for await (const batch of followPartition({ ...at, signal, onStall: warnOfStall(log.warn) })) {
    for (const record of batch.map(readDeliveryRecord))
      if (record?.kind === 'replay') await dispatcher.replay(record);
  }
}

/**
 * Reads what is owed. Whatever the leader before had written must be readable: a transaction of this id that a dying broker
 * forgot to end would hold all readers up for ever, and ends with this one (docs/decisions/triggers.md).
 */
async function beginTurn(parts: Parts, transactional: TransactionalProducer, signal: AbortSignal) {
  const { config, namespace } = parts;
  await transactional.append([deliveryMessage(namespace, { kind: 'turn', atMs: Date.now() })]);
  const { beginning, take } = createBeginning(await expiryOrNone(parts));
  const each = (record: DeliveriesTopicRecord | null): void => {
    if (record !== null) take(record);
  };
  const next = await eachDeliveryRecord(config.kafkaBrokers, namespace, each, signal);
  return { beginning, next };
}

async function lead(parts: Parts, lost: AbortSignal): Promise<void> {
  const { config, namespace, definitions, log, stop, metrics } = parts;
  const failed = new AbortController();
  const over = AbortSignal.any([lost, failed.signal]);
  const fail = (error: Error): void => {
    if (over.aborted) return;
    log.warn(`this turn of the jobs ends: ${error.message}`);
    failed.abort();
  };
  const transactional = await openTransactionalProducer({
    brokers: config.kafkaBrokers,
    clientId: 'flywheel-jobs',
    transactionalId: `flywheel-jobs-${namespace.name}`,
    onWarning: log.warn,
  });
  const readersOver = AbortSignal.any([over, stop]);
  const begun = await beginTurn(parts, transactional, readersOver).catch(async (error: unknown) => {
    await transactional.close();
    if (!readersOver.aborted) throw error;
  });
  if (begun === undefined) return;
  const { beginning, next } = begun;
  const writer = createDeliveryWriter(transactional, namespace, fail);
  const expiry = () => readExpiry(parts);
  const eachRecord: ForgetPorts['eachRecord'] = (each) =>
    eachDeliveryRecord(config.kafkaBrokers, namespace, each, readersOver);
  const dispatcher = createDispatcher({
    ...parts,
    writer,
    expiry,
    pending: createPendingCheck({ ...parts, nowMs: Date.now }),
    secrets: openWebhookSecrets(config.jobsSecretsFile, log.warn),
    intentLifeMs: config.jobsIntentLifeMs,
    signal: over,
    nowMs: Date.now,
    monotonicMs: () => performance.now(),
    chance: () => randomInt(CHANCE_STEPS) / CHANCE_STEPS,
    warn: saidOnce(log.warn, () => performance.now()),
    receivers: () => definitions.list<ReceiverDefinition>('receiver'),
    disable: (receiver) => disable(parts, receiver),
    fail,
  });
  const forgetChanges = definitions.onChange(({ type }) => type === 'receiver' && dispatcher.refresh());
  log.info('this process leads the jobs');
  metrics.leads(true);
  parts.budgetMetrics.leads(true);
  try {
    await dispatcher.resume(beginning);
    // Not waited for at the end: it only reads, and what it finds then is left out.
    void watchSources({
      ...parts,
      signal: readersOver,
      show: parts.sourceMetrics.show,
      nowMs: Date.now,
      warn: log.warn,
    });
    const readers = [
      readTriggers({ ...parts, brokers: config.kafkaBrokers }, beginning.cursors, dispatcher, readersOver),
      readReplays(parts, next, dispatcher, readersOver),
      keepBackfilled({ ...parts, nowMs: Date.now, warn: log.warn }, readersOver),
      keepForgetting({ ...parts, eachRecord, expiry, writer, warn: log.warn }, readersOver),
    ].map((reader) => reader.catch(fail));
    await aborted(readersOver);
    const drained = dispatcher.drain();
    const impatience = setTimeout(() => failed.abort(), DRAIN_MS_MAX);
    await Promise.all([drained, ...readers]);
    clearTimeout(impatience);
  } finally {
    metrics.leads(false);
    parts.budgetMetrics.leads(false);
    parts.sourceMetrics.show(null);
    forgetChanges();
    await transactional.close();
    log.info('this turn of the jobs is over');
  }
}

async function open(config: Config, log: JobsLog, closes: Opened): Promise<Jobs> {
  const namespace = namespaceOf(config.namespace);
  const stopping = new AbortController();
  const redis = await openRedis({ url: config.redisUrl, onWarning: log.warn });
  closes.add(() => redis.disconnect());
  const admin = openTopicAdmin(config.kafkaBrokers);
  closes.add(() => admin.close());
  const { events: generation, spend } = await ensureGeneration(namespace, admin, redis);
  const definitions = await openDefinitionLog({
    brokers: config.kafkaBrokers,
    namespace,
    onWarning: log.warn,
  });
  closes.add(() => definitions.close());
  const producer = await createProducer({
    brokers: config.kafkaBrokers,
    clientId: 'flywheel-jobs-receipts',
    deliveryTimeoutMs: 0,
    // A past says the same few names and links thousands of times over: the largest are beyond Kafka's limit unpacked.
    compression: 'gzip',
    onWarning: log.warn,
    onFatal: log.fatal,
  });
  closes.add(() => producer.close());
  const clickhouse = openClickHouse({ url: config.clickhouseUrl, database: namespace.database });
  closes.add(() => clickhouse.close());
  const registry = createRegistry();
  const server = await serveMetrics(registry, { host: config.serveHost, port: config.jobsMetricsPort });
  closes.add(() => server.close());
  const sender = createSender({ allowedHosts: config.jobsAllowHosts });
  closes.add(() => sender.close());
  const parts: Parts = {
    config,
    namespace,
    redis,
    clickhouse,
    admin,
    generation,
    definitions,
    publisher: createPublisher({ log: definitions, producer, namespace, nowMs: Date.now }),
    producer,
    reader: openPastReader(clickhouse, generation),
    sender,
    metrics: createJobsMetrics(registry),
    sourceMetrics: createSourceMetrics(registry, Date.now),
    budgetMetrics: createBudgetMetrics(registry, {
      redis,
      namespace,
      generation: spend,
      accounts: () => definitions.listSaid<AccountDefinition>('account'),
    }),
    failpoint: createFailpoint(config.failpoint),
    log,
    stop: stopping.signal,
  };
  await definitions.caughtUp();
  const candidacy = runForLeadership(
    {
      redis,
      key: jobsLeaderKey(namespace),
      token: randomBytes(8).toString('hex'),
      signal: stopping.signal,
      onWarning: log.warn,
    },
    (lost) => lead(parts, lost),
  );
  closes.add(async () => {
    stopping.abort();
    await candidacy;
  });
  return { namespace, metricsUrl: server.url, close: closes.closeAll };
}

/**
 * Opens the parts and stands for the leadership from then on.
 * @throws PlatformError of the part that cannot be opened, or the signal's reason; then all others are closed again
 */
export function startJobs(config: Config, log: JobsLog, signal: AbortSignal): Promise<Jobs> {
  return openOrClose((closes) => open(config, log, closes), signal);
}
