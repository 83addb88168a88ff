// A buyer's level must be ClickHouse's, whatever the order of arrival and wherever the stream stopped in between.
import { readFileSync } from 'node:fs';
import { array, assert, constantFrom, integer, property, record, tuple, uniqueArray } from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  advance,
  emptyProgress,
  type FunnelMode,
  type FunnelProgress,
  type FunnelRule,
  level,
  levelAfter,
  type TimedBehaviour,
  windowFunnel,
} from '../../domain/funnel.ts';

const MODES: readonly FunnelMode[] = [
  'default',
  'strict_order',
  'strict_increase',
  'strict_order+strict_increase',
];
const NAMES = ['visit', 'search', 'view', 'inquiry', 'share'];

const ruleArbitrary = record<FunnelRule>({
  steps: array(constantFrom(...NAMES.slice(0, 4)), { minLength: 2, maxLength: 6 }),
  windowMs: constantFrom(0, 1, 4, 10, 100),
  mode: constantFrom(...MODES),
});
const behavioursArbitrary = array(
  record<TimedBehaviour>({ timeMs: integer({ min: 0, max: 25 }), behaviour: constantFrom(...NAMES) }),
  { maxLength: 30 },
);

/** Another statement of ClickHouse's evaluation: a sorted list of (instant, condition), walked once. */
function reference(rule: FunnelRule, behaviours: readonly TimedBehaviour[]): number {
  const strictOrder = rule.mode.includes('strict_order');
  const strictIncrease = rule.mode.includes('strict_increase');
  const rows = behaviours.flatMap(({ timeMs, behaviour }) => {
    const conditions = rule.steps.flatMap((step, index) => (step === behaviour ? [index] : []));
    return (conditions.length === 0 && strictOrder ? [-1] : conditions).map((index) => ({ timeMs, index }));
  });
  rows.sort((a, b) => a.timeMs - b.timeMs || a.index - b.index);
  const chains: { from: number; last: number }[] = [];
  for (const { timeMs, index } of rows) {
    const before = chains[index - 1];
    if (index === 0) chains[0] = { from: timeMs, last: timeMs };
    else if (before === undefined) {
      if (strictOrder && chains.length > 0) return chains.length;
    } else if (timeMs <= before.from + rule.windowMs && !(strictIncrease && before.last >= timeMs)) {
      chains[index] = { from: before.from, last: timeMs };
      if (index === rule.steps.length - 1) return rule.steps.length;
    }
  }
  return chains.length;
}

/** The longest chain there is, tried one by one: what `default` promises in words. */
function longestChain(rule: FunnelRule, behaviours: readonly TimedBehaviour[]): number {
  const from = (step: number, lastMs: number, untilMs: number): number =>
    step === rule.steps.length
      ? step
      : Math.max(
          step,
          ...behaviours
            .filter(
              ({ behaviour, timeMs }) =>
                behaviour === rule.steps[step] && timeMs >= lastMs && timeMs <= untilMs,
            )
            .map(({ timeMs }) => from(step + 1, timeMs, step === 0 ? timeMs + rule.windowMs : untilMs)),
        );
  return from(0, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY);
}

function byTime(behaviours: readonly TimedBehaviour[]): TimedBehaviour[] {
  return [...behaviours].sort((a, b) => a.timeMs - b.timeMs);
}

/** Ends of the instants of sorted behaviours: where a prefix may stop. */
function instantEnds(sorted: readonly TimedBehaviour[]): number[] {
  return sorted.flatMap(({ timeMs }, index) => (sorted[index + 1]?.timeMs === timeMs ? [] : [index + 1]));
}

function advanceInParts(
  rule: FunnelRule,
  sorted: readonly TimedBehaviour[],
  ends: readonly number[],
): FunnelProgress {
  let progress = emptyProgress(rule);
  let from = 0;
  for (const end of [...ends, sorted.length]) {
    progress = advance(rule, progress, sorted, from, end);
    from = end;
  }
  return progress;
}

describe('windowFunnel', () => {
  it('agrees with a second statement of the evaluation, in every mode', () => {
    assert(
      property(ruleArbitrary, behavioursArbitrary, (rule, behaviours) => {
        expect(windowFunnel(rule, behaviours)).toBe(reference(rule, behaviours));
      }),
      { numRuns: 3_000 },
    );
  });

  it('finds the longest chain in default mode', () => {
    const rules = record<FunnelRule>({
      steps: uniqueArray(constantFrom(...NAMES), { minLength: 2, maxLength: 4 }),
      windowMs: constantFrom(0, 3, 10),
      mode: constantFrom<FunnelMode>('default'),
    });
    const few = array(
      record<TimedBehaviour>({ timeMs: integer({ min: 0, max: 20 }), behaviour: constantFrom(...NAMES) }),
      {
        maxLength: 12,
      },
    );
    assert(
      property(rules, few, (rule, behaviours) => {
        expect(windowFunnel(rule, behaviours)).toBe(longestChain(rule, behaviours));
      }),
      { numRuns: 1_000 },
    );
  });

  it('counts a step at the very end of the window, and none a millisecond later', () => {
    for (const mode of MODES) {
      const rule: FunnelRule = { steps: ['visit', 'inquiry'], windowMs: 1_000, mode };
      const inquiredAt = (timeMs: number) =>
        windowFunnel(rule, [
          { timeMs: 5_000, behaviour: 'visit' },
          { timeMs, behaviour: 'inquiry' },
        ]);
      expect([mode, inquiredAt(6_000), inquiredAt(6_001)]).toEqual([mode, 2, 1]);
    }
  });

  it('does not depend on the order of arrival', () => {
    const shuffled = behavioursArbitrary.chain((behaviours) =>
      tuple(
        constantFrom(behaviours),
        uniqueArray(integer({ min: 0, max: Math.max(0, behaviours.length - 1) }), {
          minLength: behaviours.length,
          maxLength: behaviours.length,
        }),
      ),
    );
    assert(
      property(ruleArbitrary, shuffled, (rule, [behaviours, order]) => {
        const other = order.map((index) => behaviours[index]!);
        expect(windowFunnel(rule, other)).toBe(windowFunnel(rule, behaviours));
      }),
      { numRuns: 1_000 },
    );
  });

  it('refuses what is no funnel', () => {
    expect(() => windowFunnel({ steps: ['visit'], windowMs: 1, mode: 'default' }, [])).toThrow(RangeError);
    expect(() => emptyProgress({ steps: new Array(13).fill('visit'), windowMs: 1, mode: 'default' })).toThrow(
      RangeError,
    );
    expect(() => emptyProgress({ steps: ['visit', 'view'], windowMs: -1, mode: 'default' })).toThrow(
      RangeError,
    );
  });
});

describe('advance', () => {
  it('comes to the same progress however the sorted behaviours are cut at instants', () => {
    const cut = behavioursArbitrary.map(byTime).chain((sorted) => {
      const ends = instantEnds(sorted);
      return tuple(
        constantFrom(sorted),
        array(constantFrom(0, ...ends)).map((some) => [...some].sort((a, b) => a - b)),
      );
    });
    assert(
      property(ruleArbitrary, cut, (rule, [sorted, ends]) => {
        const whole = advance(rule, emptyProgress(rule), sorted);
        expect(advanceInParts(rule, sorted, ends)).toEqual(whole);
        expect(level(whole)).toBe(windowFunnel(rule, sorted));
      }),
      { numRuns: 3_000 },
    );
  });

  it('has a level that never falls as the prefix grows, and levelAfter foresees it', () => {
    assert(
      property(ruleArbitrary, behavioursArbitrary.map(byTime), (rule, sorted) => {
        let progress = emptyProgress(rule);
        let from = 0;
        for (const end of instantEnds(sorted)) {
          const next = advance(rule, progress, sorted, from, end);
          expect(level(next)).toBeGreaterThanOrEqual(level(progress));
          expect(levelAfter(rule, progress, sorted, from, end)).toBe(level(next));
          expect(levelAfter(rule, next, sorted, end)).toBe(windowFunnel(rule, sorted));
          progress = next;
          from = end;
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('survives a round trip through JSON at any cut', () => {
    assert(
      property(ruleArbitrary, behavioursArbitrary.map(byTime), (rule, sorted) => {
        for (const end of instantEnds(sorted)) {
          const stored = JSON.parse(JSON.stringify(advance(rule, emptyProgress(rule), sorted, 0, end)));
          expect(levelAfter(rule, stored, sorted, end)).toBe(windowFunnel(rule, sorted));
        }
      }),
      { numRuns: 300 },
    );
  });

  it('answers the same object when nothing changed, and never writes into one it was given', () => {
    const rule: FunnelRule = { steps: ['visit', 'search', 'view'], windowMs: 100, mode: 'default' };
    const first = advance(rule, emptyProgress(rule), [{ timeMs: 1, behaviour: 'visit' }]);
    expect(advance(rule, first, [{ timeMs: 2, behaviour: 'share' }])).toBe(first);
    expect(advance(rule, first, [{ timeMs: 2, behaviour: 'view' }])).toBe(first);
    expect(advance(rule, first, [{ timeMs: 102, behaviour: 'search' }])).toBe(first);
    const frozen = Object.freeze([...first]);
    expect(level(advance(rule, frozen, [{ timeMs: 101, behaviour: 'search' }]))).toBe(2);
    expect(frozen).toEqual(first);
  });

  it('forgets its times once nothing can change the level', () => {
    const rule: FunnelRule = { steps: ['visit', 'search', 'view'], windowMs: 100, mode: 'strict_order' };
    const ended = advance(rule, emptyProgress(rule), [
      { timeMs: 1, behaviour: 'visit' },
      { timeMs: 2, behaviour: 'share' },
    ]);
    expect(ended).toEqual([1]);
    expect(advance(rule, ended, [{ timeMs: 3, behaviour: 'search' }])).toBe(ended);
  });
});

describe('levels of the golden file, cut after every instant', () => {
  interface FunnelCase {
    readonly id: string;
    readonly kind: string;
    readonly input: {
      ts_unit: 's' | 'ms';
      events: [number, number, string][];
      steps: string[];
      window: number;
    };
    readonly expected: Record<string, { levels: number[] }> & { users: number[] };
  }
  const { cases } = JSON.parse(readFileSync(new URL('../vectors/funnel.json', import.meta.url), 'utf8')) as {
    cases: FunnelCase[];
  };
  const funnels = cases.filter(({ kind }) => kind.startsWith('window_funnel'));

  it.each(MODES)('%s', (mode) => {
    let compared = 0;
    for (const { id, input, expected } of funnels) {
      const factor = input.ts_unit === 's' ? 1_000 : 1;
      const rule: FunnelRule = { steps: input.steps, windowMs: input.window * factor, mode };
      expected.users.forEach((user, index) => {
        const own = input.events.filter(([who]) => who === user);
        const sorted = byTime(own.map(([, ts, behaviour]) => ({ timeMs: ts * factor, behaviour })));
        const progress = advanceInParts(rule, sorted, instantEnds(sorted));
        expect(level(progress), `${id} user ${user}`).toBe(expected[mode]!.levels[index]);
        compared += 1;
      });
    }
    expect(compared).toBe(506);
  });
});
