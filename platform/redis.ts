// Opens Redis, one server or a cluster, by its address.
import { type Cluster, Redis, type RedisOptions } from 'ioredis';
import { PlatformError } from './platform-error.ts';
import { BoundedCluster } from './redis-cluster.ts';
import { withoutPassword } from './without-password.ts';

const CONNECT_TIMEOUT_MS = 5_000;
const RECONNECT_DELAY_MS_MAX = 500;
/**
 * No command of ours takes nearly as long, so that a connection on which nothing comes back is dead: its host went dark, or its
 * address is another's by now. The system alone would notice after a quarter of an hour.
 */
const SILENCE_MS_MAX = 10_000;
/** A cluster that was never ready is given up after so many attempts; one that was is tried for as long as it takes. */
const FIRST_ATTEMPTS_MAX = 10;
const RETRIES_PER_COMMAND_DEFAULT = 3;

/** Both offer the same commands; keys of one call must share a hash tag (platform/keys.ts). */
export type RedisClient = Redis | Cluster;

export interface RedisConnection {
  /** `redis://host:port`, `rediss://…`; `redis+cluster://host:port,host:port` or a comma separated list for a cluster. */
  readonly url: string;
  /** Puts the commands of one turn of the event loop into one write: for many small independent reads. */
  readonly autoPipelining?: boolean;
  /** How often a command is sent again after lost connections before it fails; null: until it succeeds. */
  readonly retriesPerCommandMax?: number | null;
  /** A command that is not answered within this time fails. Absent: it waits. */
  readonly commandTimeoutMs?: number;
  /** Told of lost connections, which are mended by themselves. */
  readonly onWarning?: (message: string) => void;
}

/**
 * Connects and waits until Redis takes commands.
 * @throws PlatformError REDIS_UNREACHABLE
 */
export async function openRedis(connection: RedisConnection): Promise<RedisClient> {
  const client = isCluster(connection.url) ? clusterOf(connection) : serverOf(connection);
  let lastError: Error | undefined;
  client.on('error', (error: Error) => {
    lastError = error;
    connection.onWarning?.(`Redis: ${error.message}`);
  });
  try {
    await firstReady(client);
  } catch (error) {
    client.disconnect();
    const reason = (lastError ?? (error as Error)).message;
    throw new PlatformError(
      'REDIS_UNREACHABLE',
      `no Redis at ${withoutPassword(connection.url)}: ${reason}`,
      {
        cause: error,
      },
    );
  }
  return client;
}

/** Not by `connect` alone: where a cluster is reached and takes no commands yet, its promise stays open for good. */
function firstReady(client: RedisClient): Promise<void> {
  return new Promise((resolve, reject) => {
    client.once('ready', resolve);
    client.once('end', () => reject(new Error('it takes no commands')));
    client.connect().catch(reject);
  });
}

/** A connection of its own to the same place, for subscriptions: it connects with its first command. */
export function duplicateOf(client: RedisClient): RedisClient {
  return client instanceof BoundedCluster ? client.another() : (client as Redis).duplicate();
}

type CommandOptions = Pick<
  RedisOptions,
  'connectTimeout' | 'socketTimeout' | 'maxRetriesPerRequest' | 'commandTimeout'
>;

function isCluster(url: string): boolean {
  return url.startsWith('redis+cluster://') || url.includes(',');
}

function commandOptions({ retriesPerCommandMax, commandTimeoutMs }: RedisConnection): CommandOptions {
  return {
    connectTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: SILENCE_MS_MAX,
    maxRetriesPerRequest:
      retriesPerCommandMax === undefined ? RETRIES_PER_COMMAND_DEFAULT : retriesPerCommandMax,
    ...(commandTimeoutMs === undefined ? {} : { commandTimeout: commandTimeoutMs }),
  };
}

function serverOf(connection: RedisConnection): Redis {
  return new Redis(connection.url, {
    ...commandOptions(connection),
    lazyConnect: true,
    enableAutoPipelining: connection.autoPipelining ?? false,
    retryStrategy: reconnectDelayMs,
    // Whoever was made a replica lives on and refuses: the address may lead to another one by now.
    reconnectOnError: ({ message }) => message.includes('READONLY'),
  });
}

function clusterOf(connection: RedisConnection): BoundedCluster {
  const addresses = connection.url.replace(/^redis\+cluster:\/\//, 'redis://').split(',');
  const nodes = addresses.map((address) => new URL(address.includes('://') ? address : `redis://${address}`));
  const { username, password, protocol } = nodes[0]!;
  const { commandTimeoutMs, retriesPerCommandMax = RETRIES_PER_COMMAND_DEFAULT } = connection;
  let wasReady = false;
  const cluster = new BoundedCluster(
    nodes.map(({ hostname, port }) => ({ host: hostname, port: Number(port || 6379) })),
    {
      lazyConnect: true,
      enableAutoPipelining: connection.autoPipelining ?? false,
      // Null ends the client for good.
      clusterRetryStrategy: (times) =>
        wasReady || times <= FIRST_ATTEMPTS_MAX ? reconnectDelayMs(times) : null,
      redisOptions: {
        ...commandOptions(connection),
        ...(username === '' ? {} : { username: decodeURIComponent(username) }),
        ...(password === '' ? {} : { password: decodeURIComponent(password) }),
        ...(protocol === 'rediss:' ? { tls: {} } : {}),
      },
    },
    { retriesPerCommandMax, ...(commandTimeoutMs === undefined ? {} : { commandTimeoutMs }) },
  );
  cluster.once('ready', () => {
    wasReady = true;
  });
  return cluster;
}

function reconnectDelayMs(times: number): number {
  return Math.min(times * 50, RECONNECT_DELAY_MS_MAX);
}
