// A commit whose outcome is known: tried until Redis answers, read back when the answer was lost, and kept by as many
// replicas as are asked for before anything of it leaves.
import { type CommitReply, runFenced } from './commit.ts';
import type { OwnerParts } from './owner-parts.ts';
import type { Head } from './state.ts';

type Ports = Pick<OwnerParts, 'redis' | 'keys' | 'observer' | 'limits'>;

const REDIS_RETRY_MS = 200;
const REPLICAS_MS = 1_000;

/** What has left cannot be taken back, so a commit that a failover could still lose does not leave. */
export async function untilReplicated(
  { redis, observer, limits }: Ports,
  isStopped: () => boolean,
): Promise<void> {
  const { waitReplicas } = limits;
  if (waitReplicas === 0) return;
  for (;;) {
    const have = Number(await redis.call('WAIT', waitReplicas, REPLICAS_MS));
    if (have >= waitReplicas) return;
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
