// Whose turn it is, by a real Redis: it ends when another has taken it, and not because the key is gone.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, inject, it, vi } from 'vitest';
import { runForLeadership } from '../../jobs/leadership.ts';
import { openRedis, type RedisClient } from '../../platform/redis.ts';

let redis: RedisClient;
beforeAll(async () => {
  redis = await openRedis({ url: inject('redisUrl') });
});
afterAll(() => redis.disconnect());

function candidate(key: string, endsAfterMs = 0) {
  const stopping = new AbortController();
  const turns: AbortSignal[] = [];
  const running = runForLeadership(
    { redis, key, token: randomUUID(), signal: stopping.signal, onWarning: () => {} },
    (signal) => {
      turns.push(signal);
      return new Promise((resolve) => {
        for (const each of [signal, stopping.signal])
          each.addEventListener('abort', () => setTimeout(resolve, endsAfterMs));
      });
    },
  );
  return {
    turns,
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

it('goes on where its key has expired and nobody took it', async () => {
  const key = `leadership-${randomUUID()}`;
  const one = candidate(key);
  await vi.waitFor(() => expect(one.turns).toHaveLength(1), 5_000);
  await redis.del(key);
  await vi.waitFor(async () => expect(await redis.exists(key)).toBe(1), 5_000);
  expect([one.turns.length, one.turns[0]!.aborted]).toEqual([1, false]);
  await one.stop();
  expect(await redis.exists(key)).toBe(0);
});

it('ends when another has it, and comes again when that one has given it back', async () => {
  const key = `leadership-${randomUUID()}`;
  const one = candidate(key);
  await vi.waitFor(() => expect(one.turns).toHaveLength(1), 5_000);
  await redis.set(key, 'another', 'PX', 60_000);
  await vi.waitFor(() => expect(one.turns[0]!.aborted).toBe(true), 5_000);
  await redis.del(key);
  await vi.waitFor(() => expect(one.turns).toHaveLength(2), 5_000);
  await one.stop();
});

it('takes nothing any more while it ends, however long that takes', async () => {
  const key = `leadership-${randomUUID()}`;
  const one = candidate(key, 4_000);
  await vi.waitFor(() => expect(one.turns).toHaveLength(1), 5_000);
  await redis.set(key, 'another', 'PX', 60_000);
  await vi.waitFor(() => expect(one.turns[0]!.aborted).toBe(true), 5_000);
  await redis.del(key);
  // Two renewals later.
  await new Promise((resolve) => setTimeout(resolve, 3_300));
  expect([await redis.exists(key), one.turns.length]).toEqual([0, 1]);
  await one.stop();
});
