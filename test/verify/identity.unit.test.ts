// Oracle and stream, each by its own means, over the same logs: people with devices that are linked, shared, taken back and
// forgotten, under small limits, in any order. Nothing differs.
import { describe, expect, it } from 'vitest';
import { otherCell } from '../../stream/window.ts';
import { compareAdjustments } from '../../verify/adjustments.ts';
import { compareWindowsHeld } from '../../verify/aggregates.ts';
import { compareBuyers } from '../../verify/buyer-states.ts';
import {
  compareExposureRows,
  compareOpportunityRows,
  compareTransitionRows,
} from '../../verify/fact-rows.ts';
import { compareSent } from '../../verify/identity/compare-sent.ts';
import { compareIdentityRows } from '../../verify/identity/rows.ts';
import { isBehaved } from '../../verify/judge.ts';
import type { EventsScope, Scope } from '../../verify/scope.ts';
import { seeded } from '../e2e/support/mixed-log.ts';
import { cellsOf, createRecordedEngine, eventsScopeOf, scopeOf } from './support/engine-scope.ts';
import { APPEND_MS, changesOfWaits, definitionsOf, liveThrough, ROUNDS } from './support/identity-world.ts';
import { levelsByBruteForce } from './support/levels.ts';

const WORLDS = 30;

async function compareAll(scope: Scope): Promise<void> {
  compareBuyers(scope, levelsByBruteForce(scope));
  compareSent(scope);
  compareWindowsHeld(scope);
  await compareIdentityRows(scope);
  await compareTransitionRows(scope);
  await compareOpportunityRows(scope);
  await compareExposureRows(scope);
  await compareAdjustments(scope);
}

/** Users to whom links have brought more of a visitor than it did. */
function broughtTwice({ events }: Scope): string[] {
  const did = new Map<string, number>();
  for (const { people } of events) {
    for (const { key, ...own } of people.judgedByOffset.values())
      if (isBehaved({ key, ...own })) did.set(key, (did.get(key) ?? 0) + 1);
  }
  return events.flatMap(({ stored }) =>
    [...stored.buyers.values()].flatMap(({ key, parts }) => {
      const brought = new Map<string, number>();
      for (const { visitor, totals } of parts)
        brought.set(
          visitor,
          totals.reduce((sum, { count }) => sum + count, brought.get(visitor) ?? 0),
        );
      return [...brought]
        .filter(([visitor, count]) => visitor !== '' && count > (did.get(visitor) ?? 0))
        .map(([visitor, count]) => `${key}: ${count} by ${visitor}, which did ${did.get(visitor)}`);
    }),
  );
}

/** Whether some window has more cells than seats. */
const hasUnseated = ({ events }: Scope): boolean =>
  events.some(({ stored }) => [...stored.windows.values()].some((cells) => otherCell in cells));

it('what a window holds is read cell by cell, counts below 0 too', () => {
  expect(cellsOf('DE|a,b|ads=1,0,other||=-1,0,-12,|x|=0,3')).toEqual([
    ['DE|a,b|ads', '1,0'],
    ['other||', '-1,0,-12'],
    ['|x|', '0,3'],
  ]);
});

describe('oracle and stream', () => {
  let unseated = 0;
  const seeds = Array.from({ length: WORLDS }, (_, seed) => seed + 1);
  it.each(seeds)('agree on everything: world %i', async (seed) => {
    const random = seeded(seed);
    const cuts = { sizes: [1 + Math.floor(random() * 4)], restarts: random() < 0.3 };
    const engine = createRecordedEngine({ cuts, appendMs: APPEND_MS, random, repeats: 0.1 });
    engine.run(definitionsOf(random));
    liveThrough(engine, random);
    const scope = scopeOf(engine, APPEND_MS);
    await compareAll(scope);
    expect(scope.comparison.differences.slice(0, 3)).toEqual([]);
    expect(broughtTwice(scope)).toEqual([]);
    if (hasUnseated(scope)) unseated += 1;
    // A world in which nothing was looked at would prove nothing.
    for (const kind of ['links', 'parts', 'linked levels', 'forward records', 'received positions'])
      expect(scope.comparison.compared(kind), kind).toBeGreaterThan(0);
  });

  it.each(seeds)('agree though lateness, memories and waits change: world %i', async (seed) => {
    const random = seeded(seed);
    const cuts = { sizes: [1 + Math.floor(random() * 4)], restarts: random() < 0.3 };
    const engine = createRecordedEngine({ cuts, appendMs: APPEND_MS, random, repeats: 0.1 });
    engine.run(definitionsOf(random));
    liveThrough(engine, random, changesOfWaits(random));
    const scope = scopeOf(engine, APPEND_MS);
    await compareAll(scope);
    expect(scope.comparison.differences.slice(0, 3)).toEqual([]);
    expect(broughtTwice(scope)).toEqual([]);
    if (hasUnseated(scope)) unseated += 1;
  });

  it('had worlds in which cells found no seat', () => {
    expect(unseated).toBeGreaterThan(WORLDS / 2);
  });

  it.each(seeds.slice(0, 5))(
    'agree where partitions were read at different times, and what was passed over is counted: world %i',
    (seed) => {
      const random = seeded(seed);
      const cuts = { sizes: [1 + Math.floor(random() * 4)], restarts: false };
      const engine = createRecordedEngine({ cuts, appendMs: APPEND_MS, random, repeats: 0.1 });
      engine.run(definitionsOf(random));
      const early: EventsScope[] = [];
      liveThrough(engine, random, (round) => {
        if (round === ROUNDS / 2)
          early.push(...engine.partitions.map((_, partition) => eventsScopeOf(engine, partition, APPEND_MS)));
        return [];
      });
      const scope = scopeOf(engine, APPEND_MS);
      const events = scope.events.map((late, partition) => (partition % 2 === 0 ? early[partition]! : late));
      compareSent({ ...scope, events });
      expect(scope.comparison.differences.slice(0, 3)).toEqual([]);
      const reasons = scope.comparison.leftOut.map(({ why }) => why);
      expect(reasons).toContain('of what their source did behind what was read');
      expect(reasons).toContain('that may stand behind what was read');
    },
  );
});
