// Oracle and stream, each by its own means, over logs in which funnels come and change and their pasts follow, between
// people with devices that are linked, shared and taken back. Nothing differs.
import { describe, expect, it } from 'vitest';
import { type FunnelDefinition, funnel as funnelSchema, type Settings } from '../../domain/definition.ts';
import type { FunnelMode } from '../../domain/funnel.ts';
import type { KeptDefinition } from '../../domain/in-force.ts';
import { type BackfillProgress, unstarted } from '../../platform/backfill-progress.ts';
import { compareAdjustments } from '../../verify/adjustments.ts';
import { compareWindowsHeld } from '../../verify/aggregates.ts';
import { compareBuyers } from '../../verify/buyer-states.ts';
import type { Comparison } from '../../verify/compare.ts';
import { compareBackfills } from '../../verify/identity/compare-backfills.ts';
import { compareSent } from '../../verify/identity/compare-sent.ts';
import { seeded } from '../e2e/support/mixed-log.ts';
import { type Produced, toPartition } from '../stream/support/engine.ts';
import { backfillsOf, boundsOf } from '../stream/support/engine-pasts.ts';
import { definitionValue } from '../stream/support/partition.ts';
import { createRecordedEngine, type RecordedEngine, scopeOf } from './support/engine-scope.ts';
import { APPEND_MS, definitionsOf, liveThrough } from './support/identity-world.ts';
import { levelsByBruteForce } from './support/levels.ts';

const WORLDS = 40;
const HOUR_MS = 3_600_000;
const MODES: FunnelMode[] = ['default', 'strict_order', 'strict_increase', 'strict_order+strict_increase'];

const everywhere = (value: string): Produced[] =>
  Array.from({ length: 12 }, (_, partition) => ({ partition, value }));

function settingsOf(engine: RecordedEngine): Settings {
  const kept = engine.partitions[0]!.stored().kept as KeptDefinition[];
  return kept.find(({ type }) => type === 'settings')!.document as unknown as Settings;
}

/** Three funnels come, and one of them changes; the past of each follows some rounds later, some of it twice. */
function funnelsAndPasts(
  engine: RecordedEngine,
  random: () => number,
  written: BackfillProgress[],
): (round: number) => Produced[] {
  const due = new Map<number, (() => Produced[])[]>();
  const at = (round: number, what: () => Produced[]): void => {
    due.set(round, [...(due.get(round) ?? []), what]);
  };
  const come = (id: string, revision: number, round: number): void => {
    const document: FunnelDefinition = funnelSchema.parse({
      name: id,
      steps: random() < 0.5 ? ['view', 'contact', 'order'] : ['visit', 'view', 'inquiry'],
      windowMs: HOUR_MS * (1 + Math.floor(random() * 30)),
      mode: MODES[Math.floor(random() * MODES.length)]!,
    });
    const past = (): Produced[] => {
      written.push({ ...unstarted(id, revision), status: 'done' });
      const funnel = { id, revision, hash: '', document };
      return backfillsOf(engine, funnel, settingsOf(engine), boundsOf(engine, id, revision));
    };
    at(round, () => everywhere(definitionValue('funnel', id, revision, document)));
    const first = round + 1 + Math.floor(random() * 3);
    at(first, past);
    if (random() < 0.5) at(first + 1, past);
  };
  come('late', 1, 2);
  come('later', 1, 4);
  come('late', 2, 5);
  come('reach', 3, 7);
  return (round) => (due.get(round) ?? []).flatMap((what) => what());
}

describe('what jobs said', () => {
  const timeMs = Date.UTC(2024, 3, 1, 9);
  const document = funnelSchema.parse({ name: 'f', steps: ['view', 'order'], windowMs: HOUR_MS });
  const track = (key: string, event: string, minute: number): Produced => {
    const timestamp = timeMs + minute * 60_000;
    const common = {
      kind: 'track',
      event,
      messageId: `${key}-${minute}`,
      userId: key.slice(2),
      supplied: true,
    };
    return toPartition(key, { ...common, timestamp, receivedAt: timestamp });
  };

  /** Somebody views and orders, then the funnel comes. */
  function recorded(mode: FunnelMode = 'default'): { engine: RecordedEngine; past: Produced } {
    const engine = createRecordedEngine({
      cuts: { sizes: [1], restarts: false },
      appendMs: APPEND_MS,
      random: () => 0,
      repeats: 0,
    });
    engine.run(definitionsOf(() => 0.9));
    engine.run([track('u:plain', 'view', 0), track('u:plain', 'order', 5)]);
    const inForce = { id: 'late', revision: 1, hash: '', document: { ...document, mode } };
    engine.run(everywhere(definitionValue('funnel', 'late', 1, inForce.document)));
    const [past] = backfillsOf(engine, inForce, settingsOf(engine), boundsOf(engine, 'late', 1));
    return { engine, past: past! };
  }

  function differencesOf(change: (record: Record<string, unknown>) => object): string[] {
    const { engine, past } = recorded();
    engine.run([{ ...past, value: JSON.stringify(change(JSON.parse(past.value))) }]);
    const scope = scopeOf(engine, APPEND_MS);
    compareBuyers(scope, levelsByBruteForce(scope));
    compareBackfills(scope);
    expect(scope.comparison.compared('backfill records')).toBe(1);
    return scope.comparison.differences.map(({ kind }) => kind);
  }

  it('is held against the log: a step too many, at another time or in another segment is found', () => {
    expect(differencesOf((record) => record)).toEqual([]);
    const [first, second] = [timeMs, timeMs + 5 * 60_000];
    const cell = 'ZZ|unknown|direct';
    for (const counts of [
      [[0, first, cell]],
      [
        [0, first, cell],
        [1, first, cell],
      ],
      [
        [0, first, cell],
        [1, second, 'DE|unknown|direct'],
      ],
    ])
      expect(differencesOf((record) => ({ ...record, counts }))).toEqual(['backfill records']);
  });

  describe('and left out', () => {
    const done: BackfillProgress = { ...unstarted('late', 1), status: 'done' };
    const compared = (
      { engine }: Pick<ReturnType<typeof recorded>, 'engine'>,
      ...backfills: BackfillProgress[]
    ): Comparison => {
      const scope = { ...scopeOf(engine, APPEND_MS), backfills };
      compareBackfills(scope);
      return scope.comparison;
    };

    it.each(MODES)('is found once all are said to be written, in a funnel of mode %s', (mode) => {
      const { differences, leftOut } = compared(recorded(mode), done);
      expect(differences.map(({ kind, actual }) => [kind, actual])).toEqual([
        ['backfill records', 'missing'],
      ]);
      expect(leftOut).toEqual([]);
    });

    it('is no difference while not all are written, or have not been applied again; it is counted', () => {
      const ends = Array.from({ length: 12 }, () => 1_000);
      for (const progress of [[], [{ ...done, status: 'running' as const }], [{ ...done, ends }]]) {
        const { differences, leftOut } = compared(recorded(), ...progress);
        expect(differences).toEqual([]);
        expect(leftOut.map(({ kind, count }) => [kind, count])).toEqual([['backfill records', 1]]);
      }
    });

    it('is none of somebody who did nothing before, or no step', () => {
      const { engine, past } = recorded();
      engine.run([past, track('u:later', 'view', 10), track('u:later', 'order', 11)]);
      expect(compared({ engine }, done).differences).toEqual([]);
    });

    it('is not known of a past by other settings than it was judged by; it is counted', () => {
      const { engine } = recorded();
      const shorter = { ...settingsOf(engine), latenessMs: 1_000 };
      engine.run(everywhere(definitionValue('settings', 'default', 9, shorter)));
      const { differences, leftOut } = compared({ engine }, done);
      expect(differences).toEqual([]);
      expect(leftOut.map(({ kind, count }) => [kind, count])).toEqual([['backfill records', 1]]);
    });
  });
});

describe('oracle and stream', () => {
  const seeds = Array.from({ length: WORLDS }, (_, seed) => seed + 1);
  it.each(seeds)('agree on what a past makes of everybody: world %i', async (seed) => {
    const random = seeded(seed);
    const cuts = { sizes: [1 + Math.floor(random() * 4)], restarts: random() < 0.3 };
    const engine = createRecordedEngine({ cuts, appendMs: APPEND_MS, random, repeats: 0.1 });
    engine.run(definitionsOf(random));
    const backfills: BackfillProgress[] = [];
    liveThrough(engine, random, funnelsAndPasts(engine, random, backfills));
    const scope = { ...scopeOf(engine, APPEND_MS), backfills };
    compareBuyers(scope, levelsByBruteForce(scope));
    compareSent(scope);
    compareBackfills(scope);
    compareWindowsHeld(scope);
    await compareAdjustments(scope);
    expect(scope.comparison.differences.slice(0, 3)).toEqual([]);
    const backfilled = scope.events.flatMap(({ stored }) =>
      [...stored.buyers.values()].filter(({ funnels }) => funnels.some((each) => each.backfilled)),
    );
    expect(backfilled.length).toBeGreaterThan(0);
  });
});
