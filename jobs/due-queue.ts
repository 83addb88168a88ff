// One receiver's deliveries by the time at which they are due.
import type { Delivery } from '../domain/delivery.ts';

export interface DueQueue {
  readonly size: number;
  /** @param dueMs by the clock by which it is taken */
  add(delivery: Delivery, dueMs: number): void;
  /** Leaves in it only what is to be kept. */
  keep(isKept: (delivery: Delivery) => boolean): void;
  /** The first one, if it is due; else how long until it is (null: there is none). */
  take(nowMs: number): { readonly delivery: Delivery } | { readonly waitMs: number | null };
}

interface Waiting {
  readonly delivery: Delivery;
  readonly dueMs: number;
}

export function createDueQueue(): DueQueue {
  // The last due first, so that the next one is taken off the end and what is due late is put in near the beginning.
  let waiting: Waiting[] = [];
  return {
    get size() {
      return waiting.length;
    },
    add(delivery, dueMs) {
      let low = 0;
      let high = waiting.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        // Before its equals, which are taken before it.
        if (waiting[middle]!.dueMs > dueMs) low = middle + 1;
        else high = middle;
      }
      waiting.splice(low, 0, { delivery, dueMs });
    },
    keep(isKept) {
      waiting = waiting.filter(({ delivery }) => isKept(delivery));
    },
    take(nowMs) {
      const next = waiting.at(-1);
      if (next === undefined) return { waitMs: null };
      if (next.dueMs > nowMs) return { waitMs: next.dueMs - nowMs };
      waiting.pop();
      return { delivery: next.delivery };
    },
  };
}
