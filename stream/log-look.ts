// What an owner's process looks at in the log beside its consumer, when it takes a partition over.
import { appendMsAt, readPartition } from '../platform/kafka-read.ts';
import type { TopicPartition } from './source.ts';

/** For one record and the connection it comes by, which as a rule takes some milliseconds: the group waits for its answer meanwhile. */
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
      const patience = AbortSignal.timeout(PATIENCE_MS);
      const signal = AbortSignal.any([over, patience]);
      let why = `Kafka did not give it within ${PATIENCE_MS / 1_000} s`;
      try {
        const found = await appendMsAt({ brokers, topic, partition, signal }, offset);
        if (found !== undefined || !signal.aborted) return found;
      } catch (error) {
        why = (error as Error).message;
      }
      over.throwIfAborted();
      log('warn', `${topic} ${partition}: the record at offset ${offset} is not compared: ${why}`);
      return undefined;
    },
  };
}
