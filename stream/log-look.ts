// What an owner's process looks at in the log beside its consumer, when it takes a partition over.
import { appendMsAt, readPartition } from '../platform/kafka-read.ts';
import type { TopicPartition } from './source.ts';

/** For one record, which as a rule takes some milliseconds: the group waits for its answer meanwhile. */
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

export function createLogLook(brokers: string, log: (level: 'warn', message: string) => void): LogLook {
  return {
    async firstRecord({ topic, partition }, from, to) {
      for await (const [first] of readPartition({ brokers, topic, partition, from, to }))
        return first!.offset;
      return Math.max(from, to);
    },

    async appendMs({ topic, partition }, offset) {
      try {
        return await appendMsAt({ brokers, topic, partition, patienceMs: PATIENCE_MS }, offset);
      } catch (error) {
        const why = (error as Error).message;
        log('warn', `${topic} ${partition}: the record at offset ${offset} is not compared: ${why}`);
        return undefined;
      }
    },
  };
}
