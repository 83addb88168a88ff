// The real app over the run's real parts, with definitions given by the test and state written by it in the layout
// that the stream writes: what the answering routes are tested with.
import { randomBytes } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { expect, inject } from 'vitest';
import { type Buyer, newBuyer } from '../../domain/buyer.ts';
import { type DefinitionType, definitionSchemas, type InForce } from '../../domain/definition.ts';
import type { DefinitionRecord } from '../../domain/record.ts';
import { hashApiKey } from '../../platform/api-keys.ts';
import { encodeBuyer } from '../../platform/buyer-codec.ts';
import { canonicalHash } from '../../platform/canonical.ts';
import { type ClickHouse, openClickHouse } from '../../platform/clickhouse.ts';
import { readConfig } from '../../platform/config.ts';
import { createProducer, type Producer } from '../../platform/kafka.ts';
import { readPartition } from '../../platform/kafka-read.ts';
import { openTopicAdmin, type TopicAdmin } from '../../platform/kafka-topics.ts';
import { buyerPartition, type PartitionKeys, partitionKeys } from '../../platform/keys.ts';
import { type Namespace, namespaceOf } from '../../platform/namespace.ts';
import { openRedis, type RedisClient } from '../../platform/redis.ts';
import { buildApp } from '../../serve/app.ts';
import { apiKeys } from '../../serve/authentication.ts';
import type { Dependencies } from '../../serve/dependencies.ts';
import { serveMetrics } from '../../serve/metrics.ts';
import { openTables } from '../stream/support/tables.ts';

export const GENERATION = 1;
export const secret = { authorization: 'Bearer secret-key' };
export const writeOnly = { authorization: 'Bearer write-key' };

/** Definitions that a test sets at will. */
export class DefinitionsGiven {
  readonly #known = new Map<string, InForce>();
  readonly #histories = new Map<string, DefinitionRecord[]>();
  caughtUp = true;
  /** `type/id` of what no partition may know yet. */
  readonly unplaced = new Set<string>();

  set(type: DefinitionType, id: string, document: unknown, revision = 1, at = Date.UTC(2026, 0, 1)) {
    const parsed = definitionSchemas[type].parse(document);
    const inForce = { id, revision, hash: canonicalHash(parsed), document: parsed };
    const history = this.#histories.get(`${type}/${id}`) ?? [];
    const previousHash = history.at(-1)?.hash ?? null;
    const said = { by: 'test', why: '', at };
    const record: DefinitionRecord = { kind: 'definition', type, previousHash, ...inForce, ...said };
    this.#histories.set(`${type}/${id}`, [...history, record]);
    this.#known.set(`${type}/${id}`, inForce);
    return inForce;
  }

  withdraw(type: DefinitionType, id: string) {
    const history = this.#histories.get(`${type}/${id}`)!;
    const last = history.at(-1)!;
    this.#histories.set(`${type}/${id}`, [
      ...history,
      { ...last, revision: last.revision + 1, previousHash: last.hash, document: null },
    ]);
    this.#known.delete(`${type}/${id}`);
  }

  view(): Dependencies['definitionLog'] {
    const find = <Document>(type: DefinitionType, id: string) =>
      this.#known.get(`${type}/${id}`) as InForce<Document> | undefined;
    return {
      isCaughtUp: () => this.caughtUp,
      find,
      findKnown: <Document>(type: DefinitionType, id: string) =>
        this.unplaced.has(`${type}/${id}`) ? undefined : find<Document>(type, id),
      list: <Document>(type: DefinitionType) =>
        [...this.#known]
          .filter(([name]) => name.startsWith(`${type}/`))
          .map(([, each]) => each as InForce<Document>)
          .sort((a, b) => (a.id < b.id ? -1 : 1)),
      historyOf: (type, id) => this.#histories.get(`${type}/${id}`) ?? [],
    };
  }
}

export interface Answering {
  readonly app: FastifyInstance;
  readonly namespace: Namespace;
  readonly redis: RedisClient;
  readonly clickhouse: ClickHouse;
  readonly producer: Producer;
  readonly definitions: DefinitionsGiven;
  readonly logged: { message: string; fields: unknown }[];
  /** What the clock says, and how far the monotonic one is ahead of the real one; tests may move both. */
  readonly clock: { nowMs: number; aheadMs: number };
  /** What a GET with a secret key answers, once it has answered with this status. */
  get(path: string, status?: number): Promise<ReturnType<typeof JSON.parse>>;
  keysOf(topic: 'events' | 'spend', partition: number): PartitionKeys;
  /** Writes a partition's watermark and a fresh stamp, as its owner does. */
  setHead(topic: 'events' | 'spend', partition: number, head: Record<string, string | number>): Promise<void>;
  /** Writes a buyer, and the watermark of its partition. */
  setBuyer(key: string, change: Partial<Buyer>, watermarkMs: number): Promise<void>;
  /** Everything that stands in one partition of a topic, parsed. */
  logOf(
    topic: 'events' | 'spend',
    partition: number,
  ): Promise<{ key: string | null; record: Record<string, unknown> }[]>;
  close(): Promise<void>;
}

/** Definitions are given here; what changes them is tested with the real log. */
async function readOnly(): Promise<never> {
  throw new Error('these definitions are given by the test');
}

const noDeliveries: Dependencies['deliveries'] = {
  isCaughtUp: () => true,
  find: () => undefined,
  latest: () => [],
  close: async () => {},
};

/** @param wrap replaces parts, to play their failures. */
export async function answering(
  name: string,
  options: { tables?: boolean; wrap?: (dependencies: Dependencies) => Dependencies } = {},
): Promise<Answering> {
  const namespace = namespaceOf(`${name}-${randomBytes(3).toString('hex')}`);
  const brokers = inject('kafkaBrokers');
  const [redis, producer, admin] = await Promise.all([
    openRedis({ url: inject('redisUrl'), autoPipelining: true }),
    createProducer({ brokers, clientId: name, deliveryTimeoutMs: 10_000 }),
    openTopicAdmin(brokers),
    options.tables === true ? openTables(namespace.database).then((client) => client.close()) : undefined,
  ]);
  await admin.createMissing(namespace);
  const clickhouse = openClickHouse({ url: inject('clickhouseUrl'), database: namespace.database });
  const definitions = new DefinitionsGiven();
  const logged: Answering['logged'] = [];
  const note = (message: string, fields?: unknown): void => void logged.push({ message, fields });
  const clock = { nowMs: Date.now(), aheadMs: 0 };
  const dependencies: Dependencies = {
    config: readConfig({}),
    namespace,
    generations: { events: GENERATION, spend: GENERATION },
    producer,
    kafkaIsUp: () => true,
    redis,
    clickhouse,
    definitionLog: definitions.view(),
    deliveries: noDeliveries,
    publisher: { publish: readOnly, publishChecked: readOnly },
    keys: apiKeys({
      keys: [
        { name: 'secret', scope: 'secret', sha256: hashApiKey('secret-key') },
        { name: 'site', scope: 'write', sha256: hashApiKey('write-key') },
      ],
    }),
    noticeSecret: Buffer.from('0123456789abcdef'),
    metrics: serveMetrics(),
    log: { info: note, warn: note, error: note },
    clock: { nowMs: () => clock.nowMs, monotonicMs: () => performance.now() + clock.aheadMs },
  };
  const app = await buildApp(options.wrap?.(dependencies) ?? dependencies);
  await app.ready();
  const keysOf = (topic: 'events' | 'spend', partition: number): PartitionKeys =>
    partitionKeys(namespace, { topic, generation: GENERATION, partition });
  const setHead: Answering['setHead'] = async (topic, partition, head) => {
    await redis.hset(keysOf(topic, partition).head, head);
  };
  return {
    app,
    namespace,
    redis,
    clickhouse,
    producer,
    definitions,
    logged,
    clock,
    keysOf,
    setHead,
    async get(path, status = 200) {
      const response = await app.inject({ url: path, headers: secret });
      expect([response.statusCode, response.body]).toEqual([status, expect.anything()]);
      return response.json();
    },
    async setBuyer(key, change, watermarkMs) {
      const partition = buyerPartition(key);
      await redis.set(keysOf('events', partition).buyer(key), encodeBuyer({ ...newBuyer(key), ...change }));
      await setHead('events', partition, { watermark: watermarkMs });
    },
    logOf: (topic, partition) => readAll(brokers, admin, namespace.topics[topic], partition),
    async close() {
      await app.close();
      await producer.close();
      await admin.close();
      await clickhouse.close();
      redis.disconnect();
    },
  };
}

async function readAll(brokers: string, admin: TopicAdmin, topic: string, partition: number) {
  const { high } = (await admin.watermarks(topic))[partition]!;
  const found: { key: string | null; record: Record<string, unknown> }[] = [];
  if (high === 0) return found;
  for await (const batch of readPartition({ brokers, topic, partition, from: 0, to: high })) {
    for (const { key, value } of batch) {
      found.push({
        key: key === null ? null : key.toString(),
        record: JSON.parse(value!.toString()) as Record<string, unknown>,
      });
    }
  }
  return found;
}
