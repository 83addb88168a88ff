// The oracle's buyers, worked out by hand: verdicts, steps, stages, opportunities, counts and what timers do.
import { describe, expect, it } from 'vitest';
import { buyerPartition } from '../../platform/keys.ts';
import type { Facts } from '../../verify/facts.ts';
import { type People, workOut } from '../../verify/people.ts';
import { windowsOf } from '../../verify/windows.ts';
import {
  type Body,
  clock,
  DAY_MS,
  definition,
  event,
  HOUR_MS,
  MINUTE_MS,
  NOON_MS,
  plainBehaviours,
  walkEvents,
} from './support/synthetic-log.ts';

/** All in one partition; `u:ann` and those of `others` belong to it. */
const PARTITION = buyerPartition('u:ann');
const others = Array.from({ length: 200 }, (_, number) => `b${number}`).filter(
  (name) => buyerPartition(`u:${name}`) === PARTITION,
);

function worked(
  values: readonly (Body | string)[],
): People & { readonly walk: ReturnType<typeof walkEvents> } {
  const walk = walkEvents(PARTITION, [plainBehaviours, ...values]);
  return { ...workOut(walk, 1), walk };
}

const verdicts = ({ judgedByOffset }: People) => [...judgedByOffset.values()].map(({ verdict }) => verdict);
const counted = ({ counts }: Facts, series: string) =>
  counts
    .filter((count) => count.series === series)
    .map(({ offset, timeMs, column }) => [offset, timeMs - NOON_MS, column]);

describe('verdicts', () => {
  it('late is below the watermark after the record by more than the lateness', () => {
    const people = worked([
      event('ann', '1', 60, 'view'),
      event('ann', '2', 50, 'view'),
      event('ann', '3', 49.999, 'view'),
    ]);
    expect(verdicts(people)).toEqual(['applied', 'applied', 'late']);
  });

  it('a repeat is a duplicate even where it would be late; a late one is not remembered', () => {
    const early = event('ann', '0', 0, 'view');
    const people = worked([
      event('ann', '1', 60, 'view'),
      early,
      early,
      event('ann', '2', 120, 'view'),
      event('ann', '1', 60, 'view'),
    ]);
    expect(verdicts(people)).toEqual(['applied', 'late', 'late', 'applied', 'duplicate']);
  });

  it('an id is forgotten by event time, and then it is late', () => {
    const first = event('ann', '1', 0, 'view');
    const people = worked([first, clock(24 * 60), first, clock(24 * 60 + 1), first]);
    expect(verdicts(people)).toEqual(['applied', 'duplicate', 'late']);
  });

  it('what is rejected moves nothing', () => {
    const people = worked([
      event('ann', '1', 0, 'view'),
      '{"kind":',
      { ...event('ann', '2', 600, 'view'), userId: undefined },
      event('ann', '3', 600 * 1_440, 'view'),
      event('ann', '4', -5, 'view'),
    ]);
    expect(people.walk.steps.map(({ reason }) => reason)).toEqual([
      undefined,
      undefined,
      'malformed',
      'invalid',
      'future',
      undefined,
    ]);
    expect(verdicts(people)).toEqual(['applied', 'applied']);
  });
});

describe('funnel steps', () => {
  const steps = ['view', 'inquiry', 'order'];

  it('of a default funnel count when they are reached, at the record that reached them', () => {
    const people = worked([
      definition('funnel', 'f', { name: '', steps, windowMs: HOUR_MS, mode: 'default' }),
      event('ann', '1', 5, 'inquiry'),
      event('ann', '2', 0, 'view'),
      event('ann', '3', 6, 'order'),
    ]);
    expect(counted(people.facts, 'funnel:f')).toEqual([
      [3, 0, 0],
      [3, 0, 1],
      [4, 6 * MINUTE_MS, 2],
    ]);
  });

  it('of a strict funnel count when they have settled, at their own time, where the watermark passed them', () => {
    const people = worked([
      definition('funnel', 'f', { name: '', steps, windowMs: HOUR_MS, mode: 'strict_order' }),
      event('ann', '1', 0, 'view'),
      event('ann', '2', 8, 'order'),
      event('ann', '3', 7, 'inquiry'),
      clock(10),
      clock(10.001),
      clock(17.001),
    ]);
    expect(counted(people.facts, 'funnel:f')).toEqual([
      [6, 0, 0],
      [7, 7 * MINUTE_MS, 1],
    ]);
    const [funnel] = people.people.get('u:ann')!.funnels;
    expect(funnel).toMatchObject({ counted: 2, waitingMs: [NOON_MS + 8 * MINUTE_MS] });
    expect(people.people.get('u:ann')!.dueMs).toBe(NOON_MS + 18 * MINUTE_MS + 1);
  });

  it('begin anew with a revision, from its record on', () => {
    const document = { name: '', steps, windowMs: HOUR_MS, mode: 'default' };
    const people = worked([
      definition('funnel', 'f', document),
      event('ann', '1', 0, 'view'),
      definition('funnel', 'f', { ...document, windowMs: 2 * HOUR_MS }, 2),
      event('ann', '2', 1, 'inquiry'),
      event('ann', '3', 2, 'view'),
    ]);
    expect(people.facts.counts.filter(({ series }) => series === 'funnel:f')).toMatchObject([
      { offset: 2, revision: 1, column: 0 },
      { offset: 5, revision: 2, column: 0 },
    ]);
  });
});

describe('stages', () => {
  const lifecycle = definition('lifecycle', 'default', {
    matureBehaviours: ['order'],
    matureCount: 2,
    retainedAfterMs: DAY_MS,
    churnedAfterMs: 2 * DAY_MS,
  });
  const stages = ({ facts }: People) =>
    facts.transitions.map(({ offset, timeMs, from, to }) => [offset, timeMs - NOON_MS, from, to]);

  it('follow what the buyer does, and absence at its own time', () => {
    const people = worked([
      lifecycle,
      event('ann', '1', 0, 'order'),
      event('ann', '2', 60, 'order'),
      event('ann', '3', 26 * 60, 'view'),
      clock(5 * 24 * 60),
      event('ann', '4', 6 * 24 * 60, 'view'),
    ]);
    expect(stages(people)).toEqual([
      [2, 0, '', 'new'],
      [3, HOUR_MS, 'new', 'mature'],
      [4, 26 * HOUR_MS, 'mature', 'retained'],
      [5, 26 * HOUR_MS + 2 * DAY_MS, 'retained', 'churned'],
      [6, 6 * DAY_MS, 'churned', 'retained'],
    ]);
    expect(people.people.get('u:ann')!.dueMs).toBe(NOON_MS + 8 * DAY_MS);
  });

  it('make triggers for the definitions that ask for them', () => {
    const people = worked([
      lifecycle,
      definition('trigger', 'grown', { name: '', on: 'transition', to: ['mature', 'churned'] }),
      event('ann', '1', 0, 'order'),
      event('ann', '2', 60, 'order'),
    ]);
    expect(people.facts.triggers).toMatchObject([
      { offset: 4, definition: 'grown', from: 'new', to: 'mature' },
    ]);
  });
});

describe('opportunities', () => {
  const base = { subject: ['supplier'], closeAfterMs: DAY_MS, qualifiedAt: 0.5 };
  const rules = definition('opportunity', 'default', {
    ...base,
    base: { contact: 0.1, inquiry: 0.3, order: 0.8 },
    messageLength: { weight: 0.2, full: 100 },
    quantity: { weight: 0, full: 10 },
    specification: { weight: 0.1 },
    country: {},
    level: {},
  });
  const changes = ({ facts }: People) =>
    facts.opportunities.map(({ offset, change, quality }) => [offset, change, quality]);

  it('open, rise, qualify, are fulfilled; another subject is another', () => {
    const people = worked([
      rules,
      event('ann', '1', 0, 'contact', { supplier: 's' }),
      event('ann', '2', 1, 'inquiry', { supplier: 's', messageLength: 50, specification: true }),
      event('ann', '3', 2, 'contact', { supplier: 't' }),
      event('ann', '4', 3, 'order', { supplier: 's' }),
      event('ann', '5', 4, 'fulfil', { supplier: 's' }),
    ]);
    expect(changes(people)).toEqual([
      [2, 'opened', 0.1],
      [3, 'advanced', 0.5],
      [3, 'qualified', 0.5],
      [4, 'opened', 0.1],
      [5, 'advanced', 0.8],
      [6, 'fulfilled', 0.8],
    ]);
    expect(people.people.get('u:ann')!.life.opportunities).toMatchObject([
      { id: `${PARTITION}-4`, subject: 't' },
    ]);
  });

  it('are lost, or complete, when nothing happens for so long', () => {
    const people = worked([
      rules,
      event('ann', '1', 0, 'contact', { supplier: 's' }),
      event('ann', '2', 1, 'order', { supplier: 't' }),
      clock(24 * 60),
      clock(24 * 60 + 1),
    ]);
    expect(people.facts.opportunities.slice(-2)).toMatchObject([
      { offset: 4, change: 'lost', timeMs: NOON_MS + DAY_MS },
      { offset: 5, change: 'completed', timeMs: NOON_MS + DAY_MS + MINUTE_MS },
    ]);
  });
});

describe('windows', () => {
  it('give seats in the order of the log; who comes later is counted together', () => {
    const [ann, bob, cleo] = ['ann', others[0]!, others[1]!];
    const visit = (who: string, minutes: number, country: string) =>
      event(who, `${who}${minutes}`, minutes, 'visit', { country });
    const { facts, walk } = worked([
      definition('settings', 'default', { maxCellsPerWindow: 2 }),
      visit(ann!, 5, 'DE'),
      visit(bob!, 0, 'US'),
      visit(cleo!, 6, 'FR'),
    ]);
    const [day] = windowsOf(facts.counts, walk);
    expect(day).toMatchObject({ name: `northstar:0:d${Math.floor(NOON_MS / DAY_MS)}`, held: true });
    expect([...day!.cells]).toEqual([
      ['DE|unknown|direct', [1, 0, 0]],
      ['US|unknown|direct', [1, 0, 0]],
      ['other||', [1, 0, 0]],
    ]);
  });

  it('are held until the watermark has passed them by retention and lateness', () => {
    const at = (minutes: number) => {
      const funnel = { name: '', steps: ['view', 'order'], windowMs: HOUR_MS, mode: 'default' };
      const { facts, walk } = worked([
        definition('funnel', 'f', funnel),
        event('ann', '1', 0, 'view'),
        clock(minutes),
      ]);
      return windowsOf(facts.counts, walk).find(({ grain }) => grain === 'm')!.held;
    };
    expect(at(70.999)).toBe(true);
    expect(at(71)).toBe(false);
  });
});

describe('engagement', () => {
  it('is the sum of every behaviour, halved by each half-life', () => {
    const score = { name: '', horizonMs: DAY_MS, halfLifeMs: HOUR_MS, intercept: 0, engagement: { view: 1 } };
    const people = worked([
      event('ann', '0', -1, 'view'),
      definition('score', 's', score),
      event('ann', '1', 0, 'view'),
      event('ann', '2', 60, 'view'),
      clock(120),
    ]);
    expect(people.people.get('u:ann')!.engagement).toEqual([
      { halfLifeMs: HOUR_MS, sums: new Map([['view', 0.75]]) },
    ]);
  });
});
