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
import { createTimerQueue } from '../../stream/timers.ts';
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

async function loaded(sizes: Readonly<Record<string, number>>) {
  const keys = partitionKeys(namespaceOf('loading'), id);
  const blobs = new Map(Object.entries(sizes).map(([key, ids]) => [keys.buyer(key), stored(ids)]));
  const redis = {
    zrange: async () => [],
    mgetBuffer: async (names: string[]) => names.map((name) => blobs.get(name) ?? null),
  } as unknown as RedisClient;
  const work = createWork({
    id,
    head: { ...emptyHead(), nonce: 'n', seq: 0 },
    inForce: { kept: [], definitions: arrange([]) },
    windows: createWindows(),
    triggers: createWaitingTriggers(),
    counters: noCounters,
  });
  const loader = createLoader(work, redis, keys);
  loader.begin();
  for (const key of Object.keys(sizes))
    await loader.load([{ kind: 'segment', key, timeMs: 0 } as unknown as Decoded], createTimerQueue([]));
  return { work, loader };
}

describe('keep', () => {
  it('lets the buyers go that came longest ago, until few enough are left', async () => {
    const { work, loader } = await loaded({ 'u:1': SMALL, 'u:2': SMALL, 'u:3': SMALL });
    loader.keep(2, Number.POSITIVE_INFINITY);
    expect([...work.states.keys()]).toEqual(['u:2', 'u:3']);
    expect(work.stateSizes.total).toBe(2 * stored(SMALL).length);
  });

  it('or until they are small enough together, however few that are', async () => {
    const { work, loader } = await loaded({ 'u:1': LARGE, 'u:2': LARGE, 'u:3': SMALL });
    loader.keep(100, stored(LARGE).length + stored(SMALL).length);
    expect([...work.states.keys()]).toEqual(['u:2', 'u:3']);
    loader.keep(100, stored(SMALL).length);
    expect([...work.states.keys()]).toEqual(['u:3']);
  });

  it('counts a state that was written again once, as it is now', async () => {
    const { work } = await loaded({ 'u:1': LARGE });
    work.stateSizes.set('u:1', 7);
    expect(work.stateSizes.total).toBe(7);
    work.stateSizes.delete('u:1');
    work.stateSizes.delete('u:1');
    expect(work.stateSizes.total).toBe(0);
  });
});

describe('begin', () => {
  setFlagsFromString('--expose-gc');
  setFlagsFromString('--allow-natives-syntax');
  const collect = runInNewContext('gc') as (options: { type: 'minor' }) => void;
  const isYoung = new Function('each', 'return %InYoungGeneration(each)') as (each: object) => boolean;

  it('puts a batch’s states into young maps, whose tables keep nothing once they are dead', async () => {
    const { work, loader } = await loaded({ 'u:1': SMALL, 'u:2': SMALL, 'u:3': SMALL });
    loader.keep(2, Number.POSITIVE_INFINITY);
    const kept = [...work.states];
    for (let turn = 0; turn < 3; turn += 1) collect({ type: 'minor' });
    expect([work.states, work.changed].map(isYoung)).toEqual([false, false]);
    loader.begin();
    expect([work.states, work.changed].map(isYoung)).toEqual([true, true]);
    expect([...work.states]).toEqual(kept);
    expect(work.stateSizes.total).toBe(2 * stored(SMALL).length);
  });
});
