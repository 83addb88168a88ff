// The oracle's own funnel levels: the golden cases, and when each level was reached.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type FunnelDefinition, funnel as funnelSchema } from '../../domain/definition.ts';
import { levelOf, reachedByArrival, risesOf } from '../../verify/funnel-levels.ts';

function funnelOf(steps: string[], windowMs: number, mode = 'default'): FunnelDefinition {
  return funnelSchema.parse({ name: '', steps, windowMs, mode });
}

const at = (...pairs: [number, string][]) => pairs.map(([timeMs, behaviour]) => ({ timeMs, behaviour }));

describe('levels', () => {
  const abc = funnelOf(['a', 'b', 'c'], 10);

  it('follow a chain within its window, which is inclusive and runs from the first step', () => {
    expect(levelOf(abc, at([0, 'a'], [5, 'b'], [10, 'c']))).toBe(3);
    expect(levelOf(abc, at([0, 'a'], [5, 'b'], [11, 'c']))).toBe(2);
    expect(levelOf(abc, at([1, 'b'], [2, 'c']))).toBe(0);
  });

  it('do not depend on the order of arrival', () => {
    expect(levelOf(abc, at([10, 'c'], [0, 'a'], [5, 'b']))).toBe(3);
  });

  it('take a later first step as a new chain that goes on beside the old one', () => {
    expect(levelOf(abc, at([0, 'a'], [8, 'a'], [9, 'b'], [18, 'c']))).toBe(3);
    expect(levelOf(abc, at([0, 'a'], [2, 'b'], [8, 'a'], [10, 'c']))).toBe(3);
  });

  it('of strict_order end at what comes out of turn', () => {
    const strict = funnelOf(['a', 'b', 'c'], 10, 'strict_order');
    expect(levelOf(strict, at([0, 'a'], [1, 'x'], [2, 'b'], [3, 'c']))).toBe(1);
    expect(levelOf(strict, at([0, 'x'], [1, 'a'], [2, 'b'], [3, 'c']))).toBe(3);
    expect(levelOf(strict, at([0, 'a'], [1, 'c'], [2, 'b']))).toBe(1);
  });

  it('of strict_increase take steps of one instant once', () => {
    const rising = funnelOf(['a', 'b', 'c'], 10, 'strict_increase');
    expect(levelOf(rising, at([0, 'a'], [0, 'b'], [1, 'c']))).toBe(1);
    expect(levelOf(abc, at([0, 'a'], [0, 'b'], [1, 'c']))).toBe(3);
  });

  it('say at which instant they rose', () => {
    expect(risesOf(abc, at([0, 'a'], [5, 'b'], [9, 'c']))).toEqual([
      { level: 1, timeMs: 0 },
      { level: 2, timeMs: 5 },
      { level: 3, timeMs: 9 },
    ]);
  });

  it('say which arrival brought them: a first step that comes last brings all at once', () => {
    expect(reachedByArrival(abc, at([5, 'b'], [7, 'x'], [9, 'c'], [0, 'a']))).toEqual([
      { level: 1, arrival: 3 },
      { level: 2, arrival: 3 },
      { level: 3, arrival: 3 },
    ]);
    expect(reachedByArrival(abc, at([0, 'a'], [20, 'x'], [5, 'b']))).toEqual([
      { level: 1, arrival: 0 },
      { level: 2, arrival: 2 },
    ]);
  });
});

interface GoldenCase {
  readonly id: string;
  readonly kind: string;
  readonly input: {
    readonly ts_unit: string;
    readonly events: [number, number, string][];
    steps: string[];
    window: number;
  };
  readonly expected: Readonly<Record<string, { readonly levels: number[] }>> & { readonly users: number[] };
}

const modes = ['default', 'strict_order', 'strict_increase', 'strict_order+strict_increase'] as const;

describe('what ClickHouse itself answered', () => {
  const file = new URL('../vectors/funnel.json', import.meta.url);
  const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { cases: GoldenCase[] };
  const funnels = cases.filter(({ kind, input }) => kind === 'window_funnel' && input.ts_unit === 's');

  it.each(modes)('in mode %s is what the oracle finds', (mode) => {
    expect(funnels.length).toBeGreaterThan(30);
    for (const { id, input, expected } of funnels) {
      const definition: FunnelDefinition = { name: id, steps: input.steps, windowMs: input.window, mode };
      const levels = expected.users.map((user) =>
        levelOf(definition, at(...input.events.filter(([who]) => who === user).map(rest))),
      );
      expect({ id, levels }).toEqual({ id, levels: expected[mode]!.levels });
    }
  });
});

function rest([, seconds, behaviour]: [number, number, string]): [number, string] {
  return [seconds, behaviour];
}
