// What an owner's process looks at in the log beside its consumer, when it takes a partition over.
import { appendMsAt, readPartition } from '../platform/kafka-read.ts';
import type { TopicPartition } from './source.ts';

/**
 * For one record, which as a rule takes some milliseconds once a client is connected: the group waits for its answer meanwhile.
 * Connecting has the ten seconds that it has anywhere, for brokers that have just begun are slow at first, and just then a log
 * may be another.
 */
const PATIENCE_MS = 2_000;

export interface LogLook {
  /** Where the first record at or behind an offset stands; the log's end if only markers of transactions follow. */
  firstRecord(partition: TopicPartition, from: number, to: number): Promise<number>;
  /**
   * When the record at an offset was appended, epoch ms. Undefined if none stands there, and where it cannot be read: who owns the
   * partition then reads on, or finds out why not.
   */
  appendMs(partition: TopicPartition, offset: number): Promise<number | undefined>;
}

/** @param over aborted when the process ends: what is looked at then is called off, and rejects. */
export function createLogLook(
  brokers: string,
  log: (level: 'warn', message: string) => void,
  over: AbortSignal,
): LogLook {
  return {
    async firstRecord({ topic, partition }, from, to) {
      const one = { brokers, topic, partition, from, to, signal: over, oneByOne: true };
      for await (const [first] of readPartition(one)) return first!.offset;
      // Called off it has read nothing, which does not say that nothing is there.
      over.throwIfAborted();
      return Math.max(from, to);
    },

    async appendMs({ topic, partition }, offset) {
      const one = { brokers, topic, partition, signal: over, patienceMs: PATIENCE_MS };
      try {
        const found = await appendMsAt(one, offset);
        if (found === undefined) over.throwIfAborted();
        return found;
      } catch (error) {
        over.throwIfAborted();
        const why = (error as Error).message;
        log('warn', `${topic} ${partition}: the record at offset ${offset} is not compared: ${why}`);
        return undefined;
      }
    },
  };
}
