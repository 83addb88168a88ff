// Follows the topic `deliveries`, so that every `serve` can say how each delivery stands; memory is bounded.
import { setTimeout as wait } from 'node:timers/promises';
import type { DeliveriesTopicRecord, Delivery, DeliveryStatus } from '../../domain/delivery.ts';
import {
  eachDeliveryBatch,
  emptyDeliveryFold,
  foldDelivery,
  readDeliveryRecord,
} from '../../platform/delivery-log.ts';
import { followPartition } from '../../platform/kafka-follow.ts';
import type { Namespace } from '../../platform/namespace.ts';

const RETRY_DELAY_MS = 500;
/** What is over makes room first, then what changed longest ago; all are in the topic (`flywheel deliveries list`). */
const REMEMBERED_MAX = 100_000;
const OVER: ReadonlySet<DeliveryStatus> = new Set(['delivered', 'settled']);

export interface DeliveryView {
  /** True once the topic's end, as seen at the opening, has been passed; not while it goes on and nothing comes of it. */
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
  /** For tests. */
  readonly readToEnd?: typeof eachDeliveryBatch;
}

/**
 * Forgets the oldest until no more than `max` are left: those that nobody has to do anything about first, so that one that
 * is dead can be found and replayed for as long as there is room for it.
 * @param deliveries what changed last stands last
 */
export function trimDeliveries(deliveries: Map<string, Delivery>, max: number): void {
  const forget = (which: (delivery: Delivery) => boolean): void => {
    if (deliveries.size <= max) return;
    for (const [id, delivery] of deliveries) {
      if (which(delivery)) deliveries.delete(id);
      if (deliveries.size <= max) return;
    }
  };
  forget(({ status }) => OVER.has(status));
  forget(() => true);
}

/** The deliveries of the records that were told so far, trimmed after each batch: the topic has weeks of them. */
function createDeliveryMemory() {
  const fold = emptyDeliveryFold();
  return {
    deliveries: fold.deliveries as ReadonlyMap<string, Delivery>,
    take(records: Iterable<DeliveriesTopicRecord | null>): void {
      for (const record of records) if (record !== null) foldDelivery(fold, record);
      // Wishes are the sender's business.
      fold.replays.clear();
      trimDeliveries(fold.deliveries, REMEMBERED_MAX);
    },
  };
}

/** Opens at once and reads behind it: only the routes of the deliveries wait for it. */
export function openDeliveryView({
  brokers,
  namespace,
  onWarning,
  readToEnd = eachDeliveryBatch,
}: DeliveryViewOptions): DeliveryView {
  const topic = namespace.topics.deliveries;
  const stopping = new AbortController();
  const { signal } = stopping;
  let memory = createDeliveryMemory();
  let next: number | null = null;
  let isStalled = false;
  const onStall = (message: string | null): void => {
    isStalled = message !== null;
    if (message !== null) onWarning(message);
  };

  async function follow(): Promise<void> {
    if (next === null) {
      memory = createDeliveryMemory();
      const { take } = memory;
      next = await readToEnd(brokers, namespace, (batch) => take(batch.map(({ record }) => record)), signal);
    }
    const at = { brokers, topic, partition: 0, from: next };
    for await (const batch of followPartition({ ...at, signal, onStall, isStalled })) {
      memory.take(batch.map(readDeliveryRecord));
      next = batch.at(-1)!.offset + 1;
    }
  }

  const following = (async () => {
    while (!signal.aborted) {
      try {
        await follow();
      } catch (error) {
        if (signal.aborted) return;
        onWarning(`the deliveries could not be followed: ${(error as Error).message}`);
        await wait(RETRY_DELAY_MS, undefined, { signal }).catch(() => {});
      }
    }
  })();

  return {
    isCaughtUp: () => next !== null && !isStalled,
    find: (id) => memory.deliveries.get(id),
    latest: () => [...memory.deliveries.values()].reverse(),
    async close() {
      stopping.abort();
      await following;
    },
  };
}
