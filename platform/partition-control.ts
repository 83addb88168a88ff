// What an operator asks of one partition: to stand still, to go on, to begin again. It stands under the partition's tag in
// Redis, where its owner looks every second, whichever process that is, and it outlives all of them.
import { randomUUID } from 'node:crypto';
import type { PartitionKeys } from './keys.ts';
import type { RedisClient } from './redis.ts';

export interface PartitionControl {
  readonly paused: boolean;
  /** Stand still at this offset; null: nowhere. */
  readonly holdAt: number | null;
  /** Names a request to begin again that no owner has taken up; null: none. */
  readonly rewind: string | null;
}

export const noControl: PartitionControl = { paused: false, holdAt: null, rewind: null };

type Store = Pick<RedisClient, 'hgetall' | 'hset' | 'hdel'>;
type Keys = Pick<PartitionKeys, 'control'>;

export async function readControl(redis: Pick<Store, 'hgetall'>, keys: Keys): Promise<PartitionControl> {
  const { paused, hold, rewind } = await redis.hgetall(keys.control);
  return {
    paused: paused === '1',
    holdAt: hold === undefined ? null : Number(hold),
    rewind: rewind ?? null,
  };
}

/** Whether a partition that stands at this offset is to apply nothing. */
export function isHeld({ paused, holdAt }: PartitionControl, offset: number): boolean {
  return paused || (holdAt !== null && offset >= holdAt);
}

export async function pausePartition(redis: Store, keys: Keys): Promise<void> {
  await redis.hset(keys.control, 'paused', '1');
}

/** Ends a pause, and a hold that a rewind asked for. */
export async function resumePartition(redis: Store, keys: Keys): Promise<void> {
  await redis.hdel(keys.control, 'paused', 'hold');
}

/**
 * A hold that an earlier rewind asked for ends, a pause does not.
 * @param holdAt where the rebuilt partition is to stand still; null: nowhere
 */
export async function requestRewind(redis: Store, keys: Keys, holdAt: number | null): Promise<void> {
  const hold = holdAt === null ? [] : ['hold', String(holdAt)];
  await redis.hset(keys.control, 'rewind', randomUUID(), ...hold);
  // Last: without it first, a partition that is held would go on from where it stands.
  if (holdAt === null) await redis.hdel(keys.control, 'hold');
}
