// Decayed sums: the order of arrival and the epochs in which the reference moves change nothing beyond rounding.
import { array, assert, integer, property, record } from 'fast-check';
import { expect, it } from 'vitest';
import type { EngagementSums } from '../../domain/buyer.ts';
import { engage } from '../../domain/engagement.ts';

const HALF_LIFE_MS = 60_000;
const START_MS = Date.UTC(2024, 0, 1);
const SPAN_HALF_LIVES = 100;

/** Σ 2^((t − at) / half-life), from the definition. */
function direct(times: readonly number[], atMs: number): number {
  return times.reduce((sum, timeMs) => sum + 2 ** ((timeMs - atMs) / HALF_LIFE_MS), 0);
}

function sumAt([sums]: readonly EngagementSums[], atMs: number): number {
  return sums!.sums[0]!.sum * 2 ** ((sums!.referenceMs - atMs) / HALF_LIFE_MS);
}

it('over many epochs every order of arrival gives the sum of the definition, to 1e-9', () => {
  const event = record({
    timeMs: integer({ min: 0, max: SPAN_HALF_LIVES * HALF_LIFE_MS }),
    place: integer(),
  });
  assert(
    property(array(event, { minLength: 1, maxLength: 60 }), (events) => {
      const times = events.map(({ timeMs }) => START_MS + timeMs);
      const atMs = START_MS + SPAN_HALF_LIVES * HALF_LIFE_MS;
      const shuffled = [...events].sort((a, b) => a.place - b.place).map(({ timeMs }) => START_MS + timeMs);
      for (const order of [times, shuffled, [...times].sort((a, b) => a - b)]) {
        let engagement: EngagementSums[] = [];
        let nowMs = 0;
        for (const timeMs of order) {
          nowMs = Math.max(nowMs, timeMs);
          engagement = engage(engagement, [HALF_LIFE_MS], 'view', timeMs, nowMs);
        }
        const expected = direct(times, atMs);
        expect(Math.abs(sumAt(engagement, atMs) - expected)).toBeLessThanOrEqual(1e-9 * expected);
      }
    }),
  );
});

it('numbers stay finite over decades and a half-life that no score uses is forgotten', () => {
  let engagement: EngagementSums[] = [];
  for (let year = 0; year < 50; year += 1) {
    const timeMs = Date.UTC(2000 + year, 0, 1);
    engagement = engage(engagement, [HALF_LIFE_MS, 2 * HALF_LIFE_MS], 'view', timeMs, timeMs);
    expect(engagement.flatMap(({ sums }) => sums.map(({ sum }) => Number.isFinite(sum)))).toEqual([
      true,
      true,
    ]);
  }
  const nowMs = Date.UTC(2049, 0, 1);
  expect(engage(engagement, [HALF_LIFE_MS], 'view', nowMs, nowMs).map((one) => one.halfLifeMs)).toEqual([
    HALF_LIFE_MS,
  ]);
});
