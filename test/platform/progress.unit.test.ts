// Drained means drained: while one partition's outbox feeds another, in whatever order things happen during a look, what is
// on its way is never overlooked.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TopicAdmin } from '../../platform/kafka-topics.ts';
import { type PartitionId, partitionKeys } from '../../platform/keys.ts';
import { namespaceOf, topicPartitions } from '../../platform/namespace.ts';
import { isDrained, readProgress, waitUntilDrained } from '../../platform/progress.ts';
import type { RedisClient } from '../../platform/redis.ts';

const namespace = namespaceOf('drain');
const GENERATION = 1;
const stateful = ['events', 'spend', 'rejected'] as const;
const VERSION_STEP = 4_194_304n;

interface Partition {
  /** Of each record in the log: to which partitions of `events` it sends one, and what they send on. */
  readonly log: Step[];
  offset: number;
  /** Committed, by seq; each names what it sends. */
  readonly outbox: Step[][];
}

/** A record that sends others: hops to other partitions. */
interface Step {
  readonly to: number;
  readonly next: Step | null;
}

/** A stream in small: partitions apply what their logs hold and send, behind the commit, what comes of it. */
function worldOf(first: readonly Step[]) {
  const partitions = Array.from(
    { length: topicPartitions.events },
    (): Partition => ({ log: [], offset: 0, outbox: [] }),
  );
  const append = (step: Step): void => void partitions[step.to]!.log.push(step);
  first.forEach(append);
  return {
    partitions,
    isAtRest: () =>
      partitions.every(({ log, offset, outbox }) => offset === log.length && outbox.length === 0),
    /** One commit or one delivery of one of those partitions that have something to do. */
    move(choice: number, deliver: boolean): void {
      const busy = partitions.filter(({ log, offset, outbox }) => offset < log.length || outbox.length > 0);
      const partition = busy[choice % Math.max(1, busy.length)];
      if (partition === undefined) return;
      const { log, outbox } = partition;
      if (outbox.length > 0 && (deliver || partition.offset === log.length)) outbox.shift()!.forEach(append);
      else {
        const { next } = log[partition.offset]!;
        partition.offset += 1;
        if (next !== null) outbox.push([next]);
      }
    },
  };
}
type World = ReturnType<typeof worldOf>;

/** Redis and Kafka as the world has them; the world goes on before each answer. */
function partsOf(world: World, goOn: () => void) {
  const eventsOf = new Map(
    world.partitions.map((partition, index) => {
      const id: PartitionId = { topic: 'events', generation: GENERATION, partition: index };
      return [partitionKeys(namespace, id), partition] as const;
    }),
  );
  const byKey = (name: 'head' | 'outbox', key: string): Partition | undefined =>
    [...eventsOf].find(([keys]) => keys[name] === key)?.[1];
  const redis = {
    hset: async () => 1,
    hsetnx: async () => 1,
    hget: async (_key: string, topic: string) => `${GENERATION}:id-of-${topic}:${partitionCount(topic)}`,
    hmget: async (key: string) => {
      goOn();
      const offset = byKey('head', key)?.offset ?? 0;
      return [String(offset), '0', (BigInt(offset) * VERSION_STEP).toString()];
    },
    hlen: async (key: string) => {
      goOn();
      return byKey('outbox', key)?.outbox.length ?? 0;
    },
  };
  const admin = {
    describe: async (names: readonly string[]) =>
      names.map((topic) => ({ topic, id: `id-of-${topic}`, partitions: partitionCount(topic) })),
    watermarks: async (topic: string) => {
      goOn();
      return Array.from({ length: partitionCount(topic) }, (_, index) => ({
        low: 0,
        high: topic === namespace.topics.events ? world.partitions[index]!.log.length : 0,
      }));
    },
  };
  return { redis: redis as unknown as RedisClient, admin: admin as unknown as TopicAdmin };
}

function partitionCount(topic: string): number {
  return topicPartitions[stateful.find((name) => namespace.topics[name] === topic)!];
}

/** Records that pass through these partitions, one after the other. */
const chain = fc
  .array(fc.nat({ max: topicPartitions.events - 1 }), { minLength: 2, maxLength: 5 })
  .map((hops) => hops.reduceRight<Step | null>((next, to) => ({ to, next }), null)!);
/** Before which answer of the parts the world does something: two looks have a hundred answers. */
const moves = fc.array(fc.tuple(fc.nat({ max: 99 }), fc.nat({ max: 11 }), fc.boolean()), {
  minLength: 8,
  maxLength: 24,
});

describe('a look at the progress', () => {
  it('never says drained while a record is on its way to another partition', async () => {
    let drainedLooks = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(chain, { minLength: 1, maxLength: 2 }), moves, async (first, all) => {
        const world = worldOf(first);
        let answers = 0;
        const { redis, admin } = partsOf(world, () => {
          for (const [at, choice, deliver] of all) if (at === answers) world.move(choice, deliver);
          answers += 1;
        });
        for (let look = 0; look < 3; look += 1) {
          const drained = isDrained(await readProgress(namespace, redis, admin));
          if (!drained) continue;
          drainedLooks += 1;
          // At rest nothing moves by itself: had anything been on its way during the look, it would be somewhere now.
          expect(world.isAtRest()).toBe(true);
        }
      }),
      { numRuns: 2_000, seed: 20_261_125 },
    );
    expect(drainedLooks).toBeGreaterThan(20);
  });

  it('sees a record that leaves an outbox after its end was read, and one whose receiver has not applied it', async () => {
    const hop: Step = { to: 0, next: { to: 1, next: null } };
    const world = worldOf([hop]);
    const { redis, admin } = partsOf(world, () => {});
    const drained = async (): Promise<boolean> => isDrained(await readProgress(namespace, redis, admin));
    expect(await drained()).toBe(false);
    world.move(0, false);
    expect(await drained()).toBe(false);
    world.move(0, true);
    expect(await drained()).toBe(false);
    world.move(1, false);
    expect(await drained()).toBe(true);
  });

  it('waits as long as it may', async () => {
    const world = worldOf([{ to: 3, next: null }]);
    const { redis, admin } = partsOf(world, () => {});
    const look = () => readProgress(namespace, redis, admin);
    expect(await waitUntilDrained(look, 1)).toBe(false);
    world.move(3, false);
    expect(await waitUntilDrained(look, 1)).toBe(true);
  });
});
