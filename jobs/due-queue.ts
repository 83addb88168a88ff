// One receiver's deliveries by the time at which they are due.
import type { Delivery } from '../domain/delivery.ts';

export interface DueQueue {
  readonly size: number;
  add(delivery: Delivery): void;
  /** The first one, if it is due; else how long until it is (null: there is none). */
  take(nowMs: number): { readonly delivery: Delivery } | { readonly waitMs: number | null };
}

export function createDueQueue(): DueQueue {
  // The last due first, so that the next one is taken off the end and what is due late is put in near the beginning.
  const waiting: Delivery[] = [];
  return {
    get size() {
      return waiting.length;
    },
    add(delivery) {
      let low = 0;
      let high = waiting.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        // Before its equals, which are taken before it.
        if (waiting[middle]!.dueMs > delivery.dueMs) low = middle + 1;
        else high = middle;
      }
      waiting.splice(low, 0, delivery);
    },
    take(nowMs) {
      const next = waiting.at(-1);
      if (next === undefined) return { waitMs: null };
      if (next.dueMs > nowMs) return { waitMs: next.dueMs - nowMs };
      waiting.pop();
      return { delivery: next };
    },
  };
}
