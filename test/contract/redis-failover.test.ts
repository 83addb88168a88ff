// Another Redis behind the same address, and nobody who closes the connections to the one before: what a load balancer or a name
// does when a host goes dark, or when its Redis was made a replica and lives on.
import { connect, createServer, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { partitionKeys } from '../../platform/keys.ts';
import { namespaceOf } from '../../platform/namespace.ts';
import { openRedis, type RedisClient } from '../../platform/redis.ts';
import { connectionOf, untilReplicated } from '../../stream/sure-commit.ts';
import { type RedisNodes, redisCli, redisNodes } from './support/redis-nodes.ts';

/** Twice what a silent connection is given. */
const MENDED_MS_MAX = 20_000;

interface Balancer {
  readonly url: string;
  /** Where those that come from now on are led to. */
  leadTo(port: number): void;
  /** What is connected now hears nothing any more, and is not told. */
  goDark(): void;
  close(): Promise<void>;
}

async function startBalancer(first: number): Promise<Balancer> {
  let target = first;
  const pairs = new Set<Socket[]>();
  const listener = createServer((client) => {
    const server = connect(target, '127.0.0.1');
    const pair = [client, server];
    pairs.add(pair);
    for (const socket of pair) {
      socket.on('error', () => {});
      socket.on('close', () => {
        for (const each of pair) each.destroy();
      });
    }
    client.pipe(server).pipe(client);
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  return {
    url: `redis://127.0.0.1:${(listener.address() as { port: number }).port}`,
    leadTo(port) {
      target = port;
    },
    goDark() {
      for (const [client, server] of pairs) {
        client!.unpipe();
        server!.unpipe();
      }
    },
    async close() {
      for (const pair of pairs) for (const socket of pair) socket.destroy();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}

let nodes: RedisNodes;
let balancer: Balancer;
let client: RedisClient;

beforeAll(async () => {
  nodes = await redisNodes(2, { cluster: false });
  await nodes.start();
});
afterAll(() => nodes.close());
beforeEach(async () => {
  balancer = await startBalancer(nodes.ports[0]!);
  client = await openRedis({ url: balancer.url, retriesPerCommandMax: 20, onWarning: () => {} });
});
afterEach(async () => {
  client.disconnect();
  await balancer.close();
});

test('a connection on which nothing comes back is given up, and the command is sent to who is there now', async () => {
  expect(await client.set('dark', 'before')).toBe('OK');
  balancer.goDark();
  balancer.leadTo(nodes.ports[1]!);
  expect(await client.set('dark', 'after')).toBe('OK');
  expect(redisCli(nodes.ports[0]!, ['get', 'dark'])).toBe('before');
  expect(redisCli(nodes.ports[1]!, ['get', 'dark'])).toBe('after');
}, 60_000);

test('one that was made a replica is left for who is there now, by a script too', async () => {
  expect(await client.set('replica', 'before')).toBe('OK');
  const [before, after] = nodes.ports;
  redisCli(before!, ['replicaof', '127.0.0.1', String(after)]);
  balancer.leadTo(after!);
  const script = "return redis.call('SET', KEYS[1], ARGV[1])";
  await expect
    .poll(() => client.eval(script, 1, 'replica', 'after').catch(String), { timeout: MENDED_MS_MAX })
    .toBe('OK');
  expect(redisCli(after!, ['get', 'replica'])).toBe('after');
  redisCli(before!, ['replicaof', 'no', 'one']);
});

test('a commit is out of its process only when a replica has it; one that a failover lost is fenced', async () => {
  const [first, second] = nodes.ports;
  redisCli(second!, ['replicaof', '127.0.0.1', String(first)]);
  await expect
    .poll(() => redisCli(first!, ['info', 'replication']), { timeout: MENDED_MS_MAX })
    .toContain('state=online');
  const keys = partitionKeys(namespaceOf('failover'), { topic: 'events', generation: 1, partition: 0 });
  const failures: string[] = [];
  const ports = {
    redis: client,
    keys,
    observer: { failed: (error: unknown) => void failures.push(String(error)) },
    limits: { waitReplicas: 1 },
  };
  const committed = { nonce: 'n', seq: 5 };
  const connection = connectionOf(client);
  await client.hset(keys.head, 'nonce', 'n', 'seq', 5);
  expect(await untilReplicated(ports, committed, connection, () => false)).toBe('OK');
  expect(redisCli(second!, ['hget', keys.head, 'seq'])).toBe('5');
  redisCli(second!, ['replicaof', 'no', 'one']);
  await client.hset(keys.head, 'seq', 6);
  await expect(untilReplicated(ports, { ...committed, seq: 6 }, connection, () => true)).rejects.toThrow(
    'stopped',
  );
  expect(failures).toEqual(['Error: 0 of 1 replicas have the commit: waiting']);
  // The one that did not get it is the one in charge now.
  balancer.leadTo(second!);
  client.disconnect(true);
  expect(await untilReplicated(ports, { ...committed, seq: 6 }, connection, () => false)).toBe('FENCED');
});
