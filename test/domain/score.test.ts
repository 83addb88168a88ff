// The score against the formula written out by hand, and the properties that a probability with factors must have.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type EngagementSums, newBuyer } from '../../domain/buyer.ts';
import { score as scoreSchema } from '../../domain/definition.ts';
import { engagementAt, logistic, scoreOf } from '../../domain/score.ts';

const DAY_MS = 86_400_000;
const NOW_MS = Date.UTC(2026, 0, 15);

const definition = scoreSchema.parse({
  name: 'Opportunity within 7 days',
  horizonMs: 7 * DAY_MS,
  halfLifeMs: DAY_MS,
  cap: 10,
  intercept: -3,
  engagement: { visit: 0.5, inquiry: 1.25 },
  country: { DE: 0.4, ZZ: -0.1 },
  level: { gold: 0.7 },
});

function stamped(value: string) {
  return { value, timeMs: NOW_MS, messageId: 'm' };
}

function sumsOf(behaviours: { behaviour: string; timeMs: number }[], referenceMs: number): EngagementSums {
  const names = [...new Set(behaviours.map((each) => each.behaviour))].sort();
  return {
    halfLifeMs: DAY_MS,
    referenceMs,
    sums: names.map((behaviour) => ({
      behaviour,
      sum: behaviours
        .filter((each) => each.behaviour === behaviour)
        .reduce((sum, each) => sum + 2 ** ((each.timeMs - referenceMs) / DAY_MS), 0),
    })),
  };
}

describe('scoreOf', () => {
  it('is the logistic of intercept, fit and capped, decayed engagement', () => {
    const buyer = newBuyer('u:1');
    buyer.country = stamped('DE');
    buyer.level = stamped('gold');
    // Two days before: 2 visits count 2 × 1/4; 100 inquiries now are capped at 10.
    buyer.engagement = [
      {
        halfLifeMs: DAY_MS,
        referenceMs: NOW_MS - 2 * DAY_MS,
        sums: [
          { behaviour: 'inquiry', sum: 400 },
          { behaviour: 'visit', sum: 2 },
        ],
      },
    ];
    const logit = -3 + 0.4 + 0.7 + 1.25 * Math.log(11) + 0.5 * Math.log(1.5);
    const score = scoreOf(definition, buyer, NOW_MS);
    expect(score.logit).toBeCloseTo(logit, 12);
    expect(score.probability).toBeCloseTo(1 / (1 + Math.exp(-logit)), 12);
    expect(score.factors.map(({ name, value }) => [name, value])).toEqual([
      ['intercept', -3],
      ['country', 'DE'],
      ['industry', 'unknown'],
      ['level', 'gold'],
      ['engagement.inquiry', 10],
      ['engagement.visit', 0.5],
    ]);
  });

  it('knows nothing of a new buyer but the weight of not knowing', () => {
    expect(scoreOf(definition, newBuyer('a:1'), NOW_MS).logit).toBeCloseTo(-3.1, 12);
  });

  it.each([
    [{ UK: 0.5 }, 0.5],
    [{ UK: 0.5, GB: -1 }, -1],
    [{ DE: 0.5 }, 0],
  ])('gives GB what a definition of before gives UK, where it gives GB nothing: %j', (country, weight) => {
    const buyer = { ...newBuyer('u:1'), country: stamped('GB') };
    expect(scoreOf({ ...definition, country }, buyer, NOW_MS).logit).toBeCloseTo(-3 + weight, 12);
  });

  it('takes no weight from what objects inherit', () => {
    const buyer = newBuyer('u:1');
    buyer.industry = stamped('constructor');
    expect(scoreOf(definition, buyer, NOW_MS).logit).toBeCloseTo(-3.1, 12);
  });

  it('does not depend on the reference time, nor on the order of behaviours', () => {
    const behaviour = fc.record({
      behaviour: fc.constantFrom('visit', 'inquiry', 'order'),
      timeMs: fc.integer({ min: NOW_MS - 30 * DAY_MS, max: NOW_MS }),
    });
    fc.assert(
      fc.property(fc.array(behaviour), fc.integer({ min: -20, max: 20 }), (behaviours, days) => {
        const one = { ...newBuyer('u:1'), engagement: [sumsOf(behaviours, NOW_MS)] };
        const reversed = [...behaviours].reverse();
        const other = { ...newBuyer('u:1'), engagement: [sumsOf(reversed, NOW_MS + days * DAY_MS)] };
        const gap = scoreOf(definition, one, NOW_MS).logit - scoreOf(definition, other, NOW_MS).logit;
        expect(Math.abs(gap)).toBeLessThan(1e-9);
      }),
    );
  });

  it('halves a sum in each half-life', () => {
    const sums = sumsOf([{ behaviour: 'visit', timeMs: NOW_MS }], NOW_MS);
    expect(engagementAt(sums, NOW_MS + 3 * DAY_MS, 50)).toEqual([{ behaviour: 'visit', value: 1 / 8 }]);
  });

  it('stays within a probability however large the logit', () => {
    expect(logistic(1_000_000)).toBe(1);
    expect(logistic(-1_000_000)).toBe(0);
    expect(logistic(0)).toBe(0.5);
  });
});
