// Levels of persons beside a log that goes on: whoever rests is compared, and of whom anything is under way is left out and counted.
import { describe, expect, it } from 'vitest';
import { buyerPartition } from '../../platform/keys.ts';
import { Comparison, type LeftOut } from '../../verify/compare.ts';
import { compareLevels } from '../../verify/identity/compare-persons.ts';
import { personsOf } from '../../verify/identity/persons.ts';
import { keysIn } from '../../verify/identity/under-way.ts';
import { leftOutAs } from '../../verify/identity/whole-persons.ts';
import { describe as reportOf } from '../../verify/report.ts';
import type { EventsScope, Scope } from '../../verify/scope.ts';
import { seeded } from '../e2e/support/mixed-log.ts';
import { type Produced, toPartition } from '../stream/support/engine.ts';
import { createRecordedEngine, eventsScopeOf, logOf, type RecordedEngine } from './support/engine-scope.ts';
import { linked, revoked, visited } from './support/identity-records.ts';
import { APPEND_MS } from './support/identity-world.ts';
import { scratchClickHouse } from './support/scratch-clickhouse.ts';
import {
  type Body,
  DAY_MS,
  definition,
  event,
  logOf as handMade,
  plainBehaviours,
} from './support/synthetic-log.ts';

/** Compares levels as they are found in partitions that were read one by one, and what the log told of since. */
async function compared(events: readonly EventsScope[], keysSince: ReadonlySet<string>): Promise<Comparison> {
  const comparison = new Comparison();
  const scope = { comparison, clickhouse: scratchClickHouse(), events, keysSince } as unknown as Scope;
  await compareLevels(scope, personsOf(events));
  return comparison;
}

const personsLeftOut = ({ leftOut }: Comparison, why: string): number =>
  leftOut.find((each) => each.why === why)?.count ?? 0;

const everywhere = (value: Body): Produced[] =>
  Array.from({ length: 12 }, (_, partition) => ({ partition, value: JSON.stringify(value) }));
const reach = (revision = 1): Body =>
  definition('funnel', 'f', { name: '', steps: ['view', 'inquiry', 'order'], windowMs: DAY_MS }, revision);
const identified = (user: string, visitor: string, minutes: number): Body => {
  const { event: _name, ...said } = event(user, `${user} is ${visitor}`, minutes, '');
  return { ...said, kind: 'identify', anonymousId: visitor };
};

/** Ann is visitors `d` and `e`, bob is `f`; each of them looked, and ann and bob have inquired. */
function world(settings: Body = {}): RecordedEngine {
  const engine = createRecordedEngine({
    cuts: { sizes: [1], restarts: false },
    appendMs: APPEND_MS,
    random: seeded(1),
    repeats: 0,
  });
  engine.run([plainBehaviours, reach(), definition('settings', 'default', settings)].flatMap(everywhere));
  for (const visitor of ['d', 'e', 'f'])
    engine.run([toPartition(`a:${visitor}`, visited(visitor, `${visitor}-1`, 0, 'view'))]);
  for (const [user, visitor] of [
    ['ann', 'd'],
    ['ann', 'e'],
    ['bob', 'f'],
  ] as const)
    engine.run([toPartition(`u:${user}`, identified(user, visitor, 1))]);
  for (const user of ['ann', 'bob'])
    engine.run([toPartition(`u:${user}`, event(user, `${user}-1`, 2, 'inquiry'))]);
  return engine;
}

const snapshots = (engine: RecordedEngine): EventsScope[] =>
  engine.partitions.map((_, partition) => eventsScopeOf(engine, partition, APPEND_MS));
const toldOf = (key: string, record: Body): Set<string> => keysIn(handMade(buyerPartition(key), [record]));
const linkOf = (engine: RecordedEngine, visitor: string): string =>
  engine.of(visitor).buyer(visitor)!.links!.current!.id;

describe('levels of persons', () => {
  it('are compared of everybody while others go on', async () => {
    const comparison = await compared(snapshots(world()), toldOf('u:eve', event('eve', 'eve-1', 3, 'view')));
    expect(comparison.kinds).toEqual([{ kind: 'levels of persons', compared: 2, differences: 0 }]);
    expect(comparison.leftOut).toEqual([]);
  });

  it.each([
    ['its own record', 'u:ann', event('ann', 'ann-2', 3, 'order')],
    ["a visitor's record", 'a:e', visited('e', 'e-2', 3, 'order')],
    ['a visitor who becomes it', 'a:g', linked('g', 'ann', 3)],
    ['a visitor who becomes somebody else', 'a:e', linked('e', 'carl', 3)],
    ['a link that is taken back', 'a:d', revoked('d', '0-0-d', 3)],
  ])('are left out of a person of whom the log tells behind what was read: %s', async (_, key, record) => {
    const comparison = await compared(snapshots(world()), toldOf(key, record));
    expect(comparison.compared('levels of persons')).toBe(1);
    expect(comparison.leftOut).toEqual([{ kind: 'levels of persons', count: 1, why: leftOutAs.underWay }]);
  });

  it('are left out while as much is on its way to a person as is being taken back', async () => {
    const engine = world();
    const { [buyerPartition('u:ann')]: before } = snapshots(engine);
    const inquiry = visited('e', 'e-2', 1_000, 'inquiry');
    const back = revoked('d', linkOf(engine, 'a:d'), 3);
    engine.run([toPartition('a:e', inquiry), toPartition('a:d', back)]);
    // Neither has reached ann's owner: she has as many behaviours as her visitors did, but not the same.
    const read = snapshots(engine).with(buyerPartition('u:ann'), before!);
    const comparison = await compared(read, new Set());
    expect(comparison.differences).toEqual([]);
    expect(comparison.compared('levels of persons')).toBe(1);
    expect(personsLeftOut(comparison, leftOutAs.underWay)).toBe(1);
  });

  it('are found if Redis holds another one, of a person who rests', async () => {
    const engine = world();
    const events = snapshots(engine);
    const state = events[buyerPartition('u:bob')]!.stored.buyers.get('u:bob')!;
    state.funnels[0]!.reached = state.funnels[0]!.reached.map((each) => ({ ...each, level: 1 }));
    const { differences } = await compared(events, toldOf('u:ann', event('ann', 'ann-2', 3, 'order')));
    expect(differences).toMatchObject([{ kind: 'levels of persons', expected: 2, actual: 1 }]);
    expect(differences[0]!.where).toContain('u:bob');
  });

  it('are left out where something is forgotten, or no funnel saw everything', async () => {
    const forgetful = await compared(snapshots(world({ maxBehavioursPerBuyer: 10 })), new Set());
    expect(forgetful.leftOut).toEqual([]);
    const engine = world({ maxBehavioursPerBuyer: 10 });
    for (let number = 0; number < 10; number += 1)
      engine.run([toPartition('u:ann', event('ann', `more-${number}`, 3, 'view'))]);
    engine.run(everywhere(reach(2)));
    const comparison = await compared(snapshots(engine), new Set());
    expect(personsLeftOut(comparison, leftOutAs.forgotten)).toBe(1);
    expect(personsLeftOut(comparison, leftOutAs.noFunnel)).toBe(1);
    expect(comparison.compared('levels of persons')).toBe(0);
  });

  it("are not left out of a person who forgot as many behaviours as its visitor had that are now another person's", async () => {
    const engine = world({ maxBehavioursPerBuyer: 10 });
    const run = (key: string, record: Body): void => engine.run([toPartition(key, record)]);
    const did = ['view', ...Array.from({ length: 9 }, () => 'inquiry')];
    for (const [index, name] of did.entries()) run('u:zoe', event('zoe', `zoe-${index}`, index, name));
    // Xia owns the history, yan gets what comes then; xia's link and zoe's first are taken back: zoe's next brings nothing of what is yan's.
    run('u:xia', identified('xia', 'g', 20));
    const ofXia = linkOf(engine, 'a:g');
    run('u:yan', identified('yan', 'g', 21));
    for (const [index, name] of ['view', 'inquiry', 'order'].entries())
      run('a:g', visited('g', `g-${index}`, 22 + index, name));
    run('u:zoe', identified('zoe', 'g', 30));
    run('a:g', revoked('g', ofXia, 31));
    run('a:g', revoked('g', linkOf(engine, 'a:g'), 32));
    run('u:zoe', { ...identified('zoe', 'g', 33), messageId: 'once more' });
    expect(engine.of('u:zoe').buyer('u:zoe')!.behaviours).toHaveLength(did.length);
    const comparison = await compared(snapshots(engine), new Set());
    expect(comparison.differences).toEqual([]);
    expect(personsLeftOut(comparison, leftOutAs.forgotten)).toBe(0);
  });

  it('that were left out are told of, also where nothing differs', () => {
    const leftOut: LeftOut[] = [{ kind: 'levels of persons', count: 7, why: leftOutAs.underWay }];
    const verdict = { namespace: 'n', kinds: [], differenceCount: 0, differences: [], elapsedMs: 0 };
    const lines = reportOf({ ...verdict, shortfalls: [], restless: [], leftOut }, 10);
    expect(lines).toContain(`levels of persons: left out 7 ${leftOutAs.underWay}`);
  });
});

const WORLDS = 6;
const PEOPLE = 25;
const MINUTES = 600;
const ROUND_MINUTES = 30;

interface Read {
  readonly events: readonly EventsScope[];
  readonly keysSince: ReadonlySet<string>;
}

/** Reads partition after partition while records are appended, over and over, as `verify` does beside a live engine. */
function readBeside(engine: RecordedEngine, random: () => number): Read[] {
  const reads: Read[] = [];
  let events: EventsScope[] = [];
  let pause = 0;
  const look = (): void => {
    if (pause-- > 0) return;
    if (events.length < engine.partitions.length) {
      events.push(eventsScopeOf(engine, events.length, APPEND_MS));
      pause = random() < 0.3 ? Math.floor(random() * 4) : 0;
      return;
    }
    const keysSince = new Set<string>();
    events.forEach(({ stored }, partition) => {
      const since = logOf(engine.logs[partition]!, partition, APPEND_MS, stored.head!.offset);
      for (const key of keysIn(since)) keysSince.add(key);
    });
    reads.push({ events, keysSince });
    events = [];
    pause = Math.floor(random() * 200);
  };
  for (const partition of engine.partitions) {
    const run = partition.run;
    partition.run = (values) => {
      run(values);
      look();
    };
  }
  return reads;
}

/** Many people, each of whom does something now and then: most have a device of their own, some share one, some links are taken back. */
function goOn(engine: RecordedEngine, random: () => number): void {
  const number = (): number => Math.floor(random() * PEOPLE);
  for (let minutes = 0; minutes < MINUTES; minutes += ROUND_MINUTES) {
    const records = Array.from({ length: ROUND_MINUTES }, (_, minute): Produced => {
      const who = number();
      const at = minutes + minute;
      const chance = random();
      const visitor = `v${who}`;
      const name = ['view', 'inquiry', 'order'][Math.floor(random() * 3)]!;
      if (chance < 0.4) return toPartition(`a:${visitor}`, visited(visitor, `m-${at}`, at, name));
      if (chance < 0.6) return toPartition(`u:u${who}`, event(`u${who}`, `m-${at}`, at, name));
      if (chance < 0.9) {
        const user = `u${random() < 0.8 ? who : number()}`;
        return toPartition(`u:${user}`, { ...identified(user, visitor, at), messageId: `m-${at}` });
      }
      const link = engine.of(`a:${visitor}`).buyer(`a:${visitor}`)?.links?.current?.id ?? '0-0-nobody';
      return toPartition(`a:${visitor}`, revoked(visitor, link, at));
    });
    engine.run(records);
  }
}

it('levels of persons are equal whenever they are compared, beside a world that goes on', async () => {
  let found = 0;
  let underWay = 0;
  for (let seed = 1; seed <= WORLDS; seed += 1) {
    const random = seeded(seed);
    const cuts = { sizes: [1 + Math.floor(random() * 4)], restarts: false };
    const engine = createRecordedEngine({ cuts, appendMs: APPEND_MS, random, repeats: 0.1 });
    engine.run([plainBehaviours, reach()].flatMap(everywhere));
    const reads = readBeside(engine, seeded(1_000 + seed));
    goOn(engine, random);
    for (const { events, keysSince } of reads) {
      const comparison = await compared(events, keysSince);
      expect(comparison.differences.slice(0, 3), `world ${seed}`).toEqual([]);
      found += comparison.compared('levels of persons');
      underWay += personsLeftOut(comparison, leftOutAs.underWay);
    }
  }
  expect(found).toBeGreaterThan(500);
  expect(underWay).toBeGreaterThan(100);
});
