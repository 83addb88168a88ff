// What a level needs of links, and funnels computed anew from what is held: the same as by the rule's own words, in bounded work.
import { readFileSync } from 'node:fs';
import { array, assert, boolean, constantFrom, integer, property, record } from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Buyer,
  type BuyerFunnel,
  newBuyer,
  newFunnel,
  newHistory,
  type RememberedBehaviour,
} from '../../domain/buyer.ts';
import type { FunnelDefinition } from '../../domain/definition.ts';
import { readDocument } from '../../domain/definition.ts';
import type { Effect } from '../../domain/effect.ts';
import { advance, emptyProgress, type FunnelMode, level, levelAfter } from '../../domain/funnel.ts';
import { recompute } from '../../domain/funnel-foreign.ts';
import { levelOf, noteLevel } from '../../domain/funnel-levels.ts';
import { countSteps } from '../../domain/funnel-progress.ts';
import { instantEnd, since } from '../../domain/funnel-slice.ts';
import { arrange, type FunnelInForce, type KeptDefinition } from '../../domain/in-force.ts';
import { mergeHistory } from '../../domain/linked-history.ts';

const MODES: readonly FunnelMode[] = [
  'default',
  'strict_order',
  'strict_increase',
  'strict_order+strict_increase',
];
const NAMES = ['visit', 'search', 'view', 'inquiry', 'share'];
const PARTS = 6;
const START_MS = Date.UTC(2026, 0, 1);

const documentArbitrary = record({
  name: constantFrom('any'),
  steps: array(constantFrom(...NAMES.slice(0, 4)), { minLength: 2, maxLength: 6 }),
  windowMs: constantFrom(1, 4, 10, 100),
  mode: constantFrom(...MODES),
});
const behavioursArbitrary = array(
  record<RememberedBehaviour>({
    timeMs: integer({ min: 0, max: 25 }),
    behaviour: constantFrom(...NAMES),
    epoch: integer({ min: 0, max: 2 }),
    part: integer({ min: 0, max: PARTS }),
  }),
  { maxLength: 30 },
).map((behaviours) => behaviours.sort((a, b) => a.timeMs - b.timeMs));

function inForce(document: FunnelDefinition, epoch: number): FunnelInForce {
  const [funnel] = arrange([
    { type: 'funnel', id: 'any', revision: 1, hash: '', document, epoch },
  ] as KeptDefinition[]).funnels;
  return funnel!;
}

function partsOf(count: number): Buyer['parts'] {
  return Array.from({ length: count + 1 }, (_, number) => {
    return { number, link: `${number}`, visitor: '', mergedMs: START_MS, ended: false, ...newHistory() };
  });
}

function userOf(behaviours: readonly RememberedBehaviour[], settledCount: number, isWhole: boolean): Buyer {
  const totals = [{ behaviour: 'any', count: behaviours.length + (isWhole ? 0 : 1) }];
  const own = {
    behaviours: [...behaviours],
    settledCount,
    totals,
    parts: partsOf(PARTS),
    nextPart: PARTS + 1,
  };
  return Object.assign(newBuyer('u:any'), own);
}

const ownIn = (): BuyerFunnel => newFunnel('any', 1, 0, []);

/** The rule in its own words. */
function neededInWords(
  state: Buyer,
  own: BuyerFunnel,
  funnel: FunnelInForce,
  reached: number,
  until: number,
): number[] {
  const { behaviours, from, to } = since(state, own, funnel, 0, until);
  const needed = new Set(state.parts.map(({ number }) => number).filter((number) => number !== 0));
  for (const part of [...needed]) {
    needed.delete(part);
    const without = behaviours
      .slice(from, to)
      .filter((behaviour) => behaviour.part === 0 || needed.has(behaviour.part));
    if (levelAfter(funnel.document, [], without) < reached) needed.add(part);
  }
  return [...needed];
}

/** As `recompute`, with the progress made anew at each instant. */
function recomputeByInstants(state: Buyer, own: BuyerFunnel, funnel: FunnelInForce, effects: Effect[]): void {
  const { behaviours, settledCount } = state;
  const until = funnel.strict ? settledCount : behaviours.length;
  let progress = emptyProgress(funnel.document);
  own.settled = progress;
  for (let from = 0; from < until; ) {
    const to = instantEnd(behaviours, from, until);
    const part = since(state, own, funnel, from, to);
    progress = advance(funnel.document, progress, part.behaviours, part.from, part.to);
    if (to <= settledCount) own.settled = progress;
    countSteps(state, own, funnel, level(progress), behaviours[from]!.timeMs, to, effects);
    from = to;
  }
}

describe('what a level needs of links', () => {
  it('is what is left when each in turn is left out, in all modes, whether or not what is held reaches the level', () => {
    assert(
      property(
        documentArbitrary,
        behavioursArbitrary,
        integer({ min: 1, max: 6 }),
        integer({ min: 0, max: 30 }),
        integer({ min: 0, max: 2 }),
        (document, behaviours, reached, cut, epoch) => {
          const funnel = inForce(document, epoch);
          const state = userOf(behaviours, 0, true);
          const own = ownIn();
          const until = Math.min(cut, behaviours.length);
          noteLevel(state, own, funnel, reached, until);
          const parts = neededInWords(state, own, funnel, reached, until);
          expect(own.reached).toEqual([{ level: reached, parts }]);
        },
      ),
      { numRuns: 5_000 },
    );
  });
});

describe('a funnel computed anew', () => {
  it('comes to what instant by instant comes to', () => {
    assert(
      property(
        documentArbitrary,
        behavioursArbitrary,
        integer({ min: 0, max: 30 }),
        integer({ min: 0, max: 2 }),
        boolean(),
        boolean(),
        (document, behaviours, cut, epoch, isWhole, isAlone) => {
          const funnel = inForce(document, epoch);
          const ways = [recompute, recomputeByInstants].map((compute) => {
            const state = userOf(behaviours, Math.min(cut, behaviours.length), isWhole);
            if (isAlone) Object.assign(state, { parts: [], nextPart: 1 });
            const own = ownIn();
            const effects: Effect[] = [];
            compute(state, own, funnel, effects);
            return { own, effects };
          });
          expect(ways[0]).toEqual(ways[1]);
        },
      ),
      { numRuns: 5_000 },
    );
  });
});

/** How often `new Array` is called, as it is for each progress that is built. */
function arraysMade(work: () => void): number {
  const { Array: original } = globalThis;
  let made = 0;
  globalThis.Array = new Proxy(original, {
    construct(target, args) {
      made += 1;
      return Reflect.construct(target, args);
    },
  });
  try {
    work();
  } finally {
    globalThis.Array = original;
  }
  return made;
}

describe('a company with very many behaviours', () => {
  it('has its funnels computed anew without a progress for each of them', () => {
    const funnel = inForce({ name: 'any', steps: ['visit', 'search'], windowMs: 10, mode: 'default' }, 0);
    const behaviours = Array.from({ length: 1_000 }, (_, index) => {
      return { timeMs: START_MS + index * 1_000, behaviour: 'visit', epoch: 1, part: 0 };
    });
    const company = userOf(behaviours, behaviours.length, true);
    Object.assign(company, { key: 'c:any', parts: [], nextPart: 1 });
    const own = ownIn();
    expect(arraysMade(() => recompute(company, own, funnel, []))).toBeLessThanOrEqual(1);
    expect(own.settled).toEqual([1, behaviours.at(-1)!.timeMs]);
  });
});

describe('a user that somebody fills with links', () => {
  const HELD = 985;
  const LINKS = 50;
  const kept = ['purchase', 'sourcing', 'purchase-strict', 'inquiry-session'].map((id, index) => {
    const raw = JSON.parse(readFileSync(`definitions/funnel/${id}.json`, 'utf8'));
    return {
      type: 'funnel',
      id,
      revision: 1,
      hash: '',
      document: readDocument('funnel', raw),
      epoch: index + 1,
    };
  });
  const context = {
    nowMs: START_MS + 3_600_000,
    partition: 0,
    offset: 1,
    appendMs: 0,
    definitions: arrange(kept as KeptDefinition[]),
  };

  /** How often a behaviour's name is looked at while one link more, with nothing behind it, is merged. */
  function looksPerMerge(often: string, partOf: (index: number) => number): number {
    let looks = 0;
    const names = [
      ...Array.from({ length: HELD }, () => often),
      'visit',
      'search',
      'view',
      'contact',
      'inquiry',
      'order',
    ];
    const behaviours = names.map((name, index) => ({
      timeMs: START_MS + index * 1_000,
      get behaviour() {
        looks += 1;
        return name;
      },
      epoch: 4,
      part: partOf(index),
    }));
    const state = userOf(behaviours, 0, true);
    Object.assign(state, { parts: partsOf(LINKS), nextPart: LINKS + 1, lastMs: START_MS });
    const history = {
      ...newHistory(),
      history: false,
      visitDays: [],
      overflow: false,
      counted: [],
      opportunities: [],
    };
    const base = { ...history, stage: null, maturedMs: 0 };
    const origin = { generation: 1, partition: 0, offset: 0, ordinal: 0 };
    const link = { origin, link: 'fresh', visitor: 'a:fresh', chunk: 0, chunks: 1, base, behaviours: [] };
    mergeHistory(state, { kind: 'merge', key: 'u:any', ...link }, context, []);
    expect(Math.max(...state.funnels.map((own) => levelOf(state, own)))).toBe(6);
    return looks;
  }

  const own = (): number => 0;
  const oneInEach = (index: number): number => (index < LINKS ? index + 1 : 0);
  // Each level of each funnel is looked for once without all links, and where order is strict once without each that has a step.
  it.each([
    ['what is no step', 'fulfil', own, 50],
    ['a step', 'visit', own, 50],
    ['a step, one in each part', 'visit', oneInEach, 50],
    ['a step of strict funnels, one in each part', 'view', oneInEach, 400],
  ])('and very often with %s, costs some looks at each behaviour a merge', (_name, often, partOf, looks) => {
    expect(looksPerMerge(often, partOf)).toBeLessThan(looks * HELD);
  });
});
