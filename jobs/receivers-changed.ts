// What is answered by a change of receivers: a trigger that only one held back who is active no more. There may be as many as
// are remembered, and each receipt is a message that Kafka has to acknowledge: they are looked at some at a time.
import { setImmediate as nextTurn } from 'node:timers/promises';

const AT_ONCE = 500;

export interface ReceiversChangedPorts {
  triggers(): readonly string[];
  /** Resolves when its receipt, if one is due, is in Kafka. */
  conclude(trigger: string): Promise<void>;
  /** Raised when the leader ends: its successor does the rest. */
  readonly signal: AbortSignal;
}

/**
 * What to call at each change; resolves when all are looked at by the receivers as they are then. A change while it is at it begins
 * it once more, however many there were.
 */
export function onReceiversChanged({ triggers, conclude, signal }: ReceiversChangedPorts) {
  let underWay: Promise<void> | undefined;
  let hasChanged = false;

  async function concludeAll(): Promise<void> {
    while (hasChanged) {
      hasChanged = false;
      const all = triggers();
      for (let from = 0; from < all.length; from += AT_ONCE) {
        if (signal.aborted) return;
        await Promise.all(all.slice(from, from + AT_ONCE).map(conclude));
        await nextTurn();
      }
    }
  }

  return (): Promise<void> => {
    hasChanged = true;
    underWay ??= concludeAll().finally(() => {
      underWay = undefined;
    });
    return underWay;
  };
}
