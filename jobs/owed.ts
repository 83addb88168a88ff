// What the leader remembers: the deliveries of each trigger that is not yet answered by all its receivers.
import type { Delivery } from '../domain/delivery.ts';
import { type BoundedSet, createBoundedSet } from './bounded-set.ts';
import type { OpenDeliveries } from './metrics.ts';

/** Triggers of which nothing is open but something dead, and ids of what is finished: remembered so many. */
const DEAD_MAX = 10_000;
const FINISHED_MAX = 200_000;

export interface Owed {
  /** True if it was taken before, also when it is finished. */
  knows(id: string): boolean;
  /** True if nothing can come of it any more. One that was dead when its trigger was finished can still be wished again. */
  isFinished(id: string): boolean;
  find(delivery: Pick<Delivery, 'id' | 'trigger'>): Delivery | undefined;
  put(delivery: Delivery): void;
  /** All deliveries of a trigger. */
  of(trigger: string): readonly Delivery[];
  /** The trigger is answered: only that its deliveries were taken is remembered. */
  finish(trigger: string): void;
  /** Remembers that a delivery is finished of which nothing else is known. */
  putFinished(id: string): void;
  triggers(): readonly string[];
  open(nowMs: number): ReadonlyMap<string, OpenDeliveries>;
}

export function isOpen({ status }: Delivery): boolean {
  return status === 'queued' || status === 'sending';
}

export function createFinished(): BoundedSet {
  return createBoundedSet(FINISHED_MAX);
}

export function createOwed(): Owed {
  const groups = new Map<string, Map<string, Delivery>>();
  const ids = new Set<string>();
  const dead = createBoundedSet(DEAD_MAX);
  const finished = createFinished();
  /** Of these, what was dead. */
  const finishedDead = createFinished();

  function forget(trigger: string): void {
    for (const id of groups.get(trigger)?.keys() ?? []) ids.delete(id);
    groups.delete(trigger);
    dead.delete(trigger);
  }

  function finish(trigger: string): void {
    for (const { id, status } of groups.get(trigger)?.values() ?? []) {
      finished.add(id);
      if (status === 'dead') finishedDead.add(id);
    }
    forget(trigger);
  }

  return {
    knows: (id) => ids.has(id) || finished.has(id),
    isFinished: (id) => finished.has(id) && !finishedDead.has(id),
    find: ({ id, trigger }) => groups.get(trigger.id)?.get(id),
    put(delivery) {
      const trigger = delivery.trigger.id;
      const group = groups.get(trigger) ?? new Map<string, Delivery>();
      group.set(delivery.id, delivery);
      groups.set(trigger, group);
      ids.add(delivery.id);
      finished.delete(delivery.id);
      finishedDead.delete(delivery.id);
      const all = [...group.values()];
      if (all.some(isOpen) || !all.some(({ status }) => status === 'dead')) {
        dead.delete(trigger);
        return;
      }
      const oldest = dead.add(trigger);
      if (oldest !== undefined) forget(oldest);
    },
    of: (trigger) => [...(groups.get(trigger)?.values() ?? [])],
    finish,
    putFinished: (id) => void finished.add(id),
    triggers: () => [...groups.keys()],
    open(nowMs) {
      const result = new Map<string, OpenDeliveries>();
      for (const group of groups.values()) {
        for (const delivery of group.values()) {
          if (!isOpen(delivery)) continue;
          const { count, oldestAgeMs } = result.get(delivery.receiver) ?? { count: 0, oldestAgeMs: 0 };
          result.set(delivery.receiver, {
            count: count + 1,
            oldestAgeMs: Math.max(oldestAgeMs, nowMs - delivery.createdMs),
          });
        }
      }
      return result;
    },
  };
}
