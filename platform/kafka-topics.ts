// The topics of a namespace: made with the settings that the log needs, described with their ids, held to their generation.
// The topic id (which node-rdkafka does not know) tells a topic that was deleted and made anew from the one that state came from.
import { Admin } from './kafka-admin.ts';
import type { StatefulTopic } from './keys.ts';
import { generationsKey, statefulTopics } from './keys.ts';
import type { Namespace } from './namespace.ts';
import { topicPartitions } from './namespace.ts';
import { isPlatformError, PlatformError } from './platform-error.ts';
import { type TopicSettings, topicSettings } from './topic-settings.ts';

const REQUEST_TIMEOUT_MS = 10_000;
const LEADERS_TIMEOUT_MS = 15_000;
const LEADERS_CHECK_MS = 50;
/** Kafka's protocol: offset requests by these instead of a time. */
const LATEST = -1n;
const EARLIEST = -2n;
const READ_COMMITTED = 1 as const;
/** Kafka's protocol: settings of a topic, not of a broker. */
const TOPIC_RESOURCE = 2 as const;

const topicNames = Object.keys(topicPartitions) as (keyof Namespace['topics'])[];

export interface TopicDescription {
  readonly topic: string;
  readonly id: string;
  readonly partitions: number;
}

/** The offsets that a partition holds: `low` is the first, `high` the one after the last. */
export interface Watermarks {
  readonly low: number;
  readonly high: number;
}

export interface TopicAdmin {
  /** Makes the topics of a namespace that are missing; returns their names. */
  createMissing(namespace: Namespace, replicas?: number): Promise<string[]>;
  /** Topics in the order asked for. @throws PlatformError TOPIC_MISSING */
  describe(topics: readonly string[]): Promise<TopicDescription[]>;
  /** The settings that each topic has, its own or its broker's; null: this client may not read them. */
  settings(topics: readonly string[]): Promise<ReadonlyMap<string, TopicSettings> | null>;
  /** One entry a partition, by partition number. */
  watermarks(topic: string): Promise<Watermarks[]>;
  /** Where whoever reads what is committed comes to the end: before the first transaction that is under way. */
  readableEnd(topic: string, partition: number): Promise<number>;
  /** The first offset of a partition that was appended at or after a time; null if none was. */
  offsetAt(topic: string, partition: number, timeMs: number): Promise<number | null>;
  /** Deletes those of the topics that there are. */
  deleteTopics(topics: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

/** @param brokers as in KAFKA_BROKERS, comma separated */
export function openTopicAdmin(brokers: string): TopicAdmin {
  return new PlatformaticTopicAdmin(brokers);
}

class PlatformaticTopicAdmin implements TopicAdmin {
  #admin: Admin;
  #brokers: string;

  constructor(brokers: string) {
    this.#brokers = brokers;
    this.#admin = new Admin({
      clientId: 'flywheel-admin',
      bootstrapBrokers: brokers.split(','),
      timeout: REQUEST_TIMEOUT_MS,
      retries: 2,
      metadataMaxAge: 0,
    });
  }

  async createMissing(namespace: Namespace, replicas = -1): Promise<string[]> {
    const present = new Set(await this.#attempt(() => this.#admin.listTopics()));
    const missing = topicNames.filter((name) => !present.has(namespace.topics[name]));
    for (const name of missing) {
      const configs = Object.entries(topicSettings(name)).map(([key, value]) => ({ name: key, value }));
      const topics = [namespace.topics[name]];
      const partitions = topicPartitions[name];
      try {
        await this.#admin.createTopics({ topics, partitions, replicas, configs });
      } catch (error) {
        if (!mentions(error, 'TOPIC_ALREADY_EXISTS')) throw this.#fault(error);
      }
    }
    if (missing.length > 0) await this.#waitForLeaders(Object.values(namespace.topics));
    return missing.map((name) => namespace.topics[name]);
  }

  /** A topic is made before every broker knows of it and its leaders stand. */
  async #waitForLeaders(topics: readonly string[]): Promise<void> {
    const deadline = performance.now() + LEADERS_TIMEOUT_MS;
    for (;;) {
      try {
        const { topics: found } = await this.#metadata(topics);
        const partitions = topics.flatMap((topic) => found.get(topic)?.partitions ?? [undefined]);
        if (partitions.every((partition) => partition !== undefined && partition.leader >= 0)) return;
      } catch (error) {
        if (!isPlatformError(error, 'TOPIC_MISSING')) throw error;
      }
      if (performance.now() > deadline) {
        throw new PlatformError('KAFKA_UNREACHABLE', `the topics ${topics.join(', ')} found no leader`);
      }
      await new Promise((resolve) => setTimeout(resolve, LEADERS_CHECK_MS));
    }
  }

  async describe(topics: readonly string[]): Promise<TopicDescription[]> {
    const metadata = await this.#metadata(topics);
    return topics.map((topic) => {
      const found = metadata.topics.get(topic);
      if (found === undefined) throw missingTopic(topic);
      return { topic, id: found.id, partitions: found.partitionsCount };
    });
  }

  async settings(topics: readonly string[]): Promise<ReadonlyMap<string, TopicSettings> | null> {
    const resources = topics.map((resourceName) => ({
      resourceType: TOPIC_RESOURCE,
      resourceName,
    }));
    try {
      const described = await this.#admin.describeConfigs({ resources });
      return new Map(
        described.map(({ resourceName, configs }) => [
          resourceName,
          Object.fromEntries(configs.map(({ name, value }) => [name, value ?? ''])),
        ]),
      );
    } catch (error) {
      if (mentions(error, 'TOPIC_AUTHORIZATION_FAILED')) return null;
      throw this.#fault(error);
    }
  }

  async watermarks(topic: string): Promise<Watermarks[]> {
    const [description] = await this.describe([topic]);
    const count = description!.partitions;
    const [low, high] = await Promise.all([
      this.#offsets(topic, count, EARLIEST),
      this.#offsets(topic, count, LATEST),
    ]);
    return low.map((offset, partition) => ({ low: offset, high: high[partition]! }));
  }

  async readableEnd(topic: string, partition: number): Promise<number> {
    const partitions = [{ partitionIndex: partition, timestamp: LATEST }];
    const [listed] = await this.#attempt(() =>
      this.#admin.listOffsets({ topics: [{ name: topic, partitions }], isolationLevel: READ_COMMITTED }),
    );
    return Number(listed?.partitions[0]?.offset ?? -1);
  }

  async offsetAt(topic: string, partition: number, timeMs: number): Promise<number | null> {
    const partitions = [{ partitionIndex: partition, timestamp: BigInt(timeMs) }];
    const [listed] = await this.#attempt(() =>
      this.#admin.listOffsets({ topics: [{ name: topic, partitions }] }),
    );
    const offset = Number(listed?.partitions[0]?.offset ?? -1);
    return offset < 0 ? null : offset;
  }

  async deleteTopics(topics: readonly string[]): Promise<void> {
    const present = new Set(await this.#attempt(() => this.#admin.listTopics()));
    const existing = topics.filter((topic) => present.has(topic));
    if (existing.length > 0) await this.#attempt(() => this.#admin.deleteTopics({ topics: existing }));
  }

  async close(): Promise<void> {
    await this.#admin.close();
  }

  async #metadata(topics: readonly string[]) {
    try {
      return await this.#admin.metadata({ topics: [...topics], forceUpdate: true });
    } catch (error) {
      if (String(error).includes('Unknown topic') || mentions(error, 'UNKNOWN_TOPIC_OR_PARTITION'))
        throw missingTopic(topics.join(', '), error);
      throw this.#fault(error);
    }
  }

  async #offsets(topic: string, count: number, timestamp: bigint): Promise<number[]> {
    const partitions = Array.from({ length: count }, (_, partitionIndex) => ({ partitionIndex, timestamp }));
    const listed = await this.#attempt(() =>
      this.#admin.listOffsets({ topics: [{ name: topic, partitions }] }),
    );
    const offsets = new Array<number>(count).fill(-1);
    for (const found of listed) {
      for (const partition of found.partitions) offsets[partition.partitionIndex] = Number(partition.offset);
    }
    return offsets;
  }

  async #attempt<Value>(request: () => Promise<Value>): Promise<Value> {
    try {
      return await request();
    } catch (error) {
      throw this.#fault(error);
    }
  }

  #fault(cause: unknown): PlatformError {
    return new PlatformError(
      'KAFKA_UNREACHABLE',
      `Kafka at ${this.#brokers} did not answer: ${String(cause)}`,
      {
        cause,
      },
    );
  }
}

/** Errors of the client hold the broker's answers in nested `errors` and `cause`. */
function mentions(error: unknown, apiId: string): boolean {
  if (!(error instanceof Error)) return false;
  if ((error as { apiId?: string }).apiId === apiId) return true;
  const nested = (error as { errors?: unknown[] }).errors ?? [];
  return nested.some((inner) => mentions(inner, apiId)) || mentions(error.cause, apiId);
}

function missingTopic(topic: string, cause?: unknown): PlatformError {
  return new PlatformError('TOPIC_MISSING', `the topic ${topic} is missing: run \`flywheel migrate\``, {
    cause,
  });
}

/** The Redis commands that generations need. */
export interface GenerationStore {
  hsetnx(key: string, field: string, value: string): Promise<number>;
  hget(key: string, field: string): Promise<string | null>;
}

/**
 * Holds each stateful topic to the generation that its state belongs to; the first time, notes it as generation 1.
 * @returns the generation of each topic
 * @throws PlatformError GENERATION_MISMATCH if a topic was made anew since, TOPIC_MISMATCH if it has another count of partitions
 */
export async function ensureGeneration(
  namespace: Namespace,
  admin: TopicAdmin,
  redis: GenerationStore,
): Promise<Record<StatefulTopic, number>> {
  const described = await admin.describe(statefulTopics.map((name) => namespace.topics[name]));
  const generations = { events: 0, spend: 0, rejected: 0 };
  for (const [index, name] of statefulTopics.entries()) {
    const { topic, id, partitions } = described[index]!;
    if (partitions !== topicPartitions[name]) {
      throw new PlatformError(
        'TOPIC_MISMATCH',
        `the topic ${topic} has ${partitions} partitions and must have ${topicPartitions[name]}`,
      );
    }
    generations[name] = await ensureOne(generationsKey(namespace), topic, `${id}:${partitions}`, redis);
  }
  return generations;
}

async function ensureOne(
  key: string,
  topic: string,
  identity: string,
  redis: GenerationStore,
): Promise<number> {
  // Read before it is written: a Redis that has no memory left takes no write, and there is nothing to write but once.
  let stored = await redis.hget(key, topic);
  if (stored === null) {
    await redis.hsetnx(key, topic, `1:${identity}`);
    stored = (await redis.hget(key, topic)) ?? '';
  }
  const [, generation, storedIdentity] = /^(\d+):(.*)$/.exec(stored) ?? [];
  if (generation === undefined || storedIdentity !== identity) {
    throw new PlatformError(
      'GENERATION_MISMATCH',
      `the state in Redis belongs to another ${topic} (stored ${stored}, Kafka has ${identity}): ` +
        'the topic was deleted and made anew, or Redis belongs to another Kafka. Name the Redis and the Kafka that belong together ' +
        '(REDIS_URL, KAFKA_BROKERS), put the topic back from a copy of the brokers’ disks, make Redis and ClickHouse anew from the ' +
        'logs that are there, or begin in another FLYWHEEL_NAMESPACE: docs/operating.md, "A topic that was made anew"',
    );
  }
  return Number(generation);
}
