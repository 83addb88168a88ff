// Records that a commit keeps go to Kafka here. A failure is fatal to the attempt, never skipped: the sink tries again.

import type { Producer } from '../platform/kafka.ts';
import type { Namespace } from '../platform/namespace.ts';
import type { RecordStore } from './sink.ts';

export function createOutbox(producer: Producer, namespace: Namespace): RecordStore {
  return {
    async send(records) {
      await producer.sendBatch(
        records.map(({ to, partition, key, value, source }) => ({
          topic: namespace.topics[to],
          partition,
          key,
          value,
          headers: { source },
        })),
      );
    },
  };
}
