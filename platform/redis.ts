// Opens Redis, one server or a cluster, by its address.
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { PlatformError } from './platform-error.ts';

const CONNECT_TIMEOUT_MS = 5_000;
const RECONNECT_DELAY_MS_MAX = 500;

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
    await client.connect();
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

/** A connection of its own to the same place, for subscriptions: it connects with its first command. */
export function duplicateOf(client: RedisClient): RedisClient {
  return client.isCluster ? (client as Cluster).duplicate() : (client as Redis).duplicate();
}

type CommandOptions = Pick<RedisOptions, 'connectTimeout' | 'maxRetriesPerRequest' | 'commandTimeout'>;

function isCluster(url: string): boolean {
  return url.startsWith('redis+cluster://') || url.includes(',');
}

function commandOptions({ retriesPerCommandMax, commandTimeoutMs }: RedisConnection): CommandOptions {
  return {
    connectTimeout: CONNECT_TIMEOUT_MS,
    maxRetriesPerRequest: retriesPerCommandMax === undefined ? 3 : retriesPerCommandMax,
    ...(commandTimeoutMs === undefined ? {} : { commandTimeout: commandTimeoutMs }),
  };
}

function serverOf(connection: RedisConnection): Redis {
  return new Redis(connection.url, {
    ...commandOptions(connection),
    lazyConnect: true,
    enableAutoPipelining: connection.autoPipelining ?? false,
    retryStrategy: reconnectDelayMs,
  });
}

function clusterOf(connection: RedisConnection): Cluster {
  const addresses = connection.url.replace(/^redis\+cluster:\/\//, 'redis://').split(',');
  const nodes = addresses.map((address) => new URL(address.includes('://') ? address : `redis://${address}`));
  const { username, password, protocol } = nodes[0]!;
  return new Cluster(
    nodes.map(({ hostname, port }) => ({ host: hostname, port: Number(port || 6379) })),
    {
      lazyConnect: true,
      enableAutoPipelining: connection.autoPipelining ?? false,
      clusterRetryStrategy: (times) => (times > 10 ? null : reconnectDelayMs(times)),
      redisOptions: {
        ...commandOptions(connection),
        ...(username === '' ? {} : { username: decodeURIComponent(username) }),
        ...(password === '' ? {} : { password: decodeURIComponent(password) }),
        ...(protocol === 'rediss:' ? { tls: {} } : {}),
      },
    },
  );
}

function reconnectDelayMs(times: number): number {
  return Math.min(times * 50, RECONNECT_DELAY_MS_MAX);
}

function withoutPassword(url: string): string {
  return url.replace(/\/\/[^@/]*@/, '//…@');
}
