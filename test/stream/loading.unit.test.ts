// What stays in memory between two batches, by count and by what it is as it is stored, and in which maps.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { newBuyer } from '../../domain/buyer.ts';
import { arrange } from '../../domain/in-force.ts';
import { encodeBuyer } from '../../platform/buyer-codec.ts';
import { partitionKeys } from '../../platform/keys.ts';
import { namespaceOf } from '../../platform/namespace.ts';
import type { RedisClient } from '../../platform/redis.ts';
import type { Decoded } from '../../stream/decode.ts';
import { createLoader } from '../../stream/loading.ts';
import { emptyHead } from '../../stream/state.ts';
import { createTimerQueue, type Timer } from '../../stream/timers.ts';
import { createWaitingTriggers } from '../../stream/triggers.ts';
import { createWindows } from '../../stream/windows.ts';
import { createWork } from '../../stream/work.ts';
import { noCounters } from './support/no-counters.ts';

const id = { topic: 'events', generation: 1, partition: 0 } as const;
const SMALL = 1;
const LARGE = 200;

/** Buyers of so many remembered ids each. */
function stored(ids: number): Buffer {
  return encodeBuyer({ ...newBuyer('u:any'), ids: Array.from({ length: 2 * ids }, (_, index) => index) });
}

/** A loader over a Redis of these buyers and timers; `asked` are the keys of each command. */
function loaderOf(sizes: Readonly<Record<string, number>>, timers: readonly Timer[] = []) {
  const keys = partitionKeys(namespaceOf('loading'), id);
  const blobs = new Map(Object.entries(sizes).map(([key, ids]) => [keys.buyer(key), stored(ids)]));
  const asked: string[][] = [];
  const redis = {
    zrange: async () => timers.flatMap(({ key, dueMs }) => [key, String(dueMs)]),
    mgetBuffer: async (names: string[]) => {
      asked.push(names.map((name) => name.slice(keys.buyer('').length)));
      return names.map((name) => blobs.get(name) ?? null);
    },
  } as unknown as RedisClient;
  const work = createWork({
    id,
    head: { ...emptyHead(), nonce: 'n', seq: 0 },
    inForce: { kept: [], definitions: arrange([]) },
    windows: createWindows(),
    triggers: createWaitingTriggers(),
    counters: noCounters,
  });
  return { work, loader: createLoader(work, redis, keys), asked };
}

const record = (key: string, timeMs = 0) => ({ kind: 'segment', key, timeMs }) as unknown as Decoded;

async function loaded(sizes: Readonly<Record<string, number>>) {
  const { work, loader } = loaderOf(sizes);
  loader.begin();
  for (const key of Object.keys(sizes)) await loader.load([record(key)], createTimerQueue([]));
  return { work, loader };
}

describe('keep', () => {
  it('lets the buyers go that came longest ago, until few enough are left', async () => {
    const { work, loader } = await loaded({ 'u:1': SMALL, 'u:2': SMALL, 'u:3': SMALL });
    loader.keep(2, Number.POSITIVE_INFINITY);
    expect([...work.states.keys()]).toEqual(['u:2', 'u:3']);
    expect(work.states.bytes).toBe(2 * stored(SMALL).length);
  });

  it('or until they are small enough together, however few that are', async () => {
    const { work, loader } = await loaded({ 'u:1': LARGE, 'u:2': LARGE, 'u:3': SMALL });
    loader.keep(100, stored(LARGE).length + stored(SMALL).length);
    expect([...work.states.keys()]).toEqual(['u:2', 'u:3']);
    loader.keep(100, stored(SMALL).length);
    expect([...work.states.keys()]).toEqual(['u:3']);
  });
});

describe('fetch', () => {
  async function fetched(keys: readonly (string | null)[], timers: readonly Timer[] = []) {
    const own = loaderOf({ 'u:1': SMALL, 'u:2': SMALL, 'u:3': SMALL }, timers);
    const queue = createTimerQueue([]);
    own.loader.begin();
    await own.loader.fetch(keys, queue);
    own.loader.renewMaps();
    return { ...own, queue };
  }

  it('asks once for what the records will need, stored or not, and makes no objects of it', async () => {
    const { work, loader, asked, queue } = await fetched(['u:1', 'u:9', 'u:1', null, 'u:2']);
    expect(asked).toEqual([['u:1', 'u:9', 'u:2']]);
    expect(work.states.size).toBe(0);
    await loader.load([record('u:1'), record('u:9')], queue);
    await loader.load([record('u:2'), record('u:9')], queue);
    expect([...work.states.keys()]).toEqual(['u:1', 'u:2']);
    expect(work.states.bytes).toBe(2 * stored(SMALL).length);
    // A buyer of whom nothing is stored is in memory once its first record is folded.
    expect(asked.slice(1)).toEqual([['u:9']]);
  });

  it('leaves to load what a key did not say', async () => {
    const { work, loader, asked, queue } = await fetched(['nobody', 'u:2']);
    await loader.load([record('u:2'), record('u:3')], queue);
    expect(asked).toEqual([['nobody', 'u:2'], ['u:3']]);
    expect([...work.states.keys()]).toEqual(['u:2', 'u:3']);
  });

  it('asks for what is in memory no more', async () => {
    const { work, loader, queue, asked } = await fetched(['u:1']);
    await loader.load([record('u:1')], queue);
    const known = work.states.get('u:1');
    loader.begin();
    await loader.fetch(['u:1', 'u:2'], createTimerQueue([]));
    loader.renewMaps();
    await loader.load([record('u:1')], queue);
    expect(asked).toEqual([['u:1'], ['u:2']]);
    expect(work.states.get('u:1')).toBe(known);
  });

  it('brings as many timers’ buyers as there are records, and the others when they fall due', async () => {
    const timers = ['u:1', 'u:2', 'u:3'].map((key, index) => ({ key, dueMs: 10 * (index + 1) }));
    const { work, loader, queue, asked } = await fetched(['u:8', 'u:9'], timers);
    expect(asked).toEqual([['u:8', 'u:9', 'u:1', 'u:2']]);
    expect(queue.earliestMs()).toBe(10);
    await loader.load([record('u:9', 25)], queue);
    expect([...work.states.keys()]).toEqual(['u:1', 'u:2']);
    expect(asked).toHaveLength(1);
    await loader.load([record('u:8', 30)], queue);
    expect([...work.states.keys()]).toEqual(['u:1', 'u:2', 'u:3']);
    expect(asked.slice(1)).toEqual([['u:3']]);
  });

  it('cuts what it asks for, so that Redis can answer others in between', async () => {
    const keys = Array.from({ length: 1_201 }, (_, index) => `u:${index}`);
    const { asked } = await fetched(keys);
    expect(asked.map((names) => names.length)).toEqual([500, 500, 201]);
    expect(asked.flat()).toEqual(keys);
  });

  it('is forgotten with its batch', async () => {
    const { loader, asked, queue } = await fetched(['u:1']);
    loader.begin();
    await loader.load([record('u:1')], queue);
    expect(asked).toEqual([['u:1'], ['u:1']]);
  });
});

describe('renewMaps', () => {
  setFlagsFromString('--expose-gc');
  setFlagsFromString('--allow-natives-syntax');
  const collect = runInNewContext('gc') as (options: { type: 'minor' }) => void;
  const isYoung = new Function('each', 'return %InYoungGeneration(each)') as (each: object) => boolean;

  it('puts a batch’s states into young maps, whose tables keep nothing once they are dead', async () => {
    const { work, loader } = await loaded({ 'u:1': SMALL, 'u:2': SMALL, 'u:3': SMALL });
    loader.keep(2, Number.POSITIVE_INFINITY);
    const entries = () => [...work.states.keys()].map((key) => [key, work.states.get(key)]);
    const kept = entries();
    for (let turn = 0; turn < 3; turn += 1) collect({ type: 'minor' });
    expect([work.states, work.changed].map(isYoung)).toEqual([false, false]);
    loader.renewMaps();
    expect([work.states, work.changed].map(isYoung)).toEqual([true, true]);
    expect(entries()).toEqual(kept);
    expect(work.states.bytes).toBe(2 * stored(SMALL).length);
  });
});
