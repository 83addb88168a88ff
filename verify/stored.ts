// Reads what Redis holds of one partition, as it stands: head, states, timers, windows, triggers, definitions.
import type { Redis } from 'ioredis';
import type { AccountState } from '../domain/account.ts';
import type { Buyer } from '../domain/buyer.ts';
import { decodeBuyer } from '../platform/buyer-codec.ts';
import { decodeAccount, unpack } from '../platform/codec.ts';
import { type PartitionId, type PartitionKeys, partitionKeys } from '../platform/keys.ts';
import type { Namespace } from '../platform/namespace.ts';
import type { RedisClient } from '../platform/redis.ts';
import type { StateNames } from './state-names.ts';

export interface StoredHead {
  readonly seq: number;
  readonly offset: number;
  readonly fired: number;
  readonly watermarkMs: number;
  readonly generation: number;
  /** The version at which all aggregates were in ClickHouse; '0' while some are not, '' if never said. */
  readonly flushed: string;
}

export interface StoredDefinition {
  readonly type: string;
  readonly id: string;
  readonly revision: number;
  readonly hash: string;
  readonly document: unknown;
}

export interface StoredPartition {
  readonly id: PartitionId;
  readonly head: StoredHead | undefined;
  readonly outboxEntries: number;
  readonly buyers: ReadonlyMap<string, Buyer>;
  readonly accounts: ReadonlyMap<string, AccountState>;
  readonly timers: ReadonlyMap<string, number>;
  /** Window name → cell → counts as they stand. */
  readonly windows: ReadonlyMap<string, Readonly<Record<string, string>>>;
  readonly triggers: ReadonlyMap<string, Readonly<Record<string, unknown>>>;
  readonly definitions: readonly StoredDefinition[];
  /** Source partition → the highest position of its derived records that was taken. */
  readonly received: ReadonlyMap<number, { readonly offset: number; readonly ordinal: number }>;
}

const KEYS_PER_READ_MAX = 1_000;
/** A partition whose owner commits while it is read is read again, so often. */
const READS_MAX = 20;

export async function readHead(redis: RedisClient, keys: PartitionKeys): Promise<StoredHead | undefined> {
  const fields = await redis.hgetall(keys.head);
  if (fields.offset === undefined) return undefined;
  return {
    seq: Number(fields.seq),
    offset: Number(fields.offset),
    fired: Number(fields.fired),
    watermarkMs: Number(fields.watermark),
    generation: Number(fields.generation),
    flushed: fields.flushed ?? '',
  };
}

/** Everything under one partition's tag, as of one commit. @throws Error if its owner never rests. */
export async function readStored(
  redis: RedisClient,
  namespace: Namespace,
  id: PartitionId,
  names: StateNames,
): Promise<StoredPartition> {
  const keys = partitionKeys(namespace, id);
  for (let attempt = 0; attempt < READS_MAX; attempt += 1) {
    const before = await readHead(redis, keys);
    const rest = await readRest(redis, keys, await names.of(id, before?.seq));
    const head = await readHead(redis, keys);
    if (head?.seq === before?.seq) return { id, head, ...rest };
  }
  throw new Error(
    `${id.topic} ${id.partition} changed during each of ${READS_MAX} readings: verify it when it rests`,
  );
}

async function readRest(
  redis: RedisClient,
  keys: PartitionKeys,
  names: readonly string[],
): Promise<Omit<StoredPartition, 'id' | 'head'>> {
  const windows = new Map<string, Record<string, string>>();
  for (const name of await redis.smembers(keys.windows))
    windows.set(name, await redis.hgetall(keys.window(name)));
  const triggers = Object.entries(await redis.hgetall(keys.triggers));
  const definitions = await redis.getBuffer(keys.definitions);
  return {
    outboxEntries: await redis.hlen(keys.outbox),
    buyers: await readStates(redis, names, keys.buyer(''), decodeBuyer),
    accounts: await readStates(redis, names, keys.account(''), (_id, blob) => decodeAccount(blob)),
    timers: await readTimers(redis, keys.timers),
    windows,
    triggers: new Map(triggers.map(([id, json]) => [id, JSON.parse(json) as Record<string, unknown>])),
    definitions: definitions === null ? [] : (unpack(definitions) as StoredDefinition[]),
    received: receivedIn((await redis.hget(keys.head, 'received')) ?? ''),
  };
}

/** `<partition>:<offset>:<ordinal>`, comma separated. */
function receivedIn(text: string): StoredPartition['received'] {
  const positions = text === '' ? [] : text.split(',').map((position) => position.split(':').map(Number));
  return new Map(
    positions.map(([partition, offset, ordinal]) => [partition!, { offset: offset!, ordinal: ordinal! }]),
  );
}

/** All states whose Redis key begins with `prefix`, by the rest of the key. */
async function readStates<State>(
  redis: RedisClient,
  names: readonly string[],
  prefix: string,
  decode: (key: string, blob: Buffer) => State,
): Promise<Map<string, State>> {
  const own = names.filter((name) => name.startsWith(prefix));
  const states = new Map<string, State>();
  for (let from = 0; from < own.length; from += KEYS_PER_READ_MAX) {
    const some = own.slice(from, from + KEYS_PER_READ_MAX);
    const blobs = await redis.mgetBuffer(some);
    blobs.forEach((blob, index) => {
      const key = some[index]!.slice(prefix.length);
      if (blob !== null) states.set(key, decode(key, blob));
    });
  }
  return states;
}

async function readTimers(redis: RedisClient, key: string): Promise<Map<string, number>> {
  const flat = await (redis as Redis).zrange(key, 0, '-1', 'WITHSCORES');
  const timers = new Map<string, number>();
  for (let index = 0; index < flat.length; index += 2) timers.set(flat[index]!, Number(flat[index + 1]));
  return timers;
}
