// How far the stream is, while `up` feeds it and waits for it. A part that is being started again is looked at again, and what
// waits because somebody paused a partition is said to.
import type { Config } from '../platform/config.ts';
import { openTopicAdmin } from '../platform/kafka-topics.ts';
import { namespaceOf } from '../platform/namespace.ts';
import {
  isOfAnotherLog,
  lagOf,
  type PartitionProgress,
  readProgress,
  waitUntilDrained,
} from '../platform/progress.ts';
import { openRedis, type RedisClient } from '../platform/redis.ts';

type Look = () => Promise<PartitionProgress[]>;

/** Work that looks at how far the stream is. */
export async function looking<Result>(
  config: Config,
  signal: AbortSignal,
  work: (look: Look) => Promise<Result>,
): Promise<Result> {
  const admin = openTopicAdmin(config.kafkaBrokers);
  const namespace = namespaceOf(config.namespace);
  let opening: Promise<RedisClient> | undefined;
  /** By each look that finds it closed: Redis may be away when the work begins. */
  const redis = (): Promise<RedisClient> => {
    opening ??= openRedis({ url: config.redisUrl, onWarning: () => {} }).catch((error: unknown) => {
      opening = undefined;
      throw error;
    });
    return opening;
  };
  try {
    return await work(async () => {
      signal.throwIfAborted();
      return readProgress(namespace, await redis(), admin);
    });
  } finally {
    await admin.close();
    await opening?.then(
      (client) => client.disconnect(),
      () => {},
    );
  }
}

export interface Drain {
  readonly look: Look;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly report: (status: string) => void;
  readonly sayPaused: (progress: readonly PartitionProgress[]) => void;
}

/**
 * False if something is still left at the end of the time.
 * @throws the signal's reason once it is aborted: whoever supervises the parts says when one stays down
 */
export function isDrainedInTime({ look, timeoutMs, signal, report, sayPaused }: Drain): Promise<boolean> {
  const onProgress = (progress: readonly PartitionProgress[]): void => {
    const undelivered = progress.reduce((sum, partition) => sum + partition.undelivered, 0);
    const unflushed = progress.filter((partition) => !partition.flushed).length;
    report(`${lagOf(progress)} records, ${undelivered} batches, ${unflushed} partitions' aggregates left`);
    sayPaused(progress);
  };
  return waitUntilDrained(look, timeoutMs, onProgress, (error) => {
    signal.throwIfAborted();
    if (isOfAnotherLog(error)) return false;
    report(`cannot look, and tries again: ${error instanceof Error ? error.message : String(error)}`);
    return true;
  });
}

/** Prints of each partition once that something waits in it because it is paused; again, if it went on in between. */
export function pauseNotice(print: (line: string) => void): (progress: readonly PartitionProgress[]) => void {
  const said = new Set<string>();
  return (progress) => {
    for (const { topic, partition, paused, offset, high } of progress) {
      const name = `${topic} ${partition}`;
      if (!paused) said.delete(name);
      else if (offset < high && !said.has(name)) {
        said.add(name);
        print(`${name} is paused, and what stands in its log is waited for: flywheel resume ${name}`);
      }
    }
  };
}
