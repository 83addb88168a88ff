// People who are one person, over twelve partitions: whatever the order in which partitions run and what they send each
// other arrives, and whatever arrives twice, the same people come out, at the levels and scores of all they did.
import { describe, expect, it } from 'vitest';
import type { Buyer } from '../../domain/buyer.ts';
import type { FunnelDefinition, ScoreDefinition } from '../../domain/definition.ts';
import { score as scoreSchema } from '../../domain/definition.ts';
import { type FunnelMode, windowFunnel } from '../../domain/funnel.ts';
import { levelOf } from '../../domain/funnel-levels.ts';
import { scoreOf } from '../../domain/score.ts';
import { seeded } from '../e2e/support/mixed-log.ts';
import { createEngine, type Engine, type Produced, toPartition } from './support/engine.ts';
import { definitionValue } from './support/partition.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const START_MS = Date.UTC(2024, 3, 1, 9);
const APPEND_MS = START_MS + 500 * 24 * HOUR_MS;
const LATENESS_MS = 10 * MINUTE_MS;
const NAMES = ['view', 'contact', 'inquiry', 'order'];
const MODES: FunnelMode[] = ['default', 'strict_order', 'strict_increase', 'strict_order+strict_increase'];
const PEOPLE = 50;

const funnels: (FunnelDefinition & { id: string })[] = [
  ...MODES.map((mode) => ({
    id: mode.replace('+', '-'),
    name: mode,
    steps: ['view', 'contact', 'order'],
    windowMs: 90 * MINUTE_MS,
    mode,
  })),
  // Its window is so long that all that anybody does is held.
  { id: 'whole-day', name: 'day', steps: ['view', 'inquiry'], windowMs: 24 * HOUR_MS, mode: 'default' },
];
const score: ScoreDefinition = scoreSchema.parse({
  name: 'one',
  horizonMs: HOUR_MS,
  halfLifeMs: 3 * HOUR_MS,
  intercept: -2,
  engagement: { view: 0.1, contact: 0.4, inquiry: 0.7, order: 1 },
  country: { DE: 0.5, FR: -0.5 },
});

const definitions = [
  definitionValue('settings', 'default', 1, { latenessMs: LATENESS_MS, mergeChunkBehaviours: 2 }),
  definitionValue('behaviours', 'default', 1, {
    rules: NAMES.map((event) => ({ kind: 'track', event, behaviour: event })),
  }),
  definitionValue('lifecycle', 'default', 1, {}),
  definitionValue('opportunity', 'default', 1, {}),
  definitionValue('score', 'one', 1, score),
  ...funnels.map(({ id, ...document }) => definitionValue('funnel', id, 1, document)),
];

interface Did {
  readonly key: string;
  readonly timeMs: number;
  readonly event: string;
  readonly country: string;
  readonly messageId: string;
}

interface Person {
  readonly user: string;
  readonly visitors: readonly string[];
}

interface World {
  readonly people: readonly Person[];
  readonly did: readonly Did[];
  readonly links: readonly Produced[];
}

type Random = () => number;
const pick = <Value>(random: Random, values: readonly Value[]): Value =>
  values[Math.floor(random() * values.length)]!;

function who(key: string): { userId: string } | { anonymousId: string } {
  return key.startsWith('u:') ? { userId: key.slice(2) } : { anonymousId: key.slice(2) };
}

function linkRecord(
  random: Random,
  user: string,
  visitor: string,
  timestamp: number,
  number: number,
): Produced {
  const common = {
    messageId: `link-${number}`,
    userId: user.slice(2),
    timestamp,
    receivedAt: timestamp,
    supplied: true,
  };
  const said =
    random() < 0.5
      ? { kind: 'identify', anonymousId: visitor.slice(2) }
      : { kind: 'alias', previousId: visitor.slice(2) };
  return toPartition(user, { ...common, ...said });
}

/** Fifty people with one to three devices each, what they did on each, and who they said they were, some of them again and again. */
function worldOf(seed: number): World {
  const random = seeded(seed);
  const people: Person[] = [];
  const did: Did[] = [];
  const links: Produced[] = [];
  for (let number = 0; number < PEOPLE; number += 1) {
    const user = `u:person-${seed}-${number}`;
    const visitors = Array.from(
      { length: Math.floor(random() * 4) },
      (_, device) => `a:device-${seed}-${number}-${device}`,
    );
    people.push({ user, visitors });
    for (const key of [user, ...visitors]) {
      for (let count = Math.floor(random() * 7); count > 0; count -= 1) {
        const timeMs = START_MS + Math.floor(random() * 3 * 60) * MINUTE_MS;
        const messageId = `${key}-${did.length}`;
        did.push({
          key,
          timeMs,
          event: pick(random, NAMES),
          country: pick(random, ['DE', 'FR', 'US']),
          messageId,
        });
      }
    }
    for (const visitor of visitors) {
      for (let times = 1 + Math.floor(random() * 2); times > 0; times -= 1) {
        // Late or not: a link takes effect all the same.
        links.push(linkRecord(random, user, visitor, START_MS, links.length));
      }
    }
  }
  return { people, did, links };
}

function behaviourRecord({ key, timeMs, event, country, messageId }: Did): Produced {
  return toPartition(key, {
    kind: 'track',
    event,
    messageId,
    ...who(key),
    properties: { country, category: 'c' },
    timestamp: timeMs,
    receivedAt: timeMs,
    supplied: true,
  });
}

/** In an order of arrival in which nothing is late, with every tenth record twice. */
function arrivals(random: Random, did: readonly Did[]): Produced[] {
  return did
    .flatMap((one) => (random() < 0.1 ? [one, one] : [one]))
    .map((one) => ({ one, at: one.timeMs + random() * (LATENESS_MS - 1) }))
    .sort((a, b) => a.at - b.at)
    .map(({ one }) => behaviourRecord(one));
}

/** Two lists as one, each in its order. */
function interleaved(random: Random, one: readonly Produced[], other: readonly Produced[]): Produced[] {
  const lists: [Produced[], Produced[]] = [[...one], [...other]];
  const all: Produced[] = [];
  while (lists[0].length + lists[1].length > 0) {
    const first = random() * (lists[0].length + lists[1].length) < lists[0].length;
    all.push(lists[first ? 0 : 1].shift()!);
  }
  return all;
}

const everywhere = (value: string): Produced[] =>
  Array.from({ length: 12 }, (_, partition) => ({ partition, value }));
const clockAt = (time: number): Produced[] =>
  everywhere(JSON.stringify({ kind: 'clock', time, supplied: true }));

function open(seed: number): { engine: Engine; random: Random } {
  const random = seeded(seed);
  const cuts = { sizes: [1 + Math.floor(random() * 3)], restarts: random() < 0.3 };
  const engine = createEngine({ cuts, appendMs: APPEND_MS, random, repeats: 0.2 });
  engine.run(definitions.flatMap(everywhere));
  return { engine, random };
}

const END_MS = START_MS + 10 * HOUR_MS;

interface Outcome {
  readonly levels: readonly number[];
  readonly probability: number;
}

/** What is known of a key: levels and score. */
function found(engine: Engine, key: string): Outcome {
  const buyer = engine.of(key).buyer(key);
  if (buyer === undefined) return outcomeOf([]);
  const levels = funnels.map(({ id }) => {
    const own = buyer.funnels.find((each) => each.id === id);
    return own === undefined ? 0 : levelOf(buyer, own);
  });
  return { levels, probability: rounded(scoreOf(score, buyer, END_MS).probability) };
}

/** What must be: windowFunnel and the sums, over all that the keys of one person did. */
function outcomeOf(did: readonly Did[]): Outcome {
  const behaviours = did.map(({ timeMs, event }) => ({ timeMs, behaviour: event }));
  const sums = NAMES.flatMap((behaviour) => {
    const times = did.filter(({ event }) => event === behaviour).map(({ timeMs }) => timeMs);
    const sum = times.reduce((all, timeMs) => all + 2 ** ((timeMs - END_MS) / score.halfLifeMs), 0);
    return times.length === 0 ? [] : [{ behaviour, sum }];
  });
  const last = [...did].sort((a, b) => a.timeMs - b.timeMs || (a.messageId < b.messageId ? -1 : 1)).at(-1);
  const buyer = {
    engagement: [{ halfLifeMs: score.halfLifeMs, referenceMs: END_MS, sums }],
    country:
      last === undefined ? null : { value: last.country, timeMs: last.timeMs, messageId: last.messageId },
    industry: null,
    level: null,
  };
  return {
    levels: funnels.map((funnel) => windowFunnel(funnel, behaviours)),
    probability: rounded(scoreOf(score, buyer as unknown as Buyer, END_MS).probability),
  };
}

const rounded = (value: number): number => Number(value.toPrecision(9));

describe('fifty people over twelve partitions', () => {
  it.each([1, 2, 3, 4, 5, 6])('come out the same in any order: world %i', (seed) => {
    const { people, did, links } = worldOf(seed);
    for (let run = 0; run < 3; run += 1) {
      const { engine, random } = open(seed * 100 + run);
      const said = [...links].sort(() => random() - 0.5);
      engine.run(interleaved(random, arrivals(random, did), said));
      engine.run(clockAt(END_MS));
      for (const { user, visitors } of people) {
        const keys = [user, ...visitors];
        const expected = outcomeOf(did.filter(({ key }) => keys.includes(key)));
        expect(found(engine, user), `${user} run ${run}`).toEqual(expected);
        for (const visitor of visitors) {
          expect(engine.of(visitor).buyer(visitor)!.links!.current!.user).toBe(user);
        }
      }
    }
  });

  it.each([11, 12, 13, 14])(
    'are apart again when links are taken back, and then another person: world %i',
    (seed) => {
      const { people, did, links } = worldOf(seed);
      const { engine, random } = open(seed);
      const [before, after] = [did.slice(0, did.length / 2), did.slice(did.length / 2)];
      const middleMs = START_MS + 5 * HOUR_MS;
      const later = after.map((one) => ({ ...one, timeMs: one.timeMs + 4 * HOUR_MS }));
      engine.run(interleaved(random, arrivals(random, before), links));
      const revoked = new Set(people.flatMap(({ visitors }) => visitors).filter(() => random() < 0.6));
      const revokes = [...revoked].map((visitor) => {
        const link = engine.of(visitor).buyer(visitor)!.links!.current!.id;
        const said = { by: 'ana', why: 'not the same', timestamp: middleMs };
        return toPartition(visitor, {
          kind: 'revoke',
          messageId: `revoke-${visitor}`,
          key: visitor,
          link,
          ...said,
        });
      });
      engine.run(interleaved(random, arrivals(random, later), revokes));
      const all = [...before, ...later];
      const check = (belongsTo: (visitor: string, user: string) => boolean): void => {
        for (const { user } of people) {
          const own = people
            .flatMap(({ visitors }) => visitors)
            .filter((visitor) => belongsTo(visitor, user));
          const expected = outcomeOf(all.filter(({ key }) => key === user || own.includes(key)));
          expect(found(engine, user), user).toEqual(expected);
        }
      };
      engine.run(clockAt(END_MS));
      const userOf = new Map(
        people.flatMap(({ user, visitors }) => visitors.map((visitor) => [visitor, user])),
      );
      check((visitor, user) => userOf.get(visitor) === user && !revoked.has(visitor));
      for (const visitor of revoked) {
        const expected = outcomeOf(all.filter(({ key }) => key === visitor));
        expect(found(engine, visitor), visitor).toEqual(expected);
      }
      // Whoever was taken from one person now says to be another.
      const moved = new Map([...revoked].map((visitor) => [visitor, pick(random, people).user]));
      const said = [...moved].map(([visitor, user], number) =>
        linkRecord(random, user, visitor, END_MS, 10_000 + number),
      );
      engine.run(said);
      engine.run(clockAt(END_MS + HOUR_MS));
      check((visitor, user) => (moved.get(visitor) ?? userOf.get(visitor)) === user);
    },
  );
});
