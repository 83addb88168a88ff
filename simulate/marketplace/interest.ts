// The hidden process behind a buyer: interest that arises, ripens to a purchase, or fades; and buyers who drop out.
// A continuous-time Markov chain in busy time: a chain of purchase stages with sessions as marks, drop-out after
// a session as in BG/NBD (Fader, Hardie and Lee, 2005), here with a way back.
import type { Random } from './random.ts';

export const interestStages = ['idle', 'research', 'sourcing', 'negotiating', 'closing', 'gone'] as const;
export type InterestStage = (typeof interestStages)[number];

/** What multiplies a buyer's rates; 1 is the average. */
export interface Temperament {
  readonly activity: number;
  readonly need: number;
  readonly depth: number;
  /** Chance to drop out after a session without need. */
  readonly dropout: number;
}

/** Sessions a busy day, before the buyer's activity. */
const sessionsADay: Record<InterestStage, number> = {
  idle: 0.055,
  research: 0.34,
  sourcing: 0.48,
  negotiating: 0.5,
  closing: 0.7,
  gone: 0,
};

/** Chance that a session goes deep, before the buyer's depth. */
const deepChance: Record<InterestStage, number> = {
  idle: 0.012,
  research: 0.12,
  sourcing: 0.42,
  negotiating: 0.5,
  closing: 0.65,
  gone: 0,
};

const MAX_DEEP_CHANCE = 0.92;

/** Moves without a session, a busy day. */
function driftsOf(
  stage: InterestStage,
  temperament: Temperament,
): readonly (readonly [InterestStage, number])[] {
  switch (stage) {
    case 'idle':
      return [['research', 0.022 * temperament.need]];
    case 'research':
      return [
        ['sourcing', 0.11 * temperament.depth],
        ['idle', 0.13],
      ];
    case 'sourcing':
      return [['idle', 0.09]];
    case 'negotiating':
      return [['idle', 0.06]];
    case 'closing':
      return [['idle', 0.05]];
    case 'gone':
      return [['idle', 0.006]];
  }
}

export function sessionRate(stage: InterestStage, temperament: Temperament): number {
  return sessionsADay[stage] * temperament.activity;
}

export function deepChanceOf(stage: InterestStage, temperament: Temperament): number {
  return Math.min(deepChance[stage] * temperament.depth, MAX_DEEP_CHANCE);
}

/** Chance to drop out after a session that did not go deep. */
export function dropoutChance(stage: InterestStage, temperament: Temperament): number {
  return stage === 'idle' ? temperament.dropout : 0.25 * temperament.dropout;
}

/** The next mark of the chain: after `waitDays` busy days a session, or a silent move to another stage. */
export interface NextMark {
  readonly waitDays: number;
  readonly moveTo: InterestStage | 'session';
}

export function nextMark(stage: InterestStage, temperament: Temperament, random: Random): NextMark {
  const sessions = sessionRate(stage, temperament);
  const drifts = driftsOf(stage, temperament);
  const total = drifts.reduce((sum, [, rate]) => sum + rate, sessions);
  const waitDays = -Math.log(1 - random()) / total;
  let at = random() * total - sessions;
  if (at < 0) return { waitDays, moveTo: 'session' };
  for (const [moveTo, rate] of drifts) {
    at -= rate;
    if (at < 0) return { waitDays, moveTo };
  }
  return { waitDays, moveTo: drifts.at(-1)![0] };
}

/**
 * The truth: the probability of a deep behaviour within `busyDays` from `stage`. One minus the survival of the chain
 * whose deep sessions absorb, exp(Q·days)·1, by uniformisation (Jensen, 1953).
 */
export function deepProbability(stage: InterestStage, temperament: Temperament, busyDays: number): number {
  const moves = interestStages.map((from) => {
    const sessions = sessionRate(from, temperament);
    const shallow = sessions * (1 - deepChanceOf(from, temperament));
    const leave = from === 'gone' ? 0 : shallow * dropoutChance(from, temperament);
    const rates = new Map<InterestStage, number>(driftsOf(from, temperament));
    if (leave > 0) rates.set('gone', leave);
    return { deep: sessions - shallow, rates };
  });
  const outOf = moves.map(({ deep, rates }) => [...rates.values()].reduce((sum, rate) => sum + rate, deep));
  const fastest = Math.max(...outOf);
  // survival after n jumps of the uniform chain, from each stage; weighted by Poisson(fastest · days)
  let survival = interestStages.map(() => 1);
  let poisson = Math.exp(-fastest * busyDays);
  let sum = poisson;
  let alive = poisson;
  const from = interestStages.indexOf(stage);
  for (let jumps = 1; sum < 1 - 1e-10 && jumps < 1_000; jumps += 1) {
    survival = moves.map(({ rates }, index) => {
      let next = survival[index]! * (1 - outOf[index]! / fastest);
      for (const [to, rate] of rates) next += (rate / fastest) * survival[interestStages.indexOf(to)]!;
      return next;
    });
    poisson *= (fastest * busyDays) / jumps;
    sum += poisson;
    alive += poisson * survival[from]!;
  }
  return 1 - alive;
}
