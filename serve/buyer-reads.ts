// Reads of buyers: those that are asked for in one turn of the event loop go as one command in one trip. As commands of their
// own, sent together, they cost the client a fifth of what a bid costs.
import DataLoader from 'dataloader';
import { Command } from 'ioredis';
import type { PartitionKeys } from '../platform/keys.ts';
import type { RedisClient } from '../platform/redis.ts';

/** Which buyer, and whether the watermark of its partition is wanted, too. */
export interface BuyerAsked {
  readonly key: string;
  readonly partition: number;
  readonly withWatermark: boolean;
}

export interface BuyerFound {
  /** The state as it is stored; null if nothing is known. */
  readonly bytes: Buffer | null;
  /** 0 if the partition never had a record, or it was not asked for. */
  readonly watermarkMs: number;
}

/** Buyers of one trip: Redis does nothing else while it looks them up. */
const BUYERS_MAX = 1_000;

/** KEYS: buyers, then heads; ARGV: how many buyers. Answers as many states, then watermarks, as they are in one moment. */
const READ = `
local buyers = tonumber(ARGV[1])
local found = redis.call('MGET', unpack(KEYS, 1, buyers))
for at = buyers + 1, #KEYS do found[at] = redis.call('HGET', KEYS[at], 'watermark') end
return found`;

/** A partition's watermark as its head has it; 0 if it never had a record. */
export function watermarkOf(field: Buffer | string | null | undefined): number {
  return field === null || field === undefined ? 0 : Number(field.toString());
}

/** @returns what reads one buyer; it rejects as the client does. */
export function createBuyerReads(
  redis: RedisClient,
  keysOf: (partition: number) => PartitionKeys,
): (asked: BuyerAsked) => Promise<BuyerFound> {
  /**
   * Sends one command. No pipeline of the client's is in it, which the methods that are named after commands would make: each is
   * an object of a shape of its own, which only a major collection takes away (docs/decisions/speed.md).
   */
  const send = (name: string, words: (string | number)[]) =>
    redis.sendCommand(new Command(name, words)) as Promise<(Buffer | null)[]>;

  async function readTrip(asked: readonly BuyerAsked[]): Promise<BuyerFound[]> {
    const names = asked.map(({ key, partition }) => keysOf(partition).buyer(key));
    const partitions = new Set<number>();
    for (const { partition, withWatermark } of asked) if (withWatermark) partitions.add(partition);
    if (partitions.size === 0) {
      return (await send('mget', names)).map((bytes) => ({ bytes, watermarkMs: 0 }));
    }
    const heads = [...partitions].map((partition) => keysOf(partition).head);
    const found = await send('eval_ro', [
      READ,
      names.length + heads.length,
      ...names,
      ...heads,
      names.length,
    ]);
    const watermarks = new Map<number, number>();
    let at = names.length;
    for (const partition of partitions) watermarks.set(partition, watermarkOf(found[at++]));
    return asked.map(({ partition, withWatermark }, index) => ({
      bytes: found[index]!,
      watermarkMs: withWatermark ? watermarks.get(partition)! : 0,
    }));
  }

  const trips = new Map<number, DataLoader<BuyerAsked, BuyerFound>>();
  /** All keys of a trip must lie on one server, in a cluster as those of one partition do. */
  function tripFor(partition: number): DataLoader<BuyerAsked, BuyerFound> {
    const server = redis.isCluster ? partition : 0;
    let trip = trips.get(server);
    if (trip === undefined) {
      trip = new DataLoader(readTrip, {
        cache: false,
        maxBatchSize: BUYERS_MAX,
        batchScheduleFn: (run) => setImmediate(run),
      });
      trips.set(server, trip);
    }
    return trip;
  }
  return (asked) => tripFor(asked.partition).load(asked);
}
