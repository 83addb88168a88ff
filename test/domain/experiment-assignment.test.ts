// GrowthBook's own cases where they are at hand (the golden file has others), and what we add: targeting, states.
import { readFileSync } from 'node:fs';
import { assert, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  assign,
  bucketRanges,
  chooseVariation,
  type Experiment,
  type ExperimentRules,
  equalWeights,
  holds,
  inNamespace,
  type TargetingCondition,
} from '../../domain/experiment-assignment.ts';
import { growthBookHash } from '../../domain/hash.ts';
import { besideCheckout } from '../simulate/shared-data.ts';

type Ranges = [number, number][];
interface GrowthBookCases {
  hash: [seed: string, value: string, version: number, expected: number | null][];
  getBucketRange: [name: string, [number, number, number[] | null], Ranges][];
  chooseVariation: [name: string, bucket: number, ranges: Ranges, expected: number][];
  inNamespace: [name: string, key: string, namespace: [string, number, number], expected: boolean][];
  getEqualWeights: [count: number, expected: number[]][];
}

function experiment(rules: Partial<ExperimentRules> = {}): Experiment {
  return {
    id: 'checkout',
    document: {
      status: 'running',
      variations: [
        { key: 'control', weight: 0.5 },
        { key: 'short', weight: 0.5 },
      ],
      hashVersion: 2,
      coverage: 1,
      targeting: [],
      ...rules,
    },
  };
}

function keys(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `u:user-${index}`);
}

const shared = besideCheckout('conformance/growthbook-cases-subset.json');

describe.skipIf(shared === null)("GrowthBook's own cases", () => {
  const cases = (shared === null ? {} : JSON.parse(readFileSync(shared, 'utf8'))) as GrowthBookCases;

  it('hash', () => {
    expect(cases.hash.length).toBeGreaterThan(10);
    for (const [seed, value, version, expected] of cases.hash) {
      expect(growthBookHash(seed, value, version)).toBe(expected);
    }
  });

  it('getBucketRange', () => {
    expect(cases.getBucketRange.length).toBeGreaterThan(10);
    for (const [name, [count, coverage, weights], expected] of cases.getBucketRange) {
      const ranges = bucketRanges(count, coverage, weights);
      expect(ranges.length, name).toBe(expected.length);
      ranges.flat().forEach((edge, index) => {
        expect(edge, name).toBeCloseTo(expected.flat()[index]!, 12);
      });
    }
  });

  it('chooseVariation', () => {
    expect(cases.chooseVariation.length).toBeGreaterThan(10);
    for (const [name, bucket, ranges, expected] of cases.chooseVariation) {
      expect(chooseVariation(bucket, ranges), name).toBe(expected);
    }
  });

  it('inNamespace', () => {
    expect(cases.inNamespace.length).toBeGreaterThan(10);
    for (const [name, key, [id, from, to], expected] of cases.inNamespace) {
      expect(inNamespace(key, { id, from, to }), name).toBe(expected);
    }
  });

  it('getEqualWeights', () => {
    expect(cases.getEqualWeights.length).toBeGreaterThan(4);
    for (const [count, expected] of cases.getEqualWeights) {
      const weights = equalWeights(count);
      expect(weights.length).toBe(expected.length);
      weights.forEach((weight, index) => {
        expect(weight).toBeCloseTo(expected[index]!, 8);
      });
    }
  });
});

describe('assign', () => {
  it('splits by weight among those covered', () => {
    const split = experiment({
      coverage: 0.5,
      variations: [
        { key: 'control', weight: 0.8 },
        { key: 'short', weight: 0.2 },
      ],
    });
    const answers = keys(20_000).map((key) => assign(split, { key, attributes: {} }));
    const covered = answers.filter((answer) => answer.inExperiment);
    expect(covered.length / answers.length).toBeCloseTo(0.5, 1.5);
    expect(covered.filter((answer) => answer.variationIndex === 1).length / covered.length).toBeCloseTo(
      0.2,
      1.5,
    );
    expect(new Set(answers.map((answer) => answer.reason))).toEqual(new Set(['split', 'notCovered']));
  });

  it('keeps everybody in place when the coverage grows', () => {
    assert(
      property(string({ minLength: 1 }), (key) => {
        const before = assign(experiment({ coverage: 0.3 }), { key, attributes: {} });
        const after = assign(experiment({ coverage: 0.9 }), { key, attributes: {} });
        if (before.inExperiment) expect(after).toEqual(before);
      }),
    );
  });

  it('hashes under the seed, or under its id where there is none', () => {
    const subject = { key: 'u:7', attributes: {} };
    expect(assign(experiment({ seed: 'checkout' }), subject)).toEqual(assign(experiment(), subject));
    expect(assign(experiment({ seed: 'other' }), subject).bucket).toBe(growthBookHash('other', 'u:7', 2));
  });

  it.each([
    ['draft', experiment({ status: 'draft' }), 'u:1'],
    ['stopped', experiment({ status: 'stopped' }), 'u:1'],
    ['noKey', experiment(), ''],
    ['outsideNamespace', experiment({ namespace: { id: 'page', from: 0, to: 0 } }), 'u:1'],
    ['notTargeted', experiment({ targeting: [{ attribute: 'country', operator: 'exists' }] }), 'u:1'],
    ['notCovered', experiment({ coverage: 0 }), 'u:1'],
  ])('leaves out: %s', (reason, left, key) => {
    const withFallback = { ...left, document: { ...left.document, fallback: 'short' } };
    expect(assign(left, { key, attributes: {} })).toEqual({
      inExperiment: false,
      variationIndex: 0,
      bucket: null,
      reason,
    });
    expect(assign(withFallback, { key, attributes: {} }).variationIndex).toBe(1);
  });

  it('gives the forced variation to all who would take part, also once stopped, and has none of them in it', () => {
    const forced = experiment({ forced: 'short', status: 'stopped' });
    for (const key of keys(20)) {
      expect(assign(forced, { key, attributes: {} })).toEqual({
        inExperiment: false,
        variationIndex: 1,
        bucket: null,
        reason: 'forced',
      });
    }
    expect(assign(experiment({ forced: 'short', coverage: 0 }), { key: 'u:1', attributes: {} }).reason).toBe(
      'notCovered',
    );
  });
});

describe('holds', () => {
  const attributes = { country: 'DE', orders: 3, vip: false, city: null };
  const condition = (
    attribute: string,
    operator: TargetingCondition['operator'],
    value?: unknown,
  ): TargetingCondition => ({ attribute, operator, value });

  it.each([
    condition('country', 'equals', 'DE'),
    condition('vip', 'equals', false),
    condition('country', 'notEquals', 'US'),
    condition('missing', 'notEquals', 'US'),
    condition('country', 'in', ['US', 'DE']),
    condition('country', 'notIn', ['US']),
    condition('missing', 'notIn', ['US']),
    condition('orders', 'greaterThan', 2),
    condition('orders', 'lessThan', 4),
    condition('country', 'greaterThan', 'CZ'),
    condition('vip', 'exists'),
    condition('missing', 'exists', false),
    condition('city', 'exists', false),
  ])('$attribute $operator $value', (holding) => {
    expect(holds(holding, attributes)).toBe(true);
  });

  it.each([
    condition('country', 'equals', 'US'),
    condition('orders', 'equals', '3'),
    condition('missing', 'equals', undefined),
    condition('city', 'equals', null),
    condition('country', 'notEquals', 'DE'),
    condition('country', 'in', 'DE'),
    condition('missing', 'in', [undefined]),
    condition('country', 'notIn', ['DE']),
    condition('orders', 'greaterThan', 3),
    condition('orders', 'greaterThan', '2'),
    condition('orders', 'lessThan', 3),
    condition('missing', 'lessThan', 3),
    condition('missing', 'exists'),
    condition('vip', 'exists', false),
    condition('toString', 'exists'),
  ])('not $attribute $operator $value', (failing) => {
    expect(holds(failing, attributes)).toBe(false);
  });

  it('takes a country that is called UK for GB, on either side, and no other attribute', () => {
    for (const country of ['UK', 'GB']) {
      for (const named of ['UK', 'GB']) {
        expect(holds(condition('country', 'equals', named), { country })).toBe(true);
        expect(holds(condition('country', 'in', ['DE', named]), { country })).toBe(true);
        expect(holds(condition('country', 'notIn', [named]), { country })).toBe(false);
      }
    }
    expect(holds(condition('language', 'equals', 'GB'), { language: 'UK' })).toBe(false);
  });

  it('asks all conditions', () => {
    const both = experiment({
      targeting: [condition('country', 'equals', 'DE'), condition('orders', 'greaterThan', 5)],
    });
    expect(assign(both, { key: 'u:1', attributes }).reason).toBe('notTargeted');
    expect(assign(both, { key: 'u:1', attributes: { ...attributes, orders: 6 } }).reason).toBe('split');
  });
});
