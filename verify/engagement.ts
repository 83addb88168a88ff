// Decayed sums of a buyer's behaviours, each term by itself: Σ 2^((t − now) / halfLife).
import type { Behaved } from './steps.ts';

export interface Engagement {
  readonly halfLifeMs: number;
  readonly sums: ReadonlyMap<string, number>;
}

/**
 * The sums of every half-life in force when the buyer last did something, from when it came into force for the buyer.
 * @param behaved the buyer's applied behaviours in the order of the log
 */
export function engagementAt(behaved: readonly Behaved[], nowMs: number): Engagement[] {
  const since = new Map<number, number>();
  behaved.forEach((own, index) => {
    const halfLives = new Set(own.epoch.halfLivesMs);
    for (const known of since.keys()) if (!halfLives.has(known)) since.delete(known);
    for (const halfLifeMs of halfLives) if (!since.has(halfLifeMs)) since.set(halfLifeMs, index);
  });
  return [...since].map(([halfLifeMs, from]) => {
    const sums = new Map<string, number>();
    for (const { behaviour, timeMs } of behaved.slice(from)) {
      sums.set(behaviour, (sums.get(behaviour) ?? 0) + 2 ** ((timeMs - nowMs) / halfLifeMs));
    }
    return { halfLifeMs, sums };
  });
}
