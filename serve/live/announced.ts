// Since when the stream has known without a pause what viewers look for. What nobody looked for was not shown, so that what is
// held of a time before has holes.
import type { LiveInterest } from '../../domain/live.ts';
import { announceInterest, interestText } from '../../platform/live.ts';
import type { Dependencies } from '../dependencies.ts';

export interface Announced {
  /** Says that somebody looks. @throws the client's error */
  announce(interest: LiveInterest): Promise<void>;
  /** Monotonic; undefined if it is not known now. */
  sinceMs(interest: LiveInterest): number | undefined;
  /** Forgets what nobody looks for any more. */
  prune(): void;
}

/** @param lifeMs how long the stream goes on showing after each word */
export function createAnnounced(
  { redis, clock }: Pick<Dependencies, 'redis' | 'clock'>,
  key: string,
  lifeMs: number,
): Announced {
  const known = new Map<string, { sinceMs: number; saidMs: number }>();

  return {
    async announce(interest) {
      const text = interestText(interest);
      const saidMs = clock.monotonicMs();
      await announceInterest(redis, key, interest, lifeMs);
      // Redis heard each word at some time between its sending and its answer: the pause may have been from the one's sending.
      const heardMs = clock.monotonicMs();
      const before = known.get(text);
      const goesOn = before !== undefined && heardMs - before.saidMs <= lifeMs;
      known.set(text, { sinceMs: goesOn ? before.sinceMs : heardMs, saidMs });
    },
    sinceMs: (interest) => known.get(interestText(interest))?.sinceMs,
    prune() {
      const oldestMs = clock.monotonicMs() - lifeMs;
      for (const [text, { saidMs }] of known) if (saidMs < oldestMs) known.delete(text);
    },
  };
}
