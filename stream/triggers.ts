// Triggers that wait for a receiver, oldest first. The owner keeps them in memory; a commit writes what changed.
import type { WaitingTrigger } from '../domain/delivery.ts';

export interface WaitingTriggers {
  readonly size: number;
  add(trigger: WaitingTrigger): void;
  /** Takes it out; undefined if it does not wait (any more). */
  acknowledge(id: string): WaitingTrigger | undefined;
  /** Takes out what has expired and, oldest first, what is above the cap. */
  expire(nowMs: number, most: number): WaitingTrigger[];
  /** What the next commit writes; calling it says that it is written. Null is deleted. */
  changes(): Map<string, WaitingTrigger | null>;
  load(triggers: readonly WaitingTrigger[]): void;
}

export function createWaitingTriggers(): WaitingTriggers {
  const waiting = new Map<string, WaitingTrigger>();
  let changed = new Map<string, WaitingTrigger | null>();
  /** The latest expiry there is. */
  let lastMs = Number.NEGATIVE_INFINITY;
  /** Whether the oldest expire first, as they do unless `triggerTtlMs` was made shorter. */
  let inOrder = true;
  /** None expires before this. */
  let earliestMs = Number.POSITIVE_INFINITY;

  function hold(trigger: WaitingTrigger): void {
    inOrder &&= trigger.expiresMs >= lastMs;
    lastMs = Math.max(lastMs, trigger.expiresMs);
    earliestMs = Math.min(earliestMs, trigger.expiresMs);
    waiting.set(trigger.id, trigger);
  }

  function holdAnew(): void {
    const all = [...waiting.values()];
    waiting.clear();
    lastMs = Number.NEGATIVE_INFINITY;
    earliestMs = Number.POSITIVE_INFINITY;
    inOrder = true;
    for (const trigger of all) hold(trigger);
  }

  function remove(id: string): void {
    waiting.delete(id);
    changed.set(id, null);
  }

  return {
    get size() {
      return waiting.size;
    },
    add(trigger) {
      hold(trigger);
      changed.set(trigger.id, trigger);
    },
    acknowledge(id) {
      const trigger = waiting.get(id);
      if (trigger !== undefined) remove(id);
      return trigger;
    },
    expire(nowMs, most) {
      const gone: WaitingTrigger[] = [];
      const take = (trigger: WaitingTrigger): void => {
        gone.push(trigger);
        remove(trigger.id);
      };
      if (inOrder || earliestMs < nowMs) {
        for (const trigger of waiting.values()) {
          if (trigger.expiresMs < nowMs) take(trigger);
          else if (inOrder) break;
        }
        if (!inOrder) holdAnew();
      }
      for (const trigger of waiting.values()) {
        if (waiting.size <= most) break;
        take(trigger);
      }
      return gone;
    },
    changes() {
      const result = changed;
      changed = new Map();
      return result;
    },
    load(triggers) {
      const position = (id: string): number[] => id.split('-').map(Number);
      const sorted = [...triggers].sort((a, b) => {
        const [, offsetA = 0, ordinalA = 0] = position(a.id);
        const [, offsetB = 0, ordinalB = 0] = position(b.id);
        return offsetA - offsetB || ordinalA - ordinalB;
      });
      for (const trigger of sorted) hold(trigger);
    },
  };
}
