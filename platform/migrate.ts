// Brings a namespace up to date: topics, generations, the database's tables, definitions. It can be run at any time and again.
import { fileURLToPath } from 'node:url';
import { canonicalHash } from './canonical.ts';
import { openClickHouse, pingClickHouse } from './clickhouse.ts';
import type { Config } from './config.ts';
import { readDefinitionFiles } from './definition-files.ts';
import { type DefinitionLog, openDefinitionLog } from './definition-log.ts';
import { createPublisher, type Publisher } from './definition-publish.ts';
import { type PlannedChange, planSet } from './definition-set.ts';
import { createFailpoint } from './failpoint.ts';
import { createProducer } from './kafka.ts';
import { ensureGeneration, openTopicAdmin, type TopicAdmin } from './kafka-topics.ts';
import type { StatefulTopic } from './keys.ts';
import { migrateSql } from './migrate-sql.ts';
import { type Namespace, namespaceOf } from './namespace.ts';
import { PlatformError } from './platform-error.ts';
import { openRedis } from './redis.ts';
import { topicFaults } from './topic-settings.ts';

const DELIVERY_TIMEOUT_MS = 30_000;
/** The author of what came from files. */
const FILES = 'flywheel migrate';

export interface MigrateOptions {
  readonly config: Config;
  /** Holds `<type>/<id>.json`; those of the project when left out. */
  readonly definitionsDir?: string;
  /** Told of each step when it is done. */
  readonly print?: (line: string) => void;
  /** Told of what is not as the log needs it, though it can be used; absent: as `print`. */
  readonly warn?: (line: string) => void;
}

export interface Migrated {
  readonly topics: readonly string[];
  readonly generations: Readonly<Record<StatefulTopic, number>>;
  readonly migrations: readonly string[];
  /** `<type>/<id>` of the definitions that were published now. */
  readonly definitions: readonly string[];
}

/**
 * @throws PlatformError KAFKA_UNREACHABLE, REDIS_UNREACHABLE, CLICKHOUSE_UNREACHABLE, GENERATION_MISMATCH, TOPIC_MISMATCH,
 *   MIGRATION_CHANGED, MIGRATION_FAILED, DEFINITION_INVALID, DEFINITION_CONFLICT
 */
export async function migrate(options: MigrateOptions): Promise<Migrated> {
  const { config, print = () => {}, warn = print } = options;
  const namespace = namespaceOf(config.namespace);
  const files = await readDefinitionFiles(options.definitionsDir ?? projectFolder('definitions'));

  const { topics, generations } = await migrateTopics(config, namespace, print, warn);
  print(`generations: ${describeGenerations(generations)}`);

  const { migrations, definitions } = await withPublisher(config, namespace, async (publisher, log) => {
    // Tables go forward only: nothing of this version is made of them for files that it will refuse.
    changesOf(log, files);
    const migrations = await migrateDatabase(config, namespace);
    print(
      `database ${namespace.database}: ${migrations.length > 0 ? `applied ${migrations.join(', ')}` : 'up to date'}`,
    );
    const placed = await publisher.placeMissing();
    if (placed > 0) print(`definitions: ${placed} that had not reached every partition were completed`);
    return { migrations, definitions: await publishFiles(publisher, log, files, print) };
  });
  print(
    `definitions: ${definitions.length > 0 ? `published ${definitions.join(', ')}` : `all ${files.length} in force`}`,
  );
  return { topics, generations, migrations, definitions };
}

function projectFolder(name: string): string {
  return fileURLToPath(new URL(`../${name}/`, import.meta.url));
}

function describeGenerations(generations: Readonly<Record<StatefulTopic, number>>): string {
  return Object.entries(generations)
    .map(([topic, generation]) => `${topic} ${generation}`)
    .join(', ');
}

/** Topics that somebody made beforehand may be others than the log needs. @throws PlatformError TOPIC_MISMATCH */
async function checkTopics(
  admin: TopicAdmin,
  namespace: Namespace,
  warn: (line: string) => void,
): Promise<void> {
  const names = Object.keys(namespace.topics) as (keyof Namespace['topics'])[];
  const topics = names.map((name) => namespace.topics[name]);
  const described = await admin.describe(topics);
  const settings = await admin.settings(topics);
  if (settings === null) warn('topics: their settings may not be read by this client and are not checked');
  const faults = names.flatMap((name, index) => {
    const { topic, partitions } = described[index]!;
    return topicFaults(name, topic, partitions, settings?.get(topic) ?? null);
  });
  const fatal = faults.filter(({ isFatal }) => isFatal);
  if (fatal.length > 0) throw new PlatformError('TOPIC_MISMATCH', fatal.map(({ said }) => said).join('\n'));
  for (const { said } of faults) warn(`topics: ${said}`);
}

async function migrateTopics(
  config: Config,
  namespace: Namespace,
  print: (line: string) => void,
  warn: (line: string) => void,
) {
  const admin = openTopicAdmin(config.kafkaBrokers);
  try {
    const topics = await admin.createMissing(namespace);
    print(topics.length > 0 ? `topics: made ${topics.join(', ')}` : 'topics: all there');
    await checkTopics(admin, namespace, warn);
    const redis = await openRedis({ url: config.redisUrl });
    try {
      return { topics, generations: await ensureGeneration(namespace, admin, redis) };
    } finally {
      redis.disconnect();
    }
  } finally {
    await admin.close();
  }
}

async function migrateDatabase(config: Config, namespace: Namespace): Promise<string[]> {
  const server = openClickHouse({ url: config.clickhouseUrl, database: 'default' });
  try {
    await pingClickHouse(server, config.clickhouseUrl);
    await server.command({ query: `CREATE DATABASE IF NOT EXISTS \`${namespace.database}\`` });
  } finally {
    await server.close();
  }
  const client = openClickHouse({ url: config.clickhouseUrl, database: namespace.database });
  try {
    return await migrateSql(client, projectFolder('sql'));
  } finally {
    await client.close();
  }
}

async function withPublisher<Value>(
  config: Config,
  namespace: Namespace,
  work: (publisher: Publisher, log: DefinitionLog) => Promise<Value>,
): Promise<Value> {
  const brokers = config.kafkaBrokers;
  const producer = await createProducer({
    brokers,
    clientId: 'flywheel-migrate',
    deliveryTimeoutMs: DELIVERY_TIMEOUT_MS,
    lingerMs: 0,
  });
  try {
    const log = await openDefinitionLog({ brokers, namespace });
    try {
      await log.caughtUp();
      const failpoint = createFailpoint(config.failpoint);
      return await work(createPublisher({ log, producer, namespace, nowMs: Date.now, failpoint }), log);
    } finally {
      await log.close();
    }
  } finally {
    await producer.close();
  }
}

type Files = Awaited<ReturnType<typeof readDefinitionFiles>>;

/** A definition that somebody has changed since it came from its file stays as they left it. */
function isOurs(log: DefinitionLog, { type, id }: Files[number]): boolean {
  const { record } = log.revisionOf(type, id) ?? {};
  return record === undefined || record.by === FILES;
}

async function publishFiles(
  publisher: Publisher,
  log: DefinitionLog,
  files: Files,
  print: (line: string) => void,
): Promise<string[]> {
  for (const file of files.filter((each) => !isOurs(log, each))) {
    const { type, id } = file;
    const { revision, by } = log.revisionOf(type, id)!.record;
    print(`definitions: ${type}/${id} stays at revision ${revision} by ${by}`);
  }
  const published: string[] = [];
  for (const change of changesOf(log, files)) {
    const { type, id, document } = change;
    if (!isAsPlanned(log, change)) throw conflict(change);
    const publication = { type, id, document, by: FILES, why: 'from its file' };
    const { outcome } = await publisher.publishChecked(publication);
    if (outcome === 'published') published.push(`${type}/${id}`);
    else if (outcome !== 'unchanged') throw conflict(change);
  }
  return published;
}

/** What the files change of the log; what they need of each other may come in the same files. @throws PlatformError DEFINITION_INVALID with all that is wrong */
function changesOf(log: DefinitionLog, files: Files): readonly PlannedChange[] {
  const ours = files.filter((file) => isOurs(log, file));
  if (ours.length === 0) return [];
  const plan = planSet(log, ours, { withdrawOthers: false });
  if (plan.ok) return plan.changes;
  throw new PlatformError('DEFINITION_INVALID', `the definitions are wrong:\n  ${plan.reasons.join('\n  ')}`);
}

/** Of two migrations of the same files the second finds what it wants. */
function isAsPlanned(log: DefinitionLog, { type, id, document, before }: PlannedChange): boolean {
  const current = log.revisionOf(type, id)?.record;
  return current?.revision === before?.revision || current?.hash === canonicalHash(document);
}

function conflict({ type, id }: PlannedChange): PlatformError {
  return new PlatformError(
    'DEFINITION_CONFLICT',
    `${type}/${id} was changed by somebody else meanwhile: run again`,
  );
}
