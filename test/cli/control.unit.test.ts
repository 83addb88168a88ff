// What `pause`, `resume` and `rewind` say, with an owner that heeds what stands in Redis at its next look.
import { expect, it, onTestFinished, vi } from 'vitest';
import { type Place, pause, resume, rewind } from '../../cli/control.ts';
import type { TopicAdmin } from '../../platform/kafka-topics.ts';
import { partitionKeys } from '../../platform/keys.ts';
import { namespaceOf, topicPartitions } from '../../platform/namespace.ts';
import type { RedisClient } from '../../platform/redis.ts';
import { UNDELIVERED_MS_MAX } from '../../platform/undelivered.ts';

const namespace = namespaceOf('control');
const names = Object.keys(topicPartitions) as (keyof typeof topicPartitions)[];
const partitionsOf = (topic: string): number =>
  topicPartitions[names.find((name) => namespace.topics[name] === topic)!];
const keys = partitionKeys(namespace, { topic: 'events', generation: 1, partition: 3 });

/** @param control what was asked of the partition before; @param head what else its owner says of it */
function placeOf(control: Record<string, string>, head: Record<string, string> = {}) {
  /** The owner takes up what stands there before each answer about the head. */
  const headNow = (): Record<string, string> => {
    delete control.rewind;
    const paused = control.paused === '1' || control.hold !== undefined ? '1' : '0';
    return { offset: '7', stamp: String(Date.now()), owner: '0@host:1', paused, ...head };
  };
  const redis = {
    hgetall: async () => {
      const { ...asked } = control;
      headNow();
      return asked;
    },
    hset: async (_key: string, ...pairs: string[]) => {
      for (let at = 0; at < pairs.length; at += 2) control[pairs[at]!] = pairs[at + 1]!;
    },
    hdel: async (_key: string, ...fields: string[]) => {
      for (const field of fields) delete control[field];
    },
    hmget: async (key: string, ...fields: string[]) =>
      fields.map((field) => (key === keys.head ? (headNow()[field] ?? null) : null)),
    hget: async (key: string, field: string) =>
      key === keys.head ? (headNow()[field] ?? null) : `1:id:${partitionsOf(field)}`,
    hlen: async () => 0,
  };
  const admin = {
    describe: async (topics: readonly string[]) =>
      topics.map((topic) => ({ topic, id: 'id', partitions: partitionsOf(topic) })),
    watermarks: async (topic: string) =>
      Array.from({ length: partitionsOf(topic) }, () => ({ low: 0, high: 9 })),
  };
  return {
    namespace,
    keys,
    redis: redis as unknown as RedisClient,
    admin: admin as unknown as TopicAdmin,
    ...({ topic: 'events', partition: 3 } as const),
  } satisfies Place;
}

// ClickHouse is away: that is when one pauses, and the partition is `undelivered` whether it is paused or not.
it('pause says that a partition is paused, though batches of it wait too long', async () => {
  const owedSince = String(Date.now() - 2 * UNDELIVERED_MS_MAX);
  const place = placeOf({}, { owed: '12', owedSince });
  expect(await pause(place)).toBe('paused at offset 7; its log ends at 9');
});

it('resume says that a partition goes on', async () => {
  expect(await resume(placeOf({ paused: '1' }))).toBe('goes on at offset 7, 2 records behind');
});

// The owner was gone before it was paused: what it last said is that it went on.
it('resume does not say so where nobody owns the partition', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const said = resume(placeOf({ paused: '1' }, { stamp: '0', paused: '0' }));
  await vi.advanceTimersByTimeAsync(20_000);
  expect(await said).toBe('to go on: no owner has taken it up yet; the next one will');
});

it('rewind ends a hold that an earlier one asked for, or moves it', async () => {
  const control: Record<string, string> = { hold: '4' };
  expect(await rewind(placeOf(control), { to: '0' })).toMatch(/^begins again at offset 0 .* anew$/);
  expect(control).toEqual({});
  expect(await rewind(placeOf(control), { to: '5', hold: true })).toContain('stays at 5 until it is resumed');
  expect(control).toEqual({ hold: '5' });
});

it('rewind says that a paused partition stands still until it is resumed', async () => {
  const said = await rewind(placeOf({ paused: '1' }), { to: '0' });
  expect(said).toContain('but it is still paused: flywheel resume events 3');
});
