// A Redis Cluster of three: a partition's keys stand together, so that its script and its transaction run there as on one server.
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
import { CommandList, runFenced } from '../../stream/commit.ts';
import { emptyHead } from '../../stream/state.ts';
import { type RedisNodes, redisCli, redisNodes } from './support/redis-nodes.ts';

const namespace = namespaceOf('contract-cluster');
let nodes: RedisNodes;
let redis: RedisClient;

beforeAll(async () => {
  nodes = await redisNodes(3);
  await nodes.start();
  redisCli(nodes.ports[0]!, ['--cluster', 'create', ...nodes.addresses, '--cluster-yes']);
  await nodes.whole();
  redis = await openRedis({ url: `redis+cluster://${nodes.addresses.join(',')}`, autoPipelining: true });
});

afterAll(async () => {
  redis?.disconnect();
  await nodes?.close();
});

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
      all.map((partition) => ({
        watermarkMs: 3_600_000 + partition,
        isReading: false,
        cells: [['DE||', [partition, 1]]],
      })),
    );
  });

  test('while its slot moves to another server nothing of a commit is written; then all of it', async () => {
    const [id] = partitions;
    const keys = partitionKeys(namespaceOf('contract-moving'), id!);
    const slot = redisCli(nodes.ports[0]!, ['cluster', 'keyslot', keys.head]);
    const from = nodes.ports[Math.floor((Number(slot) * 3) / 16_384)]!;
    const to = nodes.ports.find((port) => port !== from)!;
    const idOf = (port: number) => redisCli(port, ['cluster', 'myid']);
    await redis.hset(keys.head, 'nonce', 'n', 'seq', 4);
    await redis.set(keys.buyer('u:1'), 'before');
    const head = { ...emptyHead(), nonce: 'n', seq: 4 };
    const commit = () => {
      const commands = new CommandList();
      commands.add('MSET', keys.buyer('u:1'), 'after');
      commands.add('HSET', keys.outbox, 5, 'a batch');
      commands.add('HSET', keys.head, 'seq', 5);
      return runFenced(redis, keys, head, commands.bytes());
    };
    const states = () => Promise.all([redis.get(keys.buyer('u:1')), redis.hget(keys.head, 'seq')]);
    redisCli(to, ['cluster', 'setslot', slot, 'importing', idOf(from)]);
    redisCli(from, ['cluster', 'setslot', slot, 'migrating', idOf(to)]);
    await expect(commit()).rejects.toThrow();
    expect(await states()).toEqual(['before', '4']);
    // The head has moved, the others have not.
    redisCli(from, ['migrate', '127.0.0.1', String(to), keys.head, '0', '1000']);
    await expect(commit()).rejects.toThrow();
    expect(redisCli(to, ['-c', 'exists', keys.outbox])).toBe('0');
    redisCli(from, ['migrate', '127.0.0.1', String(to), keys.buyer('u:1'), '0', '1000']);
    for (const port of nodes.ports) redisCli(port, ['cluster', 'setslot', slot, 'node', idOf(to)]);
    await vi.waitFor(async () => expect(await commit()).toBe('OK'), 15_000);
    expect(await states()).toEqual(['after', '5']);
  });

  test('no server has more than one of the twelve partitions of `events` beyond its share', async () => {
    const owners = partitions
      .filter(({ topic }) => topic === 'events')
      .map((id) =>
        Number(redisCli(nodes.ports[0]!, ['cluster', 'keyslot', tagOf(namespaceOf('default'), id)])),
      )
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
