// Writes delivery records under the leader's transactional id. What is asked for while a transaction is under way goes
// with the next one, so many attempts cost few transactions.
import type { DeliveriesTopicRecord } from '../domain/delivery.ts';
import { deliveryMessage } from '../platform/delivery-log.ts';
import type { TransactionalProducer } from '../platform/kafka-transactions.ts';
import type { Namespace } from '../platform/namespace.ts';

export interface DeliveryWriter {
  /** Resolves when Kafka has all of them. @throws what the producer throws; then every later call fails too */
  write(records: readonly DeliveriesTopicRecord[]): Promise<void>;
}

interface Waiting {
  readonly records: readonly DeliveriesTopicRecord[];
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

const RECORDS_PER_TRANSACTION_MAX = 1_000;

/** @param onFailed told once: this turn of leadership is over */
export function createDeliveryWriter(
  producer: TransactionalProducer,
  namespace: Namespace,
  onFailed: (error: Error) => void,
): DeliveryWriter {
  let waiting: Waiting[] = [];
  let busy = false;
  let failed: Error | null = null;

  function takeSome(): Waiting[] {
    let count = 0;
    const some: Waiting[] = [];
    while (waiting.length > 0 && count < RECORDS_PER_TRANSACTION_MAX) {
      const next = waiting.shift()!;
      count += next.records.length;
      some.push(next);
    }
    return some;
  }

  async function writeAll(): Promise<void> {
    while (waiting.length > 0 && failed === null) {
      const some = takeSome();
      try {
        await producer.append(
          some.flatMap(({ records }) => records.map((record) => deliveryMessage(namespace, record))),
        );
        for (const { resolve } of some) resolve();
      } catch (error) {
        failed = error as Error;
        for (const { reject } of [...some, ...waiting]) reject(failed);
        waiting = [];
        onFailed(failed);
      }
    }
    busy = false;
  }

  return {
    write(records) {
      if (failed !== null) return Promise.reject(failed);
      return new Promise((resolve, reject) => {
        waiting.push({ records, resolve, reject });
        if (busy) return;
        busy = true;
        setImmediate(() => void writeAll());
      });
    },
  };
}
