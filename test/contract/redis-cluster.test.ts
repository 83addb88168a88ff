// A Redis Cluster of three: a partition's keys stand together, so that its script and its transaction run there as on one server.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import {
  liveChannel,
  liveInterestsKey,
  partitionKeys,
  type StatefulTopic,
  tagOf,
  windowName,
} from '../../platform/keys.ts';
import { announceInterest, readInterests } from '../../platform/live.ts';
import { namespaceOf, topicPartitions } from '../../platform/namespace.ts';
import { duplicateOf, openRedis, type RedisClient } from '../../platform/redis.ts';
import { createBuyerReads } from '../../serve/buyer-reads.ts';
import { readRolling } from '../../serve/reports/rolling-counts.ts';
import { createStateReader } from '../../serve/state.ts';

const namespace = namespaceOf('contract-cluster');
const servers: ChildProcess[] = [];
let dir: string;
let ports: number[];
let redis: RedisClient;

beforeAll(async () => {
  dir = mkdtempSync(path.join(tmpdir(), 'flywheel-cluster-'));
  const free = await freePorts(6);
  ports = free.slice(0, 3);
  for (const [index, port] of ports.entries()) {
    const bus = free[index + 3]!;
    const folder = mkdtempSync(path.join(dir, 'node-'));
    const flags = [
      '--port',
      `${port}`,
      '--cluster-port',
      `${bus}`,
      '--cluster-enabled',
      'yes',
      '--save',
      '',
      '--dir',
      folder,
    ];
    servers.push(spawn('redis-server', [...flags, '--bind', '127.0.0.1'], { stdio: 'ignore' }));
  }
  for (const port of ports) await vi.waitFor(() => expect(cli(port, ['ping'])).toBe('PONG'), 10_000);
  const nodes = ports.map((port) => `127.0.0.1:${port}`);
  cli(ports[0]!, ['--cluster', 'create', ...nodes, '--cluster-yes']);
  for (const port of ports) {
    await vi.waitFor(() => expect(cli(port, ['cluster', 'info'])).toContain('cluster_state:ok'), 15_000);
  }
  redis = await openRedis({ url: `redis+cluster://${nodes.join(',')}`, autoPipelining: true });
});

afterAll(async () => {
  redis?.disconnect();
  for (const server of servers) {
    const ended = new Promise((resolve) => server.once('exit', resolve));
    server.kill();
    await ended;
  }
  rmSync(dir, { recursive: true, force: true });
});

function cli(port: number, command: string[]): string {
  try {
    return execFileSync('redis-cli', ['-p', `${port}`, ...command], {
      encoding: 'utf8',
      stdio: 'pipe',
    }).trim();
  } catch (error) {
    return String(error);
  }
}

async function freePorts(count: number): Promise<number[]> {
  const listeners = Array.from({ length: count }, () => createServer());
  const taken = await Promise.all(
    listeners.map(
      (listener) =>
        new Promise<number>((resolve) => {
          listener.listen(0, '127.0.0.1', () => resolve((listener.address() as { port: number }).port));
        }),
    ),
  );
  await Promise.all(listeners.map((listener) => new Promise((resolve) => listener.close(resolve))));
  return taken;
}

const partitions = (['events', 'spend', 'rejected'] as StatefulTopic[]).flatMap((topic) =>
  Array.from({ length: topicPartitions[topic] }, (_, partition) => ({ topic, generation: 1, partition })),
);

describe('on a cluster', () => {
  test('a script and a transaction over all keys of a partition run, for every partition', async () => {
    const script = `for i = 1, #KEYS - 1 do redis.call('SET', KEYS[i], ARGV[1]) end
      redis.call('HSET', KEYS[#KEYS], 'offset', ARGV[1]) return #KEYS`;
    for (const id of partitions) {
      const keys = partitionKeys(namespace, id);
      const all = [
        keys.definitions,
        keys.buyer('u:買'),
        keys.buyer('a:{x}'),
        keys.account('a'),
        keys.window('w'),
        keys.head,
      ];
      expect(await redis.eval(script, all.length, ...all, '7')).toBe(6);
      const transaction = await redis.multi().get(keys.buyer('u:買')).hget(keys.head, 'offset').exec();
      expect(transaction).toEqual([
        [null, '7'],
        [null, '7'],
      ]);
      expect(await redis.mget(all.slice(0, 5))).toEqual(['7', '7', '7', '7', '7']);
    }
  });

  test('reads of many partitions in one turn are answered, each by its own server', async () => {
    const answers = await Promise.all(
      partitions.map((id) => redis.hget(partitionKeys(namespace, id).head, 'offset')),
    );
    expect(answers).toEqual(partitions.map(() => '7'));
  });

  test('buyers of all partitions that are asked for in one turn are found, each on its own server', async () => {
    const keysOf = (partition: number) =>
      partitionKeys(namespace, { topic: 'events', generation: 1, partition });
    const all = Array.from({ length: topicPartitions.events }, (_, partition) => partition);
    for (const partition of all) {
      await redis.set(keysOf(partition).buyer('u:1'), `state ${partition}`);
      await redis.hset(keysOf(partition).head, 'watermark', partition);
    }
    const read = createBuyerReads(redis, keysOf);
    const found = await Promise.all(
      [...all, ...all].map((partition) => read({ key: 'u:1', partition, withWatermark: true })),
    );
    expect(found.map(({ bytes, watermarkMs }) => [bytes?.toString(), watermarkMs])).toEqual(
      [...all, ...all].map((partition) => [`state ${partition}`, partition]),
    );
    const alone = await Promise.all(
      all.map((partition) => read({ key: 'u:1', partition, withWatermark: false })),
    );
    expect(alone.map(({ bytes }) => bytes?.toString())).toEqual(all.map((partition) => `state ${partition}`));
  });

  test('rolling counts of all partitions are read, each by a script on its own server', async () => {
    const reader = createStateReader({ redis, namespace, generations: { events: 1, spend: 1 } });
    const all = Array.from({ length: topicPartitions.events }, (_, partition) => partition);
    for (const partition of all) {
      const keys = reader.keysOf('events', partition);
      await redis.hset(keys.head, 'watermark', 3_600_000 + partition);
      await redis.hset(keys.window(windowName('funnel', 2, 'm', 60)), 'DE||', `${partition},1`);
    }
    expect(await readRolling(reader, 'funnel', 2, '1h')).toEqual(
      all.map((partition) => ({ watermarkMs: 3_600_000 + partition, cells: [['DE||', [partition, 1]]] })),
    );
  });

  test('no server has more than one of the twelve partitions of `events` beyond its share', async () => {
    const owners = partitions
      .filter(({ topic }) => topic === 'events')
      .map((id) => Number(cli(ports[0]!, ['cluster', 'keyslot', tagOf(namespaceOf('default'), id)])))
      .map((slot) => Math.floor((slot * 3) / 16_384));
    const counts = [0, 1, 2].map((server) => owners.filter((owner) => owner === server).length);
    expect(Math.max(...counts)).toBeLessThanOrEqual(5);
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(3);
  });
});

test('the live debugger works: who looks is known by one node, what is published reaches every subscriber', async () => {
  const key = liveInterestsKey(namespace);
  await announceInterest(redis, key, { key: 'u:1' }, 60_000);
  await announceInterest(redis, key, { key: 'u:1' }, 60_000);
  await announceInterest(redis, key, { verdict: 'late' }, 60_000);
  await announceInterest(redis, key, { source: 'gone' }, 1);
  await vi.waitFor(async () => {
    expect(await readInterests(redis, key, 10)).toEqual([{ key: 'u:1' }, { verdict: 'late' }]);
  });
  expect(await readInterests(redis, key, 1)).toEqual([{}]);
  const channel = liveChannel(namespace);
  const heard: string[] = [];
  const listeners = [duplicateOf(redis), duplicateOf(redis)];
  for (const listener of listeners) {
    listener.on('message', (_channel: string, text: string) => heard.push(text));
    await listener.subscribe(channel);
  }
  await redis.publish(channel, 'said');
  await vi.waitFor(() => expect(heard).toEqual(['said', 'said']));
  for (const listener of listeners) listener.disconnect();
});
