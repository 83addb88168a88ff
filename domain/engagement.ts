// Decayed sums of behaviours. Each is kept relative to a reference time that moves in whole epochs of log time,
// so that the numbers stay small and the order of arrival changes nothing beyond rounding.
import type { EngagementSums } from './buyer.ts';

/** After so many half-lives the reference moves on: 2^16 is far from where a double loses whole events. */
const EPOCH_HALF_LIVES = 16;

function rebase(sums: EngagementSums, nowMs: number): void {
  const epochMs = EPOCH_HALF_LIVES * sums.halfLifeMs;
  const referenceMs = Math.floor(nowMs / epochMs) * epochMs;
  if (referenceMs <= sums.referenceMs) return;
  const factor = 2 ** ((sums.referenceMs - referenceMs) / sums.halfLifeMs);
  for (const entry of sums.sums) entry.sum *= factor;
  sums.referenceMs = referenceMs;
}

function add(sums: EngagementSums, behaviour: string, timeMs: number): void {
  const amount = 2 ** ((timeMs - sums.referenceMs) / sums.halfLifeMs);
  const entry = sums.sums.find((candidate) => candidate.behaviour === behaviour);
  if (entry !== undefined) {
    entry.sum += amount;
    return;
  }
  sums.sums.push({ behaviour, sum: amount });
  sums.sums.sort((a, b) => (a.behaviour < b.behaviour ? -1 : 1));
}

/**
 * Adds one behaviour to the sums of every half-life in force (and forgets those that no score uses any more).
 * @param nowMs the partition's watermark, which says the epoch.
 */
export function engage(
  engagement: EngagementSums[],
  halfLivesMs: readonly number[],
  behaviour: string,
  timeMs: number,
  nowMs: number,
): EngagementSums[] {
  return halfLivesMs.map((halfLifeMs) => {
    const sums = engagement.find((candidate) => candidate.halfLifeMs === halfLifeMs) ?? {
      halfLifeMs,
      referenceMs: 0,
      sums: [],
    };
    rebase(sums, nowMs);
    add(sums, behaviour, timeMs);
    return sums;
  });
}
