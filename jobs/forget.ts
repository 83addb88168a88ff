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
/** Keys that one reading keeps in mind. */
const KEPT_MAX = 100_000;

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

/** By as many readings as it takes, of which each keeps only so many keys in mind. */
export async function forgetOnce(ports: ForgetPorts, signal: AbortSignal): Promise<void> {
  const hasExpired = await ports.expiry();
  let from: number | null = 0;
  while (from !== null && !signal.aborted) {
    const forgettable = createForgettable(hasExpired, { from, keptMax: KEPT_MAX });
    // To read weeks of it takes a while, in which a turn may end.
    await Promise.race([ports.eachRecord(forgettable.take), aborted(signal)]);
    const keys = forgettable.keys();
    for (let first = 0; first < keys.length && !signal.aborted; first += AT_ONCE) {
      const some = keys.slice(first, first + AT_ONCE);
      await ports.writer.write(some.map((key) => ({ kind: 'forgotten', key })));
      ports.metrics.forgot(some.length);
    }
    from = forgettable.fullAt();
  }
}

/** What is kept of each key while the topic is read. */
interface Kept {
  readonly offset: number;
  /** Of `triggers`. */
  readonly partition: number;
}

/**
 * Told the records in order, knows the keys that may go. Keeps in mind only what is over and a week behind its trigger's end,
 * which in a topic that is looked through daily is what Kafka has not compacted yet; and no more than `keptMax` of those that
 * stand at `from` or behind it.
 */
export function createForgettable(
  hasExpired: HasExpired,
  { from, keptMax }: { readonly from: number; readonly keptMax: number },
) {
  const kept = new Map<string, Kept>();
  const wishes = new Set<string>();
  /** Of each partition of `triggers`, where its last two cursors are. */
  const cursors = new Map<number, { readonly last: number; readonly before: number }>();
  let fullAt: number | null = null;
  /** Once it was full it keeps nothing more, though there may be room again: the next reading begins there. */
  const takes = (offset: number): boolean => {
    if (offset >= from && kept.size + wishes.size >= keptMax) fullAt ??= offset;
    return offset >= from && fullAt === null;
  };
  return {
    take(record: DeliveriesTopicRecord | null, offset: number): void {
      if (record === null) return;
      const key = deliveryKey(record);
      switch (record.kind) {
        case 'delivery': {
          const isOver = !isOpen(record) && hasExpired(record.trigger, FORGOTTEN_AFTER_MS);
          // One that stands here again is judged as it stands here.
          kept.delete(key);
          if (isOver && takes(offset))
            kept.set(key, { offset, partition: partitionOf(record.trigger.key, topicPartitions.triggers) });
          break;
        }
        case 'replay':
          wishes.delete(key);
          if (hasExpired(record.delivery.trigger, FORGOTTEN_AFTER_MS) && takes(offset)) wishes.add(key);
          break;
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
    /** The offset from which on nothing was kept any more, because there was no room; null if all was. */
    fullAt: () => fullAt,
    /**
     * Deliveries that are over, and wishes, a week behind their trigger's end. Not those that the last cursor of their
     * partition may have passed: it stays, and says to whom they were owed.
     */
    keys(): string[] {
      const isPassed = ({ offset, partition }: Kept): boolean =>
        offset < (cursors.get(partition)?.before ?? -1);
      const deliveries = [...kept].filter(([, each]) => isPassed(each)).map(([key]) => key);
      return [...deliveries, ...wishes];
    },
  };
}
