// Reads what the stream keeps in Redis: a buyer's state lies where its key says, so `serve` finds it by itself.
// Nothing here writes.
import type { Cluster, Redis } from 'ioredis';
import type { AccountState } from '../domain/account.ts';
import type { Buyer } from '../domain/buyer.ts';
import { decodeBuyer } from '../platform/buyer-codec.ts';
import { decodeAccount } from '../platform/codec.ts';
import { accountPartition, buyerPartition, type PartitionKeys, partitionKeys } from '../platform/keys.ts';
import type { Namespace } from '../platform/namespace.ts';
import { createBuyerReads, watermarkOf } from './buyer-reads.ts';
import { retryProblem } from './problem-details.ts';

export interface StatePorts {
  readonly redis: Redis | Cluster;
  readonly namespace: Namespace;
  /** The generation in force of each topic that has state. */
  readonly generations: Readonly<Record<'events' | 'spend', number>>;
}

export interface BuyerReading {
  readonly key: string;
  readonly partition: number;
  /** The partition's watermark, 0 if it never had a record; never lower than what the state has seen. */
  readonly watermarkMs: number;
  /** Null if nothing is known. */
  readonly buyer: Buyer | null;
}

export interface AccountReading {
  readonly account: string;
  readonly partition: number;
  readonly watermarkMs: number;
  readonly state: AccountState | null;
}

export interface StateReader {
  readonly redis: Redis | Cluster;
  keysOf(topic: 'events' | 'spend', partition: number): PartitionKeys;
  buyer(key: string): Promise<BuyerReading>;
  /** The buyer; of a visitor who is linked the user that it is, once that has what the visitor was. A second trip for those. */
  person(key: string): Promise<BuyerReading>;
  /** What is known of a buyer, without the watermark that it is as of: half of a reading. Null if nothing is. */
  buyerState(key: string): Promise<Buyer | null>;
  account(id: string): Promise<AccountReading>;
}

const RETRY_SECONDS = 1;
/**
 * How long, by the visitor's watermark, a user who does not hold what a new link brings is taken to wait for it. Later it
 * has come, and may have become the user's own, which does not name the link any more.
 */
const HISTORY_WAIT_MS = 60_000;

/** The user is there before: an identify is written under it, and what the visitor was comes behind, by the link. */
function hasHistory({ buyer }: BuyerReading, linkId: string): boolean {
  return buyer?.parts.some(({ link }) => link === linkId) ?? false;
}

/** What Redis answers. @throws 503 if it does not */
export async function fromRedis<Answer>(answer: Promise<Answer>): Promise<Answer> {
  try {
    return await answer;
  } catch (cause) {
    const detail = 'Redis, which holds the state, did not answer.';
    throw Object.assign(retryProblem(503, 'state_unavailable', detail, RETRY_SECONDS), { cause });
  }
}

/** Keys of partitions are made once: they are asked for in every answer. */
export function createStateReader({ redis, namespace, generations }: StatePorts): StateReader {
  const known = new Map<string, PartitionKeys>();
  function keysOf(topic: 'events' | 'spend', partition: number): PartitionKeys {
    const name = `${topic}${partition}`;
    let keys = known.get(name);
    if (keys === undefined) {
      keys = partitionKeys(namespace, { topic, generation: generations[topic], partition });
      known.set(name, keys);
    }
    return keys;
  }
  const read = createBuyerReads(redis, (partition) => keysOf('events', partition));
  async function buyerOf(key: string, withWatermark: boolean): Promise<BuyerReading> {
    const partition = buyerPartition(key);
    const { bytes, watermarkMs } = await fromRedis(read({ key, partition, withWatermark }));
    return { key, partition, watermarkMs, buyer: bytes === null ? null : decodeBuyer(key, bytes) };
  }
  return {
    redis,
    keysOf,
    buyer: (key) => buyerOf(key, true),
    async person(key) {
      const own = await buyerOf(key, true);
      const link = own.buyer?.links?.current ?? null;
      if (link === null) return own;
      const person = await buyerOf(link.user, true);
      const mayBeOnItsWay = link.sinceMs > own.watermarkMs - HISTORY_WAIT_MS;
      return hasHistory(person, link.id) || (person.buyer !== null && !mayBeOnItsWay) ? person : own;
    },
    buyerState: async (key) => (await buyerOf(key, false)).buyer,
    async account(account) {
      const partition = accountPartition(account);
      const keys = keysOf('spend', partition);
      const [bytes, [watermark]] = await fromRedis(
        Promise.all([redis.getBuffer(keys.account(account)), redis.hmget(keys.head, 'watermark')]),
      );
      const state = bytes === null ? null : decodeAccount(bytes);
      return { account, partition, watermarkMs: watermarkOf(watermark), state };
    },
  };
}
