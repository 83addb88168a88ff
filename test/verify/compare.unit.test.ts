// What counts as equal, and what counts as too little.
import { describe, expect, it } from 'vitest';
import { Comparison } from '../../verify/compare.ts';
import { nothingImplied, shortfallsOf } from '../../verify/implied.ts';
import { compareGroups } from '../../verify/table.ts';

describe('a comparison', () => {
  it('takes plain data as equal whatever the order of its fields', () => {
    const comparison = new Comparison();
    expect(comparison.equal('kind', 'here', { a: 1, b: [2] }, { b: [2], a: 1 })).toBe(true);
    expect(comparison.equal('kind', 'there', { a: 1 }, { a: 2 })).toBe(false);
    expect(comparison.kinds).toEqual([{ kind: 'kind', compared: 2, differences: 1 }]);
  });

  it('forgives rounding of fractions, and not a millisecond or a micro', () => {
    const comparison = new Comparison();
    expect(comparison.fields('kind', '', { sum: 0.1 + 0.2 }, { sum: 0.3 })).toBe(true);
    expect(comparison.fields('kind', '', { timeMs: 1_700_000_000_000 }, { timeMs: 1_700_000_000_001 })).toBe(
      false,
    );
    expect(comparison.near('kind', '', 1, 1 + 1e-8)).toBe(false);
  });

  it('adds up what was left out for the same reason, and says nothing of none', () => {
    const comparison = new Comparison();
    for (const count of [2, 0, 3]) comparison.leaveOut('kind', 'behind', count);
    comparison.leaveOut('other', 'behind', 0);
    expect(comparison.leftOut).toEqual([{ kind: 'kind', why: 'behind', count: 5 }]);
  });

  it('names the fields that differ and what is missing', () => {
    const comparison = new Comparison();
    comparison.fields('kind', 'row 1', { a: 1, b: 2 }, { a: 1, b: 3 });
    comparison.fields('kind', 'row 2', { a: 1 }, undefined);
    expect(comparison.differences).toEqual([
      { kind: 'kind', where: 'row 1', expected: { b: 2 }, actual: { b: 3 } },
      { kind: 'kind', where: 'row 2', expected: { a: 1 }, actual: 'missing' },
    ]);
  });

  it('of groups finds a row missing, changed, and one too many', () => {
    const comparison = new Comparison();
    const expected = new Map([
      ['same', [{ v: 1 }, { v: 2 }]],
      ['changed', [{ v: 1, w: 1 }]],
      ['missing', [{ v: 1 }]],
    ]);
    const actual = new Map([
      ['same', [{ v: 2 }, { v: 1 }]],
      ['changed', [{ v: 1, w: 2 }]],
      ['surplus', [{ v: 1 }]],
    ]);
    compareGroups(comparison, 'rows', expected, actual);
    expect(
      comparison.differences.map(({ where, expected: wanted, actual: found }) => [where, wanted, found]),
    ).toEqual([
      ['changed', { w: 1 }, { w: 2 }],
      ['missing', { v: 1 }, 'missing'],
      ['surplus', 'no such row', { v: 1 }],
    ]);
  });
});

describe('too little', () => {
  it('is nothing at all, even where nothing is implied', () => {
    expect(shortfallsOf(new Comparison(), nothingImplied).map(({ kind }) => kind)).toEqual([
      'offsets',
      'heads',
    ]);
  });

  it('is less than the feeders say', () => {
    const comparison = new Comparison();
    comparison.counted('offsets', 20);
    comparison.counted('heads', 17);
    comparison.counted('rejects rows', 2);
    const shortfalls = shortfallsOf(comparison, { ...nothingImplied, rejects: 3 });
    expect(shortfalls).toEqual([{ kind: 'rejects rows', compared: 2, atLeast: 3 }]);
  });

  it('is none of a kind that events cannot do without', () => {
    const kinds = shortfallsOf(new Comparison(), { ...nothingImplied, events: 5 }).map(({ kind }) => kind);
    expect(kinds).toEqual(
      expect.arrayContaining(['events rows', 'buyers', 'levels', 'timers', 'north_star_days rows']),
    );
  });
});
