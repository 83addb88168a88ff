// A funnel that is defined while people are on their way, and its past: what comes out is what would have, had it been
// defined from the start. Twelve partitions without servers; the same people, once with the funnel first and once in the middle.
import { describe, expect, it } from 'vitest';
import { type FunnelDefinition, settings as settingsSchema } from '../../domain/definition.ts';
import { type FunnelMode, windowFunnel } from '../../domain/funnel.ts';
import {
  LINKED_DAY_MS,
  LINKED_START_MS,
  LINKED_USERS,
  LINKED_VISITORS,
  linkedLog,
} from '../e2e/support/linked-log.ts';
import { seeded } from '../e2e/support/mixed-log.ts';
import { createEngine, type Engine, type Produced, toPartition } from './support/engine.ts';
import { backfillsOf, boundsOf } from './support/engine-pasts.ts';
import {
  APPEND_MS,
  clockAt,
  documentOf,
  END_MS,
  everywhere,
  type Found,
  FUNNEL,
  found,
  type Happened,
  HOUR_MS,
  identify,
  inTurn,
  LATENESS_MS,
  MINUTE_MS,
  MODES,
  open,
  others,
  PEOPLE,
  pick,
  START_MS,
  settings,
  track,
  worldOf,
} from './support/funnel-world.ts';
import { definitionValue } from './support/partition.ts';

function fromStart(all: readonly Happened[], keys: readonly string[], mode: FunnelMode): Found {
  const engine = open(false);
  engine.run(others.flatMap(everywhere));
  engine.run(everywhere(definitionValue('funnel', FUNNEL, 1, documentOf(mode))));
  inTurn(engine, all);
  engine.run(clockAt(END_MS));
  return found(engine, keys, 1);
}

interface Middle {
  readonly definedMs: number;
  readonly foldedMs: number;
  /** Records of the past come so often. */
  readonly times?: number;
}

function fromTheMiddle(
  all: readonly Happened[],
  keys: readonly string[],
  mode: FunnelMode,
  { definedMs, foldedMs, times = 1 }: Middle,
): Found {
  const engine = open(true);
  engine.run(others.flatMap(everywhere));
  inTurn(
    engine,
    all.filter(({ atMs }) => atMs < definedMs),
  );
  const bounds = engine.partitions.map(({ head }) => head.offset);
  engine.run(everywhere(definitionValue('funnel', FUNNEL, 1, documentOf(mode))));
  const inForce = { id: FUNNEL, revision: 1, hash: '', document: documentOf(mode) };
  const records = backfillsOf(engine, inForce, settings, bounds);
  inTurn(
    engine,
    all.filter(({ atMs }) => atMs >= definedMs && atMs < foldedMs),
  );
  for (let time = 0; time < times; time += 1) for (const record of records) engine.run([record]);
  inTurn(
    engine,
    all.filter(({ atMs }) => atMs >= foldedMs),
  );
  engine.run(clockAt(END_MS));
  return found(engine, keys, 1);
}

const middle = (minutes: number, gapMinutes: number, times = 1): Middle => ({
  definedMs: START_MS + minutes * MINUTE_MS,
  foldedMs: START_MS + (minutes + gapMinutes) * MINUTE_MS,
  times,
});

describe('a funnel defined in the middle, with its past', () => {
  describe.each(MODES)('%s', (mode) => {
    it.each([1, 3, 6, 7])('has the numbers of one that was there from the start: world %i', (seed) => {
      const { all, keys } = worldOf(seed, 0);
      const expected = fromStart(all, keys, mode);
      const random = seeded(seed + 1_000);
      // Nothing between the definition and its past; an hour in which people go on and sign in; and a past that comes twice.
      for (const [gap, times] of [
        [0, 1],
        [60, 1],
        [120, 2],
      ] as const) {
        const minutes = Math.floor(random() * 18 * 60);
        const outcome = fromTheMiddle(all, keys, mode, middle(minutes, gap, times));
        expect(outcome, `${minutes} + ${gap}`).toEqual(expected);
      }
    });

    it.each([21, 22, 23])('has them too where records come out of order: world %i', (seed) => {
      const { all, keys } = worldOf(seed, LATENESS_MS - 1);
      const expected = fromStart(all, keys, mode);
      const random = seeded(seed + 1_000);
      const minutes = Math.floor(random() * 18 * 60);
      expect(fromTheMiddle(all, keys, mode, middle(minutes, 0)), `${minutes}`).toEqual(expected);
      // What came between the two is known by its event times alone: the hour of a step may differ, the step may not.
      const { levels, byStep } = fromTheMiddle(all, keys, mode, middle(minutes, 90));
      expect({ levels, byStep }, `${minutes} + 90`).toEqual({
        levels: expected.levels,
        byStep: expected.byStep,
      });
    });
  });
});

/** One visitor or user, defined and folded at will. */
function scene(mode: FunnelMode = 'default') {
  const engine = open(true);
  engine.run(others.flatMap(everywhere));
  const happen = (...produced: Produced[]): void => {
    for (const each of produced) engine.run([each]);
  };
  let revision = 0;
  let bounds: number[] = [];
  const define = (document: FunnelDefinition = documentOf(mode)): void => {
    revision += 1;
    bounds = engine.partitions.map(({ head }) => head.offset);
    engine.run(everywhere(definitionValue('funnel', FUNNEL, revision, document)));
  };
  const past = (document: FunnelDefinition = documentOf(mode)): Produced[] =>
    backfillsOf(engine, { id: FUNNEL, revision, hash: '', document }, settings, bounds);
  const did = (key: string, event: string, minute: number): Produced =>
    track(key, event, START_MS + minute * MINUTE_MS, 'DE', `${key}-${event}-${minute}`);
  const outcome = (keys: string[], of = revision): Found => found(engine, keys, of);
  return { engine, happen, define, past, did, outcome };
}

describe('a past', () => {
  it('moves what was counted since to where it belongs', () => {
    const { happen, define, past, did, outcome } = scene();
    happen(did('u:one', 'view', 0));
    define();
    happen(did('u:one', 'view', 90));
    expect(outcome(['u:one']).byStep).toEqual({ '0': 1, '1': 0, '2': 0 });
    happen(...past());
    const hour = START_MS / HOUR_MS;
    expect(outcome(['u:one']).counts).toEqual({ [`${hour} DE|unknown|direct 0`]: 1 });
    // The chain goes on from before the record.
    happen(did('u:one', 'contact', 150));
    expect(outcome(['u:one']).levels).toEqual({ 'u:one': 2 });
  });

  it('of a revision that is no longer in force is dropped, and A → B → A has its own', () => {
    const { happen, define, past, did, outcome } = scene();
    happen(did('u:one', 'view', 0), did('u:one', 'contact', 5));
    define();
    const first = past();
    happen(...first);
    expect(outcome(['u:one']).levels).toEqual({ 'u:one': 2 });
    const other = { ...documentOf('default'), steps: ['contact', 'view'] };
    define(other);
    expect(outcome(['u:one']).levels).toEqual({ 'u:one': 2 });
    happen(...first, did('u:one', 'search', 6));
    const second = past(other);
    define();
    happen(...second, ...first);
    happen(did('u:one', 'view', 7));
    expect(outcome(['u:one'], 3).byStep).toEqual({ '0': 1, '1': 0, '2': 0 });
    expect(outcome(['u:one'], 2).byStep).toEqual({});
    happen(...past());
    expect(outcome(['u:one'], 3).byStep).toEqual({ '0': 1, '1': 1, '2': 0 });
    expect(outcome(['u:one'], 3).levels).toEqual({ 'u:one': 2 });
  });

  it('of a linked visitor is its user’s, and falls with the link', () => {
    const { engine, happen, define, past, did, outcome } = scene();
    const [user, visitor] = ['u:one', 'a:one'];
    happen(did(visitor, 'view', 0), identify(user, visitor, START_MS + MINUTE_MS), did(user, 'contact', 2));
    define();
    happen(...past());
    expect(outcome([user, visitor]).levels).toEqual({ [user]: 2, [visitor]: 1 });
    expect(outcome([]).byStep).toEqual({ '0': 1, '1': 1, '2': 0 });
    const link = engine.of(visitor).buyer(visitor)!.links!.current!.id;
    const said = { by: 'ana', why: 'not the same', timestamp: START_MS + 3 * MINUTE_MS };
    happen(toPartition(visitor, { kind: 'revoke', messageId: 'revoke', key: visitor, link, ...said }));
    expect(outcome([user, visitor]).levels).toEqual({ [user]: 0, [visitor]: 1 });
    expect(outcome([]).byStep).toEqual({ '0': 1, '1': 1, '2': 0 });
  });

  it('leaves out what came by a link that was taken back before it', () => {
    const { engine, happen, define, past, did, outcome } = scene();
    const [user, visitor] = ['u:one', 'a:one'];
    happen(did(visitor, 'view', 0), identify(user, visitor, START_MS + MINUTE_MS), did(user, 'contact', 2));
    define();
    const records = past();
    const link = engine.of(visitor).buyer(visitor)!.links!.current!.id;
    const said = { by: 'ana', why: 'not the same', timestamp: START_MS + 3 * MINUTE_MS };
    happen(toPartition(visitor, { kind: 'revoke', messageId: 'revoke', key: visitor, link, ...said }));
    happen(...records);
    expect(outcome([user, visitor]).levels).toEqual({ [user]: 0, [visitor]: 1 });
  });

  it('that comes after the visitor was linked goes on to its user, and nothing is counted twice', () => {
    const { happen, define, past, did, outcome } = scene();
    const [user, visitor] = ['u:one', 'a:one'];
    happen(did(user, 'search', 0), did(visitor, 'view', 0), did(visitor, 'contact', 1));
    define();
    const records = past();
    happen(identify(user, visitor, START_MS + 2 * MINUTE_MS), did(user, 'order', 3), ...records);
    expect(outcome([user]).levels).toEqual({ [user]: 3 });
    expect(outcome([]).byStep).toEqual({ '0': 1, '1': 1, '2': 1 });
  });

  it('of a buyer whose state is gone makes it anew', () => {
    const { engine, happen, define, past, did, outcome } = scene();
    happen(did('u:one', 'view', 0));
    define();
    const records = past();
    const other = createEngine({
      cuts: { sizes: [1], restarts: true },
      appendMs: APPEND_MS,
      random: () => 0,
      repeats: 0,
    });
    other.run(others.flatMap(everywhere));
    other.run(everywhere(definitionValue('funnel', FUNNEL, 1, documentOf('default'))));
    for (const record of records) other.run([record]);
    expect(found(other, ['u:one'], 1).levels).toEqual({ 'u:one': 1 });
    expect(engine.of('u:one').buyer('u:one')!.totals).toHaveLength(1);
    expect(outcome(['u:one']).levels).toEqual({ 'u:one': 0 });
  });
});

describe('whatever the order in which partitions run, and whatever arrives twice', () => {
  const inOrder = (happened: readonly Happened[]): Produced[] => happened.map(({ produced }) => produced);

  /** What all keys of one person did, once each. */
  function behavioursOf(all: readonly Happened[], who: readonly string[]) {
    return all
      .map(({ produced }) => JSON.parse(produced.value) as Record<string, string | number>)
      .filter(({ kind }) => kind === 'track')
      .filter(({ userId, anonymousId }) =>
        who.includes(userId === undefined ? `a:${anonymousId}` : `u:${userId}`),
      )
      .map(({ timestamp, event }) => ({ timeMs: Number(timestamp), behaviour: String(event) }));
  }

  it.each([31, 32, 111, 128, 150, 158, 171, 181])(
    'the levels are those of all that a person did: world %i',
    (seed) => {
      const { all, keys } = worldOf(seed, LATENESS_MS - 1);
      // All that anybody does is held: what partitions have forgotten before they hear of each other is not joined by any funnel.
      const document = { ...documentOf(pick(seeded(seed), MODES)), windowMs: 24 * HOUR_MS };
      const random = seeded(seed);
      const cuts = { sizes: [1 + Math.floor(random() * 3)], restarts: random() < 0.5 };
      const engine = createEngine({ cuts, appendMs: APPEND_MS, random, repeats: 0.2 });
      engine.run(others.flatMap(everywhere));
      const [half, gap] = [Math.floor(all.length * random()), Math.floor((all.length * random()) / 4)];
      const definition = everywhere(definitionValue('funnel', FUNNEL, 1, document));
      engine.run([...inOrder(all.slice(0, half)), ...definition, ...inOrder(all.slice(half, half + gap))]);
      const inForce = { id: FUNNEL, revision: 1, hash: '', document };
      const past = backfillsOf(engine, inForce, settings, boundsOf(engine, FUNNEL, 1));
      engine.run([...past, ...past, ...inOrder(all.slice(half + gap))]);
      engine.run(clockAt(END_MS));
      const { levels } = found(engine, keys, 1);
      for (let person = 0; person < PEOPLE; person += 1) {
        const [user, visitor] = [keys[2 * person]!, keys[2 * person + 1]!];
        const isLinked = engine.of(visitor).buyer(visitor)?.links != null;
        const together = behavioursOf(all, isLinked ? [user, visitor] : [user]);
        expect(levels[user], user).toBe(windowFunnel(document, together));
        expect(levels[visitor], visitor).toBe(windowFunnel(document, behavioursOf(all, [visitor])));
      }
    },
  );
});

describe('a log of everything that a partition meets', () => {
  const keys = [...LINKED_USERS, ...LINKED_VISITORS];
  const events = [
    'Product Viewed',
    'Supplier Contacted',
    'Inquiry Sent',
    'Order Completed',
    'Products Searched',
  ];
  const mixed = settingsSchema.parse({ latenessMs: LATENESS_MS });
  const base = [
    definitionValue('settings', 'default', 1, mixed),
    definitionValue('behaviours', 'default', 1, {
      rules: events.map((event, index) => ({
        kind: 'track',
        event,
        behaviour: ['view', 'contact', 'inquiry', 'order', 'search'][index],
      })),
    }),
    definitionValue('lifecycle', 'default', 1, {}),
    definitionValue('opportunity', 'default', 1, {}),
    definitionValue('funnel', 'old', 1, { name: 'old', steps: ['search', 'order'], windowMs: LINKED_DAY_MS }),
  ];
  const appendMs = LINKED_START_MS + 100 * LINKED_DAY_MS;
  const feed = (engine: Engine, part: readonly (readonly Produced[])[]): void => {
    for (const record of part.flat()) engine.run([record]);
  };
  const byHour = ({ counts }: Found): Record<string, number> => {
    const sums: Record<string, number> = {};
    for (const [name, amount] of Object.entries(counts)) {
      const [hour, , step] = /^(\d+) (.*) (\d+)$/.exec(name)!.slice(1);
      sums[`${hour} ${step}`] = (sums[`${hour} ${step}`] ?? 0) + amount;
    }
    return Object.fromEntries(Object.entries(sums).filter(([, amount]) => amount !== 0));
  };

  it.each([
    ['default', 5, 0.5, 0.5, false],
    ['default', 5, 0.5, 0.63, true],
    ['default', 6, 0.5, 0.63, false],
    ['default', 9, 0.5, 0.63, true],
    ['default', 107, 0.5, 0.63, false],
    ['default', 228, 0.5, 0.56, true],
    ['default', 246, 0.5, 0.56, true],
    ['strict_increase', 5, 0.5, 0.63, true],
    ['strict_increase', 7, 0.5, 0.6, true],
    // No merges between the two: there a strict order knows only what is held.
    ['strict_order', 5, 0.6, 0.75, true],
    ['strict_order+strict_increase', 8, 0.6, 0.75, false],
  ] as const)('%s, log %i, defined at %f, known at %f, at once: %s', (mode, seed, defined, known, atOnce) => {
    const document = {
      name: mode,
      steps: ['view', 'contact', 'inquiry'],
      windowMs: LINKED_DAY_MS,
      mode,
    } satisfies FunnelDefinition;
    const definition = everywhere(definitionValue('funnel', FUNNEL, 1, document));
    const [first, second, third] = linkedLog(seed, [defined, known, 1]);
    const make = (): Engine => {
      const engine = createEngine({
        cuts: { sizes: [1], restarts: false },
        appendMs,
        random: () => 0,
        repeats: 0,
      });
      engine.run(base.flatMap(everywhere));
      return engine;
    };
    const start = make();
    start.run(definition);
    for (const part of [first!, second!, third!]) feed(start, part);
    start.run(clockAt(LINKED_START_MS + 3 * LINKED_DAY_MS));
    const late = make();
    feed(late, first!);
    const bounds = late.partitions.map(({ head }) => head.offset);
    late.run(definition);
    feed(late, second!);
    const past = backfillsOf(late, { id: FUNNEL, revision: 1, hash: '', document }, mixed, bounds);
    // Visitors first, and what they send on before their users' own; or all at once, as `jobs` writes them.
    if (atOnce) late.run(past);
    else for (const record of past) late.run([record]);
    feed(late, third!);
    late.run(clockAt(LINKED_START_MS + 3 * LINKED_DAY_MS));
    const [expected, outcome] = [found(start, keys, 1), found(late, keys, 1)];
    expect(outcome.levels).toEqual(expected.levels);
    expect(byHour(outcome)).toEqual(byHour(expected));
    // Attributes change all the time here: in the same cells only if nothing came between the record and the past.
    if (known === defined && mode === 'default') expect(outcome.counts).toEqual(expected.counts);
  });
});
