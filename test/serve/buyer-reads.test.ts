// Reads of buyers in one trip: each gets its own answer, the state and the watermark beside it as they are in one moment.
import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, inject, it, vi } from 'vitest';
import { partitionKeys } from '../../platform/keys.ts';
import { namespaceOf } from '../../platform/namespace.ts';
import { openRedis, type RedisClient } from '../../platform/redis.ts';
import { type BuyerAsked, createBuyerReads } from '../../serve/buyer-reads.ts';

const namespace = namespaceOf(`buyer-reads-${randomUUID().slice(0, 8)}`);
const keysOf = (partition: number) => partitionKeys(namespace, { topic: 'events', generation: 1, partition });
const asked = (key: string, partition: number, withWatermark = true): BuyerAsked => ({
  key,
  partition,
  withWatermark,
});
const url = inject('redisUrl');
let redis: RedisClient;

beforeAll(async () => {
  redis = await openRedis({ url });
});
afterAll(() => redis?.disconnect());

it('answers each with its own state and the watermark of its partition, if that was asked for', async () => {
  for (const partition of [0, 1]) {
    await redis.set(keysOf(partition).buyer('u:same'), `state ${partition}`);
    await redis.hset(keysOf(partition).head, 'watermark', 1_000 + partition);
  }
  const read = createBuyerReads(redis, keysOf);
  const found = await Promise.all([
    read(asked('u:same', 1)),
    read(asked('u:same', 0)),
    read(asked('u:nobody', 0)),
    read(asked('u:same', 0, false)),
    read(asked('u:same', 1)),
    read(asked('u:nobody', 7)),
  ]);
  expect(found.map(({ bytes, watermarkMs }) => [bytes?.toString() ?? null, watermarkMs])).toEqual([
    ['state 1', 1_001],
    ['state 0', 1_000],
    [null, 1_000],
    ['state 0', 0],
    ['state 1', 1_001],
    [null, 0],
  ]);
});

it('reads states alone by one command, without a pipeline', async () => {
  const own = await openRedis({ url, autoPipelining: true });
  await own.set(keysOf(2).buyer('u:alone'), 'state');
  const pipelines = vi.spyOn(own, 'pipeline');
  const commands = vi.spyOn(own, 'sendCommand');
  try {
    const read = createBuyerReads(own, keysOf);
    const found = await Promise.all(['u:alone', 'u:nobody'].map((key) => read(asked(key, 2, false))));
    expect(found.map(({ bytes }) => bytes?.toString())).toEqual(['state', undefined]);
    expect(pipelines).not.toHaveBeenCalled();
    expect(commands.mock.calls.map(([{ name }]) => name)).toEqual(['mget']);
  } finally {
    own.disconnect();
  }
});

it('asks once for all that one turn wants, also for those that come while others are under way', async () => {
  const own = await openRedis({ url, autoPipelining: true });
  const pipelines = vi.spyOn(own, 'pipeline');
  const commands = vi.spyOn(own, 'sendCommand');
  try {
    const read = createBuyerReads(own, keysOf);
    const turn = (name: string) =>
      Promise.all(Array.from({ length: 50 }, (_, at) => read(asked(`u:${name}${at}`, at % 12))));
    await Promise.all([turn('a'), turn('b')]);
    expect(commands.mock.calls.map(([{ name }]) => name)).toEqual(['eval_ro']);
    await turn('c');
    expect(commands.mock.calls.map(([{ name }]) => name)).toEqual(['eval_ro', 'eval_ro']);
    expect(pipelines).not.toHaveBeenCalled();
  } finally {
    own.disconnect();
  }
});

it('reads as many as one trip may have, of as many partitions', async () => {
  const all = Array.from({ length: 1_000 }, (_, at) => at);
  await Promise.all(all.map((at) => redis.hset(keysOf(at).head, 'watermark', at + 1)));
  await redis.set(keysOf(999).buyer('u:last'), 'state');
  const read = createBuyerReads(redis, keysOf);
  const found = await Promise.all(all.map((at) => read(asked('u:last', at))));
  expect(found.map(({ watermarkMs }) => watermarkMs)).toEqual(all.map((at) => at + 1));
  expect(found.filter(({ bytes }) => bytes !== null).length).toBe(1);
  expect(found.at(-1)!.bytes!.toString()).toBe('state');
});

it('reads states and watermarks in one step, so that no commit is between them', async () => {
  const seen: string[] = [];
  const monitor = await (redis as Redis).monitor();
  monitor.on('monitor', (_time: string, [command, key]: string[], source: string) => {
    if (key?.includes(namespace.name)) seen.push(`${source} ${command!.toLowerCase()}`);
  });
  const read = createBuyerReads(redis, keysOf);
  await Promise.all([read(asked('u:1', 3)), read(asked('u:2', 4)), read(asked('u:3', 3))]);
  await vi.waitFor(() => expect(seen).toEqual(['lua mget', 'lua hget', 'lua hget']));
  monitor.disconnect();
});

it('a failure is everyone’s of that trip, and the next one is asked anew', async () => {
  const own = await openRedis({ url });
  try {
    const read = createBuyerReads(own, keysOf);
    await own.set(keysOf(5).head, 'not a hash');
    const ends = await Promise.allSettled([read(asked('u:1', 5)), read(asked('u:1', 6))]);
    expect(ends.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(String((ends[0] as PromiseRejectedResult).reason)).toContain('WRONGTYPE');
    await own.del(keysOf(5).head);
    expect(await read(asked('u:1', 5))).toEqual({ bytes: null, watermarkMs: 0 });
  } finally {
    own.disconnect();
  }
});
