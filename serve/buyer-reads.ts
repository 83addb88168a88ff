// Reads of buyers: those that are asked for in one turn of the event loop go as one `MGET` in one trip. As commands of their
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

/** A partition's watermark as its head has it; 0 if it never had a record. */
export function watermarkOf(field: string | null | undefined): number {
  return field === null || field === undefined || field === '' ? 0 : Number(field);
}

/** @returns what reads one buyer; it rejects as the client does. */
export function createBuyerReads(
  redis: RedisClient,
  keysOf: (partition: number) => PartitionKeys,
): (asked: BuyerAsked) => Promise<BuyerFound> {
  const namesOf = (asked: readonly BuyerAsked[]): string[] =>
    asked.map(({ key, partition }) => keysOf(partition).buyer(key));

  /**
   * The states alone. No pipeline of the client's is in it, which the method of that name would make: each is an object of a
   * shape of its own, which only a major collection takes away (docs/decisions/speed.md).
   */
  async function readStates(asked: readonly BuyerAsked[]): Promise<BuyerFound[]> {
    const states = (await redis.sendCommand(new Command('mget', namesOf(asked)))) as (Buffer | null)[];
    return states.map((bytes) => ({ bytes, watermarkMs: 0 }));
  }

  async function readTrip(asked: readonly BuyerAsked[]): Promise<BuyerFound[]> {
    const partitions = new Set<number>();
    for (const { partition, withWatermark } of asked) if (withWatermark) partitions.add(partition);
    if (partitions.size === 0) return readStates(asked);
    const trip = redis.pipeline();
    // The states first: a commit between the two then leaves a watermark that is not below the state.
    trip.mgetBuffer(namesOf(asked));
    for (const partition of partitions) trip.hget(keysOf(partition).head, 'watermark');
    const [states, ...heads] = (await trip.exec())!.map(([error, reply]) => {
      if (error !== null) throw error;
      return reply;
    });
    const watermarks = new Map<number, number>();
    [...partitions].forEach((partition, index) => {
      watermarks.set(partition, watermarkOf(heads[index] as string | null));
    });
    return asked.map(({ partition, withWatermark }, index) => ({
      bytes: (states as (Buffer | null)[])[index]!,
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
