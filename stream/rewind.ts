// Beginning again: a partition's state is cleared and its position set to the log's beginning, as one; then the log makes
// it anew. What the log makes is the same, at the same positions, so that ClickHouse and all receivers take it as repeats.
import { Cluster, type Redis } from 'ioredis';
import type { Failpoint } from '../platform/failpoint.ts';
import type { PartitionKeys } from '../platform/keys.ts';
import type { RedisClient } from '../platform/redis.ts';

/**
 * ARGV: nonce. Position and watermark go back in the very step that takes the request up. From then on, until `clearing`
 * is gone, nobody reads the states that are still there: who takes over in between goes on with clearing them.
 */
const BEGIN = `
if redis.call('HGET', KEYS[1], 'nonce') ~= ARGV[1] then return 'FENCED' end
redis.call('HSET', KEYS[1], 'offset', '0', 'fired', '0', 'ordinal', '0', 'watermark', '0', 'anchor', '', 'received', '', 'last', '', 'clearing', '1')
redis.call('HDEL', KEYS[1], 'flushed')
redis.call('HDEL', KEYS[2], 'rewind')
return 'OK'`;

/** Fenced too: an owner that was held up must not delete what its successor has written since. */
const CLEAR = `
if redis.call('HGET', KEYS[1], 'nonce') ~= ARGV[1] then return 'FENCED' end
redis.call('UNLINK', unpack(KEYS, 2))
return 'OK'`;

const CLEARED = `
if redis.call('HGET', KEYS[1], 'nonce') ~= ARGV[1] then return 'FENCED' end
redis.call('HDEL', KEYS[1], 'clearing')
return 'OK'`;

/** Also how many one script deletes at most: Redis does nothing else meanwhile. */
const SCAN_COUNT = 500;

async function fenced(
  redis: RedisClient,
  script: string,
  keys: readonly string[],
  nonce: string,
): Promise<void> {
  const reply = await redis.eval(script, keys.length, ...keys, nonce);
  if (reply !== 'OK') throw new Error('another owner has taken over while the partition was rewound');
}

/** Every key of the partition but its head and its control; in pieces, each perhaps with repeats. */
async function* statesOf(redis: RedisClient, keys: PartitionKeys): AsyncGenerator<string[]> {
  const tag = keys.head.slice(0, -'head'.length);
  // A tag's keys are on one node; asking all saves knowing which.
  const nodes: Redis[] = redis instanceof Cluster ? redis.nodes('master') : [redis];
  for (const node of nodes) {
    for await (const found of node.scanStream({ match: `${tag}*`, count: SCAN_COUNT })) {
      const names = (found as string[]).filter((name) => name !== keys.head && name !== keys.control);
      for (let at = 0; at < names.length; at += SCAN_COUNT) yield names.slice(at, at + SCAN_COUNT);
    }
  }
}

/** Takes the request up; what is cleared then is gone for whoever is killed on the way, too. @throws Error if fenced */
export async function beginRewind(redis: RedisClient, keys: PartitionKeys, nonce: string): Promise<void> {
  await fenced(redis, BEGIN, [keys.head, keys.control], nonce);
}

/** Goes on until nothing of the state before is left; behind each piece it passes `mid-rewind`. @throws Error if fenced */
export async function clearStates(
  redis: RedisClient,
  keys: PartitionKeys,
  nonce: string,
  failpoint: Failpoint,
): Promise<void> {
  for await (const names of statesOf(redis, keys)) {
    await fenced(redis, CLEAR, [keys.head, ...names], nonce);
    failpoint('mid-rewind', keys.head);
  }
  await fenced(redis, CLEARED, [keys.head], nonce);
}
