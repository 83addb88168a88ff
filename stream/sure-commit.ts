// A commit whose outcome is known: tried until Redis answers, read back when the answer was lost, and kept by as many
// replicas as are asked for before anything of it leaves.
import type { Redis } from 'ioredis';
import type { RedisClient } from '../platform/redis.ts';
import { CommandList, type CommitReply, runFenced } from './commit.ts';
import type { OwnerParts } from './owner-parts.ts';
import type { Head } from './state.ts';

type Ports = Pick<OwnerParts, 'redis' | 'keys'> & {
  readonly observer: Pick<OwnerParts['observer'], 'failed'>;
  readonly limits: Pick<OwnerParts['limits'], 'waitReplicas'>;
};

const REDIS_RETRY_MS = 200;
const REPLICAS_MS = 1_000;

/** Which connection this client has now: WAIT speaks of what was written on its own. A cluster has none (`runStream` refuses it). */
export function connectionOf(redis: RedisClient): unknown {
  return (redis as Redis).stream;
}

/**
 * What has left cannot be taken back, so a commit that a failover could still lose does not leave.
 * @param head nonce and seq as they stand with the commit
 * @param writtenOn the connection before it was written; undefined if that is not known
 * @returns FENCED if it was lost by a failover meanwhile
 */
export async function untilReplicated(
  { redis, keys, observer, limits }: Ports,
  head: Pick<Head, 'nonce' | 'seq'>,
  writtenOn: unknown,
  isStopped: () => boolean,
): Promise<CommitReply> {
  const { waitReplicas } = limits;
  if (waitReplicas === 0) return 'OK';
  for (let connection = writtenOn; ; ) {
    if (connection === undefined || connection !== connectionOf(redis)) {
      // Something has to be written on this one, and only if the commit stands where it leads to.
      connection = connectionOf(redis);
      const commands = new CommandList();
      commands.add('HSET', keys.head, 'seq', head.seq);
      if ((await runFenced(redis, keys, head, commands.bytes())) === 'FENCED') return 'FENCED';
    }
    const have = Number(await redis.call('WAIT', waitReplicas, REPLICAS_MS));
    if (connection !== connectionOf(redis)) continue;
    if (have >= waitReplicas) return 'OK';
    observer.failed(new Error(`${have} of ${waitReplicas} replicas have the commit: waiting`));
    if (isStopped()) throw new Error('stopped while replicas were waited for');
  }
}

/** Tries until the script's answer, or what the head says of it, is known. @throws Redis's error once it is stopped */
export async function commitUntilKnown(
  { redis, keys, observer }: Ports,
  head: Head,
  commands: Buffer,
  isStopped: () => boolean,
): Promise<CommitReply> {
  for (;;) {
    try {
      const reply = await runFenced(redis, keys, head, commands);
      if (reply === 'OK') return 'OK';
      // My nonce with the next seq means that an answer was lost, not the commit.
      const [nonce, seq] = await redis.hmget(keys.head, 'nonce', 'seq');
      return nonce === head.nonce && Number(seq) === head.seq + 1 ? 'OK' : 'FENCED';
    } catch (error) {
      observer.failed(error);
      if (isStopped()) throw error;
      await new Promise((resolve) => setTimeout(resolve, REDIS_RETRY_MS));
    }
  }
}
