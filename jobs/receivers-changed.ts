// What is answered by a change of receivers: a trigger that only one held back who is active no more. There may be as many as
// are remembered, and each receipt is a message that Kafka has to acknowledge: they are looked at some at a time.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { HasExpired } from './expiry.ts';

const AT_ONCE = 500;

export interface ReceiversChangedPorts {
  triggers(): readonly string[];
  /** Which triggers have expired by now, as far as it can be known; asked once for all of them. */
  expiry(): Promise<HasExpired>;
  /** Resolves when its receipt, if one is due, is in Kafka. */
  conclude(trigger: string, hasExpired: HasExpired): Promise<void>;
  /** Raised when the leader ends: its successor does the rest. */
  readonly signal: AbortSignal;
}

/** Until the signal is raised. */
export async function someAtATime(
  triggers: readonly string[],
  conclude: (trigger: string) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  for (let from = 0; from < triggers.length && !signal.aborted; from += AT_ONCE) {
    await Promise.all(triggers.slice(from, from + AT_ONCE).map(conclude));
    await nextTurn();
  }
}

/**
 * What to call at each change; resolves when all are looked at by the receivers as they are then. A change while it is at it begins
 * it once more, however many there were.
 */
export function onReceiversChanged({ triggers, expiry, conclude, signal }: ReceiversChangedPorts) {
  let underWay: Promise<void> | undefined;
  let hasChanged = false;

  async function concludeAll(): Promise<void> {
    while (hasChanged) {
      hasChanged = false;
      const hasExpired = await expiry();
      await someAtATime(triggers(), (trigger) => conclude(trigger, hasExpired), signal);
      if (signal.aborted) return;
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
