// A partition on its way has committed what is not in ClickHouse yet: that is waited for, or verify would find it missing.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { namespaceOf } from '../../platform/namespace.ts';
import type { RedisClient } from '../../platform/redis.ts';
import { untilDelivered } from '../../verify/snapshot.ts';
import type { StoredHead, StoredPartition } from '../../verify/stored.ts';

const VERSION_OF_SIX = String(6 * 4_194_304);

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A partition that was read with its batch 3 at offset 6; what its outbox and its head say at each look. */
function partition(looks: readonly { outbox: string[]; flushed: string }[], rested = false) {
  let asked = 0;
  const look = () => looks[Math.min(asked, looks.length - 1)]!;
  const redis = {
    hgetall: async () => ({ ...{ offset: '9', seq: '5', fired: '0' }, flushed: look().flushed }),
    async hkeys() {
      const { outbox } = look();
      asked += 1;
      return outbox;
    },
  } as unknown as RedisClient;
  const stored = {
    id: { topic: 'events', generation: 1, partition: 2 },
    head: { seq: 3, offset: 6, fired: 0 } as StoredHead,
  } as StoredPartition;
  const delivered = untilDelivered({ namespace: namespaceOf('x'), redis }, { rested, stored });
  return { delivered, asked: () => asked };
}

async function isOverWithin(delivered: Promise<void>, ms: number): Promise<boolean> {
  let isOver = false;
  void delivered.then(() => (isOver = true));
  await vi.advanceTimersByTimeAsync(ms);
  return isOver;
}

it('is waited for until no batch of then is owed and all counts of then are in; later batches are no matter', async () => {
  const { delivered, asked } = partition([
    { outbox: ['3', '4'], flushed: VERSION_OF_SIX },
    { outbox: ['4', '5'], flushed: '0' },
    { outbox: ['5'], flushed: VERSION_OF_SIX },
  ]);
  expect(await isOverWithin(delivered, 1_000)).toBe(true);
  expect(asked()).toBe(3);
});

it('is waited for only so long', async () => {
  const { delivered } = partition([{ outbox: ['3'], flushed: '0' }]);
  expect(await isOverWithin(delivered, 14_000)).toBe(false);
  expect(await isOverWithin(delivered, 2_000)).toBe(true);
});

it('is not asked for of one at rest', async () => {
  const { delivered, asked } = partition([{ outbox: ['3'], flushed: '0' }], true);
  await delivered;
  expect(asked()).toBe(0);
});
