// Follows the topic `deliveries`, so that every `serve` can say how each delivery stands; memory is bounded.
import type { Delivery } from '../../domain/delivery.ts';
import {
  emptyDeliveryFold,
  foldDelivery,
  readDeliveries,
  readDeliveryRecord,
} from '../../platform/delivery-log.ts';
import { readPartition } from '../../platform/kafka-read.ts';
import type { Namespace } from '../../platform/namespace.ts';

const RETRY_DELAY_MS = 500;
/** The deliveries that changed last; older ones are in the topic (`flywheel deliveries list`). */
const REMEMBERED_MAX = 100_000;

export interface DeliveryView {
  /** True once the topic's end, as seen at the opening, has been passed. */
  isCaughtUp(): boolean;
  find(id: string): Delivery | undefined;
  /** What was changed last comes first. */
  latest(): Iterable<Delivery>;
  close(): Promise<void>;
}

export interface DeliveryViewOptions {
  readonly brokers: string;
  readonly namespace: Namespace;
  /** Told when following the topic failed and is tried again. */
  readonly onWarning: (message: string) => void;
}

/** Opens at once and reads behind it: only the routes of the deliveries wait for it. */
export function openDeliveryView({ brokers, namespace, onWarning }: DeliveryViewOptions): DeliveryView {
  const topic = namespace.topics.deliveries;
  const stopping = new AbortController();
  const { signal } = stopping;
  let fold = emptyDeliveryFold();
  let next: number | null = null;

  function trim(): void {
    for (const id of fold.deliveries.keys()) {
      if (fold.deliveries.size <= REMEMBERED_MAX) return;
      fold.deliveries.delete(id);
    }
  }

  async function follow(): Promise<void> {
    if (next === null) {
      const read = await readDeliveries(brokers, namespace);
      fold = read.fold;
      next = read.next;
      trim();
    }
    for await (const batch of readPartition({ brokers, topic, partition: 0, from: next, signal })) {
      for (const record of batch) {
        const read = readDeliveryRecord(record);
        if (read !== null) foldDelivery(fold, read);
        next = record.offset + 1;
      }
      trim();
    }
  }

  const following = (async () => {
    while (!signal.aborted) {
      try {
        await follow();
      } catch (error) {
        onWarning(`the deliveries could not be followed: ${(error as Error).message}`);
        await new Promise((resolve) => setTimeout(resolve, RETRY_DELAY_MS));
      }
    }
  })();

  return {
    isCaughtUp: () => next !== null,
    find: (id) => fold.deliveries.get(id),
    latest: () => [...fold.deliveries.values()].reverse(),
    async close() {
      stopping.abort();
      await following;
    },
  };
}
