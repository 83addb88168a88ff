// The golden file holds ClickHouse's answers for the usual patterns; here stand its corners, as its source has them.
import { describe, expect, it } from 'vitest';
import { sequenceCount } from '../../domain/sequence.ts';

const CONDITIONS = ['visit', 'search', 'view'];

function count(pattern: string, ...steps: [time: number, behaviour: string][]): number {
  return sequenceCount(
    pattern,
    CONDITIONS,
    steps.map(([time, behaviour]) => ({ time, behaviour })),
  );
}

describe('sequenceCount', () => {
  it('counts matches one behind the other, in the order of time', () => {
    expect(count('(?1)(?2)', [4, 'search'], [1, 'visit'], [3, 'visit'], [2, 'search'])).toBe(2);
    expect(count('(?1).*(?3)', [1, 'visit'], [2, 'visit'], [3, 'view'])).toBe(1);
    expect(count('(?1).(?3)', [1, 'visit'], [2, 'visit'], [3, 'view'])).toBe(1);
    expect(count('(?3)(?1)', [1, 'visit'], [2, 'view'])).toBe(0);
    expect(count('(?1)')).toBe(0);
  });

  it('may skip behaviours while a time condition holds', () => {
    expect(count('(?1)(?t<=5)(?3)', [1, 'visit'], [2, 'search'], [6, 'view'])).toBe(1);
    expect(count('(?1)(?t<5)(?3)', [1, 'visit'], [2, 'search'], [6, 'view'])).toBe(0);
    expect(count('(?1)(?t>=5)(?3)', [1, 'visit'], [5, 'view'], [6, 'view'])).toBe(1);
    expect(count('(?1)(?t>5)(?3)', [1, 'visit'], [5, 'view'], [6, 'view'])).toBe(0);
    expect(count('(?1)(?t==4)(?3)', [1, 'visit'], [4, 'view'], [5, 'view'])).toBe(1);
  });

  it('goes back to an earlier start where a later one fails', () => {
    expect(count('(?1)(?t>=3)(?2)', [1, 'visit'], [2, 'visit'], [4, 'search'])).toBe(1);
    expect(count('(?1)(?1)(?2)', [1, 'visit'], [2, 'visit'], [3, 'visit'], [4, 'search'])).toBe(1);
  });

  it('lets what may be empty hold behind the last behaviour', () => {
    expect(count('(?3).*', [1, 'view'])).toBe(1);
    expect(count('(?3)(?t<=9)', [1, 'view'])).toBe(1);
    expect(count('(?3).', [1, 'view'])).toBe(0);
    expect(count('.*(?t<0).*', [1, 'visit'], [2, 'view'])).toBe(1);
  });

  it.each(['(?4)', '(?0)', '(?t~5)', '(?1', 'visit'])('refuses %s', (pattern) => {
    expect(() => count(pattern, [1, 'visit'])).toThrow(SyntaxError);
  });

  it('gives up on a pattern that takes too many moves', () => {
    const steps = Array.from({ length: 400 }, (_, index): [number, string] => [index, 'visit']);
    expect(() => count('(?1).*(?1).*(?1).*(?1).*(?2)', ...steps, [400, 'view'])).toThrow(RangeError);
  });
});
