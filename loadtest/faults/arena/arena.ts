// The arena of one fault: a namespace of its own, `stream`, `serve` and `jobs` as processes of its own, and the load: a
// feeder, a receiver of triggers, an exchange. Faults act on it; `judge.ts` says whether it held.
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { ephemeralPorts } from '../../../ops/local/ports.ts';
import { ensureApiKeys } from '../../../platform/api-keys.ts';
import { type ClickHouse, openClickHouse } from '../../../platform/clickhouse.ts';
import { type Config, readConfig } from '../../../platform/config.ts';
import { openTopicAdmin, type TopicAdmin } from '../../../platform/kafka-topics.ts';
import { migrate } from '../../../platform/migrate.ts';
import { type Namespace, namespaceOf } from '../../../platform/namespace.ts';
import { openRedis, type RedisClient } from '../../../platform/redis.ts';
import { addWebhookSecret } from '../../../platform/webhook-secrets.ts';
import { type Random, randomOf } from '../../../simulate/marketplace/random.ts';
import { writeDefinitions } from './definitions.ts';
import { type Exchange, startExchange } from './exchange.ts';
import { type Feeder, startFeeder } from './feeder.ts';
import type { Parts } from './parts.ts';
import { type FlywheelProcess, startProcess } from './process.ts';
import { type Receiver, startReceiver } from './receiver.ts';
import { someVisitor, trafficOf } from './traffic.ts';

const SECRET_NAME = 'stand-in';
/** A slot that dies for good gives its partitions back soon. */
const SESSION_TIMEOUT_MS = 6_000;
/** Who takes over the jobs waits for the intents of the one before. */
const INTENT_LIFE_MS = 2_500;
const AUCTIONS_PER_SECOND = 8;

export interface ArenaOptions {
  readonly parts: Parts;
  /** Of this arena alone. */
  readonly dir: string;
  readonly label: string;
  readonly seed: number;
  readonly eventsPerSecond: number;
  /** So far behind are the times of what is fed, until the feeder's clock is put right. */
  readonly behindMs: number;
  /** Documents by `<type>/<id>`, in the place of the project's own. */
  readonly definitions: Readonly<Record<string, unknown>>;
  /** Goes over what the processes are given. */
  readonly environment?: Readonly<Record<string, string>>;
}

export interface Arena {
  readonly parts: Parts;
  readonly dir: string;
  readonly namespace: Namespace;
  readonly config: Config;
  readonly random: Random;
  readonly redis: RedisClient;
  readonly clickhouse: ClickHouse;
  readonly admin: TopicAdmin;
  readonly url: string;
  readonly keys: { readonly write: string; readonly secret: string };
  readonly feeder: Feeder;
  readonly exchange: Exchange;
  readonly receiver: Receiver;
  /** The processes that were started last, by name: `stream-0`, `serve`, `jobs`. */
  readonly processes: Map<string, FlywheelProcess>;
  /** Starts a process under its name and waits until it is ready; in the place of one that is gone. */
  start(name: string, environment?: Readonly<Record<string, string>>): Promise<FlywheelProcess>;
  /** Starts it and does not wait. */
  launch(name: string, environment?: Readonly<Record<string, string>>): FlywheelProcess;
  /** What a process of that name is given. */
  environmentOf(name: string): Record<string, string>;
  close(): Promise<void>;
}

async function openNamespace(options: ArenaOptions, receiverUrl: string) {
  const { parts, dir, label, seed } = options;
  const { serve } = await ephemeralPorts();
  const secretsFile = path.join(dir, 'webhook-secrets.json');
  const environment: Record<string, string> = {
    FLYWHEEL_NAMESPACE: `${label}-${seed}-${randomBytes(2).toString('hex')}`,
    FLYWHEEL_DIR: dir,
    KAFKA_BROKERS: parts.addresses.kafkaBrokers,
    REDIS_URL: parts.addresses.redisUrl,
    CLICKHOUSE_URL: parts.addresses.clickhouseUrl,
    // The same for all that come after one another: addresses of notices outlive a process.
    SERVE_PORT: String(serve),
    SERVE_KEYS_FILE: path.join(dir, 'keys.hashed.json'),
    STREAM_METRICS_PORT: '0',
    STREAM_SESSION_TIMEOUT_MS: String(SESSION_TIMEOUT_MS),
    JOBS_METRICS_PORT: '0',
    JOBS_SECRETS_FILE: secretsFile,
    JOBS_ALLOW_HOSTS: '127.0.0.1',
    JOBS_INTENT_LIFE_MS: String(INTENT_LIFE_MS),
    ...options.environment,
  };
  const config = readConfig(environment);
  await addWebhookSecret(secretsFile, SECRET_NAME);
  const definitionsDir = writeDefinitions(dir, receiverUrl, SECRET_NAME, options.definitions);
  await migrate({ config, definitionsDir });
  const keys = await ensureApiKeys({
    plainFile: path.join(dir, 'keys.json'),
    hashedFile: config.serveKeysFile,
  });
  return { config, environment, keys, url: `http://127.0.0.1:${serve}` };
}

/** Opens it with one process of each kind, and begins to feed when they are ready. */
export async function openArena(options: ArenaOptions): Promise<Arena> {
  const { parts, dir, label, seed } = options;
  mkdirSync(dir, { recursive: true });
  const randomFor = (what: string): Random => randomOf(`${label} ${seed} ${what}`);
  const receiver = await startReceiver(path.join(dir, 'received.txt'), randomFor('receiver'));
  const { config, environment, keys, url } = await openNamespace(options, receiver.url);
  const namespace = namespaceOf(config.namespace);
  // What looks on outlives the parts that it looks at.
  const redis = await openRedis({ url: parts.addresses.redisUrl, retriesPerCommandMax: null });
  const clickhouse = openClickHouse({ url: config.clickhouseUrl, database: namespace.database });
  const admin = openTopicAdmin(config.kafkaBrokers);
  const processes = new Map<string, FlywheelProcess>();

  function environmentOf(name: string): Record<string, string> {
    const [, slot] = name.split('-');
    return slot === undefined ? environment : { ...environment, STREAM_SLOT: slot };
  }
  function launch(name: string, change: Readonly<Record<string, string>> = {}): FlywheelProcess {
    const [command] = name.split('-');
    const started = startProcess(name, command!, { ...environmentOf(name), ...change });
    processes.set(name, started);
    return started;
  }
  async function start(name: string, change: Readonly<Record<string, string>> = {}) {
    const started = launch(name, change);
    await started.ready;
    return started;
  }

  await Promise.all(['stream-0', 'serve', 'jobs'].map((name) => start(name)));
  const target = { url, writeKey: keys.write, secretKey: keys.secret };
  const revoked = randomFor('revoked');
  const feeder = startFeeder(target, trafficOf(randomFor('traffic'), `${label}-${seed}`), {
    perSecond: options.eventsPerSecond,
    behindMs: options.behindMs,
    someVisitor: () => someVisitor(revoked),
  });
  const exchange = startExchange(target, randomFor('exchange'), {
    perSecond: AUCTIONS_PER_SECOND,
    prefix: `${label}-${seed}`,
  });

  return {
    ...{
      parts,
      dir,
      namespace,
      config,
      redis,
      clickhouse,
      admin,
      url,
      keys,
      feeder,
      exchange,
      receiver,
      processes,
    },
    random: randomFor('fault'),
    start,
    launch,
    environmentOf,
    async close() {
      feeder.abort();
      exchange.abort();
      const running = [...processes.values()].filter((each) => each.isRunning());
      for (const each of running) each.signal('SIGCONT');
      await Promise.all(running.map((each) => each.kill()));
      await receiver.close();
      redis.disconnect();
      await Promise.allSettled([admin.close(), clickhouse.close()]);
    },
  };
}
