// Triggers that a leader begins with and of which nothing is open: the leader before may have answered them, or have died on
// the way to their receipt. There may be hundreds of thousands, of partitions that cannot be asked yet: Redis is being replayed.
import type { WaitingTrigger } from '../domain/delivery.ts';
import { buyerPartition } from '../platform/keys.ts';
import type { HasExpired } from './expiry.ts';
import { pause } from './pause.ts';
import { type PendingCheck, type Standing, unknownPauseMs } from './pending.ts';

const ASKED_AT_ONCE = 1_000;

/** Of a trigger, what there is to ask by. */
export type Remembered = Pick<WaitingTrigger, 'id' | 'key' | 'expiresMs'>;

export interface RememberedPorts {
  readonly pending: PendingCheck;
  /** Which triggers have expired by now. */
  expiry(): Promise<HasExpired>;
  readonly signal: AbortSignal;
  /** Told of each trigger once. */
  conclude(trigger: Remembered, standing: Exclude<Standing, 'unknown'>): Promise<void>;
}

/**
 * Asks of each whether it still waits, some at a time, until all are known or the signal is raised.
 * @throws what `conclude` throws
 */
export async function concludeRemembered(
  triggers: readonly Remembered[],
  ports: RememberedPorts,
): Promise<void> {
  const { expiry, signal } = ports;
  let left = triggers;
  let hasExpired: HasExpired = () => false;
  for (let round = 0; ; round += 1) {
    left = await askOnce(left, hasExpired, ports);
    if (left.length === 0 || signal.aborted) return;
    await pause(unknownPauseMs(round), signal);
    if (signal.aborted) return;
    // While nothing was known, many have come to their end: that is no question.
    hasExpired = await expiry().catch(() => hasExpired);
  }
}

/** Answers those that are still unknown. */
async function askOnce(
  triggers: readonly Remembered[],
  hasExpired: HasExpired,
  { pending, signal, conclude }: RememberedPorts,
): Promise<Remembered[]> {
  const left: Remembered[] = [];
  // A partition that could not tell of one cannot tell of the others.
  const silent = new Set<number>();
  const ask = async (trigger: Remembered): Promise<void> => {
    if (hasExpired(trigger)) return conclude(trigger, 'gone');
    const partition = buyerPartition(trigger.key);
    const standing = silent.has(partition) ? 'unknown' : await pending.standing(trigger);
    if (standing !== 'unknown') return conclude(trigger, standing);
    silent.add(partition);
    left.push(trigger);
  };
  for (let from = 0; from < triggers.length && !signal.aborted; from += ASKED_AT_ONCE)
    await Promise.all(triggers.slice(from, from + ASKED_AT_ONCE).map(ask));
  return left;
}
