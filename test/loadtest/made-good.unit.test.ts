// What is made good is made good wholly: also the batches that the log came to after the first look.
import { describe, expect, it } from 'vitest';
import type { Arena } from '../../loadtest/faults/arena/arena.ts';
import { recoveredIn, untilMadeGood } from '../../loadtest/faults/arena/progress.ts';
import { partitionKeys } from '../../platform/keys.ts';
import { namespaceOf, topicPartitions } from '../../platform/namespace.ts';

const TIMEOUT_MS = 300;

interface Partition {
  offset: number;
  high: number;
  seqs: string[];
}

/** Partition 0 of `events` as `first` looks on; all others are empty. Each look at it is followed by `next`. */
function arenaOf(first: Partition, next: (looked: 'head' | 'outbox') => void): Arena {
  const namespace = namespaceOf('made-good');
  const keys = partitionKeys(namespace, { topic: 'events', generation: 1, partition: 0 });
  const isFirst = (key: string): boolean => key === keys.head || key === keys.outbox;
  const partitions = new Map(
    Object.entries(namespace.topics).map(([name, topic]) => [
      topic,
      topicPartitions[name as keyof typeof topicPartitions],
    ]),
  );
  const redis = {
    hmget: async (key: string, ...fields: string[]) => {
      const values = fields.map((field) =>
        field === 'offset' && isFirst(key) ? String(first.offset) : null,
      );
      if (isFirst(key)) next('head');
      return values;
    },
    hlen: async (key: string) => (isFirst(key) ? first.seqs.length : 0),
    hkeys: async (key: string) => {
      if (!isFirst(key)) return [];
      const seqs = [...first.seqs];
      next('outbox');
      return seqs;
    },
    hget: async (_key: string, topic: string) => `1:${topic}:${partitions.get(topic)}`,
    hsetnx: async () => 0,
  };
  const admin = {
    describe: async (topics: string[]) =>
      topics.map((topic) => ({ topic, id: topic, partitions: partitions.get(topic)! })),
    watermarks: async (topic: string) =>
      Array.from({ length: partitions.get(topic)! }, (_, partition) => ({
        low: 0,
        high: topic === namespace.topics.events && partition === 0 ? first.high : 0,
      })),
  };
  return { namespace, redis, admin } as unknown as Arena;
}

describe('untilMadeGood', () => {
  it('waits for the batch that what was in the log became', async () => {
    const partition = { offset: 5, high: 9, seqs: ['1'] };
    let looks = 0;
    const arena = arenaOf(partition, (looked) => {
      if (looked === 'head') looks += 1;
      // Applied while it waits: what was owed at first is delivered, what the log came to is not.
      if (looks === 2) Object.assign(partition, { offset: 9, seqs: ['2'] });
    });
    await expect(untilMadeGood(arena, TIMEOUT_MS)).rejects.toThrow('what was in the outboxes is delivered');
  });

  it('does not wait for what comes after', async () => {
    const partition = { offset: 9, high: 9, seqs: ['1'] };
    let seq = 1;
    const arena = arenaOf(partition, (looked) => {
      if (looked !== 'outbox') return;
      seq += 1;
      partition.seqs = [String(seq)];
    });
    await untilMadeGood(arena, TIMEOUT_MS);
  });

  it('is counted from when what was done was over', async () => {
    const arena = arenaOf({ offset: 9, high: 9, seqs: [] }, () => {});
    expect(await recoveredIn(arena, TIMEOUT_MS, performance.now() - 50_000)).toBeGreaterThanOrEqual(50);
  });
});
