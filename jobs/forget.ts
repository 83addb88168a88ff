// Forgets deliveries of which nothing can come any more, so that the topic `deliveries`, and what each leader reads of it
// before it begins, do not grow for ever (docs/decisions/triggers.md, "What is forgotten").
import type { DeliveriesTopicRecord } from '../domain/delivery.ts';
import { partitionOf } from '../domain/hash.ts';
import { deliveryKey } from '../platform/delivery-log.ts';
import { topicPartitions } from '../platform/namespace.ts';
import type { HasExpired } from './expiry.ts';
import type { JobsMetrics } from './metrics.ts';
import { isOpen } from './owed.ts';
import { aborted, pause } from './pause.ts';
import type { DeliveryWriter } from './writer.ts';

const FORGOTTEN_AFTER_MS = 7 * 86_400_000;
/** A turn has other things to do at first. */
const FIRST_LOOK_MS = 60_000;
const LOOK_MS = 86_400_000;
const AT_ONCE = 500;

export interface ForgetPorts {
  /** The whole topic, in order; null for what is no record of it. */
  eachRecord(each: (record: DeliveriesTopicRecord | null, offset: number) => void): Promise<unknown>;
  expiry(): Promise<HasExpired>;
  readonly writer: DeliveryWriter;
  readonly metrics: Pick<JobsMetrics, 'forgot'>;
  warn(message: string): void;
}

/** Once a day until the signal. */
export async function keepForgetting(ports: ForgetPorts, signal: AbortSignal): Promise<void> {
  await pause(FIRST_LOOK_MS, signal);
  while (!signal.aborted) {
    try {
      await forgetOnce(ports, signal);
    } catch (error) {
      if (!signal.aborted) ports.warn(`old deliveries stay until tomorrow: ${(error as Error).message}`);
    }
    await pause(LOOK_MS, signal);
  }
}

export async function forgetOnce(ports: ForgetPorts, signal: AbortSignal): Promise<void> {
  const hasExpired = await ports.expiry();
  const forgettable = createForgettable();
  // To read weeks of it takes a while, in which a turn may end.
  await Promise.race([ports.eachRecord(forgettable.take), aborted(signal)]);
  const keys = forgettable.keys(hasExpired);
  for (let from = 0; from < keys.length && !signal.aborted; from += AT_ONCE) {
    const some = keys.slice(from, from + AT_ONCE);
    await ports.writer.write(some.map((key) => ({ kind: 'forgotten', key })));
    ports.metrics.forgot(some.length);
  }
}

/** What is kept of each key while the topic is read. */
interface Kept {
  readonly offset: number;
  readonly trigger: Parameters<HasExpired>[0];
  readonly isOpen: boolean;
}

/** Told the records in order, knows the keys that may go. */
export function createForgettable() {
  const kept = new Map<string, Kept>();
  const wishes = new Map<string, Kept['trigger']>();
  /** Of each partition of `triggers`, where its last two cursors are. */
  const cursors = new Map<number, { readonly last: number; readonly before: number }>();
  return {
    take(record: DeliveriesTopicRecord | null, offset: number): void {
      if (record === null) return;
      const key = deliveryKey(record);
      switch (record.kind) {
        case 'delivery': {
          const { key: buyer, expiresMs } = record.trigger;
          kept.set(key, { offset, trigger: { key: buyer, expiresMs }, isOpen: isOpen(record) });
          break;
        }
        case 'replay': {
          const { key: buyer, expiresMs } = record.delivery.trigger;
          wishes.set(key, { key: buyer, expiresMs });
          break;
        }
        case 'cursor': {
          const { partition } = record;
          cursors.set(partition, { last: offset, before: cursors.get(partition)?.last ?? -1 });
          break;
        }
        case 'forgotten':
          kept.delete(key);
          wishes.delete(key);
          break;
        case 'turn':
      }
    },
    /**
     * Deliveries that are over, and wishes, a week behind their trigger's end. Not those that the last cursor of their
     * partition may have passed: it stays, and says to whom they were owed.
     */
    keys(hasExpired: HasExpired): string[] {
      const isPassed = ({ offset, trigger: { key } }: Kept): boolean =>
        offset < (cursors.get(partitionOf(key, topicPartitions.triggers))?.before ?? -1);
      const deliveries = [...kept].filter(
        ([, each]) => !each.isOpen && isPassed(each) && hasExpired(each.trigger, FORGOTTEN_AFTER_MS),
      );
      const asked = [...wishes].filter(([, trigger]) => hasExpired(trigger, FORGOTTEN_AFTER_MS));
      return [...deliveries, ...asked].map(([key]) => key);
    },
  };
}
