// The golden file holds the figures; here stand the edges that it does not name.
import { describe, expect, it } from 'vitest';
import { type PathStep, pathTransitions } from '../../domain/paths.ts';

function steps(buyer: string, ...times: [timeMs: number, behaviour: string][]): PathStep[] {
  return times.map(([timeMs, behaviour]) => ({ buyer, timeMs, behaviour }));
}

describe('pathTransitions', () => {
  it('counts every time a path was taken, and each buyer once', () => {
    const log = [
      ...steps('a', [1, 'visit'], [2, 'search'], [3, 'visit'], [4, 'search']),
      ...steps('b', [1, 'visit'], [2, 'search']),
    ];
    expect(pathTransitions(log, { maxGapMs: 10, limit: 5 })).toEqual({
      transitions: [
        { path: ['visit', 'search'], count: 3, buyers: 2 },
        { path: ['search', 'visit'], count: 1, buyers: 1 },
      ],
      threeSteps: [
        { path: ['search', 'visit', 'search'], count: 1, buyers: 1 },
        { path: ['visit', 'search', 'visit'], count: 1, buyers: 1 },
      ],
    });
  });

  it('breaks a path at a pause above the gap, and keeps one exactly as long', () => {
    const log = steps('a', [0, 'visit'], [10, 'search'], [21, 'view']);
    expect(pathTransitions(log, { maxGapMs: 10, limit: 5 })).toEqual({
      transitions: [{ path: ['visit', 'search'], count: 1, buyers: 1 }],
      threeSteps: [],
    });
  });

  it('sorts by time, and keeps the order of the input within an instant', () => {
    const log = steps('a', [5, 'view'], [1, 'visit'], [5, 'search']);
    expect(pathTransitions(log, { maxGapMs: 10, limit: 5 }).threeSteps).toEqual([
      { path: ['visit', 'view', 'search'], count: 1, buyers: 1 },
    ]);
  });

  it('gives the most frequent first and no more than asked, of names with any characters', () => {
    const log = [
      ...steps('a', [1, 'b","x'], [2, 'b'], [3, 'b'], [4, 'b']),
      ...steps('b', [1, 'b'], [2, '","x']),
    ];
    expect(pathTransitions(log, { maxGapMs: 10, limit: 2 }).transitions).toEqual([
      { path: ['b', 'b'], count: 2, buyers: 1 },
      { path: ['b', '","x'], count: 1, buyers: 1 },
    ]);
  });

  it('has nothing to say about nobody', () => {
    expect(pathTransitions([], { maxGapMs: 10, limit: 5 })).toEqual({ transitions: [], threeSteps: [] });
  });
});
