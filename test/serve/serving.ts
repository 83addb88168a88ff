// A real `serve` over the run's stack, in a namespace of its own, and what the tests need around it.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ensureApiKeys } from '../../platform/api-keys.ts';
import { type Config, readConfig } from '../../platform/config.ts';
import { readPartition } from '../../platform/kafka-read.ts';
import { openTopicAdmin } from '../../platform/kafka-topics.ts';
import { migrate } from '../../platform/migrate.ts';
import { type Namespace, namespaceOf, type topicPartitions } from '../../platform/namespace.ts';
import type { ServeLog } from '../../serve/dependencies.ts';
import { startServe } from '../../serve/main.ts';

export const silentLog: ServeLog = { info: () => {}, warn: () => {}, error: () => {} };

export interface Addresses {
  readonly kafkaBrokers: string;
  readonly redisUrl: string;
  readonly clickhouseUrl: string;
}

export interface TestServing {
  readonly url: string;
  readonly config: Config;
  readonly namespace: Namespace;
  readonly keys: { readonly write: string; readonly secret: string };
  close(): Promise<void>;
}

/** Migrated and listening on a free port. */
export async function serveInNamespace(name: string, addresses: Addresses): Promise<TestServing> {
  const dir = await mkdtemp(path.join(tmpdir(), 'flywheel-serve-'));
  const config = readConfig({
    FLYWHEEL_NAMESPACE: name,
    FLYWHEEL_DIR: dir,
    KAFKA_BROKERS: addresses.kafkaBrokers,
    REDIS_URL: addresses.redisUrl,
    CLICKHOUSE_URL: addresses.clickhouseUrl,
    SERVE_PORT: '0',
    SERVE_KEYS_FILE: path.join(dir, 'keys.hashed.json'),
  });
  const keys = await ensureApiKeys({
    plainFile: path.join(dir, 'keys.json'),
    hashedFile: config.serveKeysFile,
  });
  await migrate({ config });
  const serving = await startServe(config, silentLog);
  return {
    url: serving.url,
    config,
    namespace: namespaceOf(name),
    keys,
    close: async () => {
      await serving.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** One record of the log, read back. */
export interface Logged {
  readonly partition: number;
  readonly offset: number;
  readonly key: string | null;
  readonly appendedAtMs: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever was written.
  readonly value: any;
}

/** Everything that stands in a topic now, by partition and offset. */
export async function readTopic(
  config: Config,
  namespace: Namespace,
  name: keyof typeof topicPartitions,
): Promise<Logged[]> {
  const topic = namespace.topics[name];
  const admin = openTopicAdmin(config.kafkaBrokers);
  const watermarks = await admin.watermarks(topic);
  await admin.close();
  const partitions = watermarks.map(async ({ low, high }, partition) => {
    const read: Logged[] = [];
    const range = { brokers: config.kafkaBrokers, topic, partition, from: low, to: high };
    for await (const records of readPartition(range)) {
      for (const { offset, key, value, appendedAtMs } of records) {
        read.push({
          partition,
          offset,
          key: key?.toString() ?? null,
          appendedAtMs,
          value: JSON.parse(value!.toString()),
        });
      }
    }
    return read;
  });
  return (await Promise.all(partitions)).flat();
}

/** The records of a topic that are none of the definitions. */
export async function readData(
  { config, namespace }: TestServing,
  name: 'events' | 'spend' | 'rejected',
): Promise<Logged[]> {
  const all = await readTopic(config, namespace, name);
  return all.filter((record) => record.value.kind !== 'definition');
}

/** The events with these message ids. */
export async function readMessages(serving: TestServing, messageIds: readonly string[]): Promise<Logged[]> {
  const all = await readData(serving, 'events');
  return all.filter((record) => messageIds.includes(record.value.messageId));
}

export function basic(key: string): string {
  return `Basic ${Buffer.from(`${key}:`).toString('base64')}`;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever was answered.
  readonly body: any;
}

/** Posts JSON (or bytes as they are) and reads the answer. */
export async function post(
  serving: Pick<TestServing, 'url'>,
  route: string,
  key: string | null,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const raw = typeof body === 'string' || body instanceof Uint8Array;
  const response = await fetch(`${serving.url}${route}`, {
    method: 'POST',
    headers: {
      ...(key === null ? {} : { authorization: basic(key) }),
      ...(raw ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    body: raw ? (body as Uint8Array<ArrayBuffer> | string) : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? null : JSON.parse(text) };
}
