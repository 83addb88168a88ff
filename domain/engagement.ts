// Decayed sums of behaviours. Each is kept relative to a reference time that moves in whole epochs of log time,
// so that the numbers stay small and the order of arrival changes nothing beyond rounding.
import type { EngagementSums } from './buyer.ts';
import { inserted } from './sorted.ts';

/** After so many half-lives the reference moves on: 2^16 is far from where a double loses whole events. */
const EPOCH_HALF_LIVES = 16;

function rebase(sums: EngagementSums, nowMs: number): void {
  const epochMs = EPOCH_HALF_LIVES * sums.halfLifeMs;
  moveReference(sums, Math.floor(nowMs / epochMs) * epochMs);
}

/** References only move on. */
function moveReference(sums: EngagementSums, referenceMs: number): void {
  if (referenceMs <= sums.referenceMs) return;
  const factor = 2 ** ((sums.referenceMs - referenceMs) / sums.halfLifeMs);
  for (const entry of sums.sums) entry.sum *= factor;
  sums.referenceMs = referenceMs;
}

function add(sums: EngagementSums, behaviour: string, timeMs: number): void {
  addSum(sums, behaviour, 2 ** ((timeMs - sums.referenceMs) / sums.halfLifeMs));
}

function addSum(sums: EngagementSums, behaviour: string, amount: number): void {
  for (const entry of sums.sums) {
    if (entry.behaviour !== behaviour) continue;
    entry.sum += amount;
    return;
  }
  sums.sums = inserted(sums.sums, { behaviour, sum: amount }, (entry) => entry.behaviour);
}

function isOf(engagement: readonly EngagementSums[], halfLivesMs: readonly number[]): boolean {
  if (engagement.length !== halfLivesMs.length) return false;
  for (let index = 0; index < halfLivesMs.length; index += 1) {
    if (engagement[index]!.halfLifeMs !== halfLivesMs[index]) return false;
  }
  return true;
}

/** One set of sums a half-life in force, known ones as they are. */
function arranged(engagement: readonly EngagementSums[], halfLivesMs: readonly number[]): EngagementSums[] {
  return halfLivesMs.map(
    (halfLifeMs) =>
      engagement.find((known) => known.halfLifeMs === halfLifeMs) ?? { halfLifeMs, referenceMs: 0, sums: [] },
  );
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
  const inForce = isOf(engagement, halfLivesMs) ? engagement : arranged(engagement, halfLivesMs);
  for (const sums of inForce) {
    // What is forwarded may be ahead of a watermark that nothing has raised yet.
    rebase(sums, Math.max(nowMs, timeMs));
    add(sums, behaviour, timeMs);
  }
  return inForce;
}

/** Two people's sums as one's, at the later of both references; only half-lives in force stay. */
export function joinEngagement(
  one: readonly EngagementSums[],
  other: readonly EngagementSums[],
  halfLivesMs: readonly number[],
): EngagementSums[] {
  return halfLivesMs.flatMap((halfLifeMs) => {
    const found = [one, other].flatMap((sums) => sums.find((each) => each.halfLifeMs === halfLifeMs) ?? []);
    if (found.length === 0) return [];
    const referenceMs = Math.max(...found.map((sums) => sums.referenceMs));
    const joined: EngagementSums = { halfLifeMs, referenceMs, sums: [] };
    for (const each of found) {
      const copy = { ...each, sums: each.sums.map((entry) => ({ ...entry })) };
      moveReference(copy, referenceMs);
      for (const { behaviour, sum } of copy.sums) addSum(joined, behaviour, sum);
    }
    return [joined];
  });
}
