// What a leader begins with: the topic `deliveries`, of which it keeps what something may still come of. The topic has weeks.
import type { DeliveriesTopicRecord, Delivery } from '../domain/delivery.ts';
import { type DeliveryFold, emptyDeliveryFold, foldDelivery } from '../platform/delivery-log.ts';
import type { BoundedSet } from './bounded-set.ts';
import type { HasExpired } from './expiry.ts';
import { createFinished } from './owed.ts';

export interface Beginning extends DeliveryFold {
  /** Ids of what is delivered or settled and whose trigger has expired. */
  readonly finished: BoundedSet;
}

function isOver({ status }: Delivery): boolean {
  return status === 'delivered' || status === 'settled';
}

/** Told the records in order. */
export function createBeginning(hasExpired: HasExpired) {
  const beginning: Beginning = { ...emptyDeliveryFold(), finished: createFinished() };
  const { deliveries, finished } = beginning;
  return {
    beginning,
    take(record: DeliveriesTopicRecord): void {
      foldDelivery(beginning, record);
      if (record.kind === 'forgotten') finished.delete(record.key);
      if (record.kind !== 'delivery') return;
      finished.delete(record.id);
      if (!isOver(record) || !hasExpired(record.trigger)) return;
      deliveries.delete(record.id);
      finished.add(record.id);
    },
  };
}

/** Deliveries of one trigger one after the other, in the order of each one's first. */
export function togetherByTrigger(deliveries: Iterable<Delivery>): Delivery[] {
  const groups = new Map<string, Delivery[]>();
  for (const delivery of deliveries) {
    const group = groups.get(delivery.trigger.id);
    if (group === undefined) groups.set(delivery.trigger.id, [delivery]);
    else group.push(delivery);
  }
  return [...groups.values()].flat();
}

/** A delivery as the next leader goes on with it. */
export function takenOver(delivery: Delivery, nowMs: number): Delivery {
  const { status, atMs, dueMs, intentLifeMs, timeoutMs } = delivery;
  // Whoever wrote this intent may still begin to send it, and then wait for the answer.
  if (status === 'sending') return { ...delivery, status: 'queued', dueMs: nowMs + intentLifeMs + timeoutMs };
  // Written by a clock that was ahead, of an hour or of years: what it says is how long to wait.
  if (status === 'queued' && atMs > nowMs) return { ...delivery, dueMs: nowMs + Math.max(0, dueMs - atMs) };
  return delivery;
}
