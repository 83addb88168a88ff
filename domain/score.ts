// How likely a buyer is to go deep soon: a logistic score that joins fit and decayed engagement, with its factors.
// The formula's numbers are a definition (`score`); the time is an argument, as everywhere in domain/.
import { UNKNOWN } from './attributes.ts';
import type { Buyer, EngagementSums } from './buyer.ts';
import type { ScoreDefinition } from './definition.ts';
import { countryWeightOf, weightOf } from './weight.ts';

/** What a score reads of a buyer. */
export type ScoredBuyer = Pick<Buyer, 'engagement' | 'country' | 'industry' | 'level'>;

/** One term of the logit: `contribution` is what it adds, `value` what it was computed from. */
export interface ScoreFactor {
  /** `intercept`, `country`, `industry`, `level` or `engagement.<behaviour>`. */
  readonly name: string;
  readonly value: string | number;
  readonly contribution: number;
}

export interface Score {
  /** In (0, 1). */
  readonly probability: number;
  readonly logit: number;
  /** Every term, in the order in which they were added. */
  readonly factors: readonly ScoreFactor[];
}

/**
 * Decayed sums at `atMs`: Σ 2^((t − at) / halfLife) from Σ 2^((t − reference) / halfLife), each at most `cap`.
 * In the order of `sums.sums`.
 */
export function engagementAt(
  sums: EngagementSums,
  atMs: number,
  cap: number,
): { behaviour: string; value: number }[] {
  const decay = 2 ** (-(atMs - sums.referenceMs) / sums.halfLifeMs);
  return sums.sums.map(({ behaviour, sum }) => ({ behaviour, value: Math.min(sum * decay, cap) }));
}

/** The logistic function, without overflow at either end. */
export function logistic(logit: number): number {
  if (logit >= 0) return 1 / (1 + Math.exp(-logit));
  const e = Math.exp(logit);
  return e / (1 + e);
}

/**
 * p = σ(intercept + Σ fit + Σ coefficient · ln(1 + min(S, cap))), with the score's half-life and cap.
 * A behaviour that the buyer never showed, or a half-life that is not kept for the buyer, counts as S = 0.
 */
export function scoreOf(definition: ScoreDefinition, buyer: ScoredBuyer, atMs: number): Score {
  const factors: ScoreFactor[] = [
    { name: 'intercept', value: definition.intercept, contribution: definition.intercept },
  ];
  for (const name of ['country', 'industry', 'level'] as const) {
    const value = buyer[name]?.value ?? UNKNOWN[name];
    const weigh = name === 'country' ? countryWeightOf : weightOf;
    factors.push({ name, value, contribution: weigh(definition[name], value) });
  }
  const kept = buyer.engagement.find((sums) => sums.halfLifeMs === definition.halfLifeMs);
  const engagement = kept === undefined ? [] : engagementAt(kept, atMs, definition.cap);
  for (const behaviour of Object.keys(definition.engagement).sort()) {
    const value = engagement.find((each) => each.behaviour === behaviour)?.value ?? 0;
    factors.push({
      name: `engagement.${behaviour}`,
      value,
      contribution: definition.engagement[behaviour]! * Math.log1p(value),
    });
  }
  const logit = factors.reduce((sum, factor) => sum + factor.contribution, 0);
  return { probability: logistic(logit), logit, factors };
}
