// What the leader remembers: the deliveries of each trigger that is not yet answered by all its receivers.
import type { Delivery, WaitingTrigger } from '../domain/delivery.ts';
import { type BoundedSet, createBoundedSet } from './bounded-set.ts';
import type { OpenDeliveries } from './metrics.ts';

/** Triggers of which nothing is open but something dead, and ids of what is finished: remembered so many. */
const DEAD_MAX = 10_000;
const FINISHED_MAX = 200_000;
/** Beyond DEAD_MAX, triggers of which only an outline is kept: all that wait at once in twelve partitions of 50,000. */
const OUTLINED_MAX = 600_000;

/** What is kept of a delivery that is not open where there is no room for all of it: whether it holds a receipt back. */
export type Outline = Pick<Delivery, 'id' | 'receiver' | 'status' | 'attempt'>;

/** A trigger, and what there is of it for each receiver. */
export interface OwedTrigger extends Pick<WaitingTrigger, 'id' | 'key' | 'expiresMs'> {
  /** False: there may be other deliveries of it, of which nothing is known. No receipt may be written by these alone. */
  readonly isWhole: boolean;
  /** One that is open is never an outline. */
  readonly deliveries: readonly (Delivery | Outline)[];
}

export interface Owed {
  /** True if it was taken before, also when it is finished. */
  knows(id: string): boolean;
  /** True if nothing can come of it any more. One that was dead when its trigger was finished can still be wished again. */
  isFinished(id: string): boolean;
  find(delivery: Pick<Delivery, 'id' | 'trigger'>): Delivery | Outline | undefined;
  /** @param isWhole whether this one is all there is of a trigger of which nothing is remembered, as far as it was put */
  put(delivery: Delivery, isWhole?: boolean): void;
  /** The trigger as it stands now. */
  of(trigger: string): OwedTrigger | undefined;
  /** The trigger is answered: only that its deliveries were taken is remembered. */
  finish(trigger: string): void;
  /** Remembers that a delivery is finished of which nothing else is known. */
  putFinished(id: string): void;
  triggers(): readonly string[];
  open(nowMs: number): ReadonlyMap<string, OpenDeliveries>;
}

export function isOpen({ status }: Pick<Delivery, 'status'>): boolean {
  return status === 'queued' || status === 'sending';
}

export function createFinished(): BoundedSet {
  return createBoundedSet(FINISHED_MAX);
}

function outlineOf({ id, receiver, status, attempt }: Delivery | Outline): Outline {
  return { id, receiver, status, attempt };
}

/** @param outlinedMax for tests */
export function createOwed(outlinedMax = OUTLINED_MAX): Owed {
  const groups = new Map<string, OwedTrigger>();
  /** Apart, so that what is open is found without them. */
  const outlines = new Map<string, OwedTrigger>();
  const ids = new Set<string>();
  const dead = createBoundedSet(DEAD_MAX);
  const outlined = createBoundedSet(outlinedMax);
  const finished = createFinished();
  /** Of these, what was dead. */
  const finishedDead = createFinished();

  const of = (trigger: string): OwedTrigger | undefined => groups.get(trigger) ?? outlines.get(trigger);

  function forget(trigger: string): void {
    for (const { id } of of(trigger)?.deliveries ?? []) ids.delete(id);
    groups.delete(trigger);
    outlines.delete(trigger);
    dead.delete(trigger);
    outlined.delete(trigger);
  }

  function outline(trigger: string): void {
    const group = groups.get(trigger)!;
    groups.delete(trigger);
    outlines.set(trigger, { ...group, deliveries: group.deliveries.map(outlineOf) });
    const oldest = outlined.add(trigger);
    if (oldest !== undefined) forget(oldest);
  }

  function finish(trigger: string): void {
    for (const { id, status } of of(trigger)?.deliveries ?? []) {
      finished.add(id);
      if (status === 'dead') finishedDead.add(id);
    }
    forget(trigger);
  }

  return {
    knows: (id) => ids.has(id) || finished.has(id),
    isFinished: (id) => finished.has(id) && !finishedDead.has(id),
    find: ({ id, trigger }) => of(trigger.id)?.deliveries.find((each) => each.id === id),
    put(delivery, isWhole = true) {
      const { id: trigger, key, expiresMs } = delivery.trigger;
      const before = of(trigger);
      const others = before?.deliveries.filter(({ id }) => id !== delivery.id) ?? [];
      const deliveries = [...others, delivery];
      groups.set(trigger, { id: trigger, key, expiresMs, isWhole: before?.isWhole ?? isWhole, deliveries });
      outlines.delete(trigger);
      outlined.delete(trigger);
      ids.add(delivery.id);
      finished.delete(delivery.id);
      finishedDead.delete(delivery.id);
      if (deliveries.some(isOpen) || !deliveries.some(({ status }) => status === 'dead')) {
        dead.delete(trigger);
        return;
      }
      const oldest = dead.add(trigger);
      if (oldest !== undefined) outline(oldest);
    },
    of,
    finish,
    putFinished: (id) => void finished.add(id),
    triggers: () => [...groups.keys(), ...outlines.keys()],
    open(nowMs) {
      const result = new Map<string, OpenDeliveries>();
      for (const { deliveries } of groups.values()) {
        for (const delivery of deliveries) {
          if (!isOpen(delivery) || !('createdMs' in delivery)) continue;
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
