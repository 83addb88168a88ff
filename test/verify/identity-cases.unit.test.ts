// The oracle's people by hand: each case of the table "Outcomes" of docs/decisions/identity.md, and the rules behind it.
import { describe, expect, it } from 'vitest';
import { buyerPartition } from '../../platform/keys.ts';
import { type People, workOut } from '../../verify/people.ts';
import { ended, forwarded, linked, merged, revoked, visited } from './support/identity-records.ts';
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

/** Where visitor `a:d` is at home, and where user `u:ann` is. */
const P = buyerPartition('a:d');
const Q = buyerPartition('u:ann');

const reach = definition('funnel', 'f', {
  name: '',
  steps: ['view', 'inquiry', 'order'],
  windowMs: 500 * DAY_MS,
});
const lifecycle = definition('lifecycle', 'default', { matureCount: 2, churnedAfterMs: 2 * DAY_MS });
const opportunity = definition('opportunity', 'default', { subject: ['supplier'], qualifiedAt: 1 });
const small = (more: Body = {}): Body =>
  definition('settings', 'default', { mergeChunkBehaviours: 2, maxLinksPerBuyer: 2, ...more });

/** Four definitions stand in front, at offsets 0 to 4. */
function worked(partition: number, values: readonly (Body | string)[], settings: Body = small()): People {
  return workOut(
    walkEvents(partition, [plainBehaviours, reach, lifecycle, opportunity, settings, ...values]),
    1,
  );
}

const linksOf = ({ changes }: People) => changes.map(({ offset, change, user }) => [offset, change, user]);
const sentBy = ({ sent }: People) => sent.map(({ offset, record }) => [offset, record.kind, record.key]);
const steps = ({ facts }: People) =>
  facts.counts
    .filter(({ series }) => series === 'funnel:f')
    .map(({ offset, column, timeMs }) => [offset, column, (timeMs - NOON_MS) / MINUTE_MS]);
const inOrder = (changes: readonly { readonly offset: number; readonly change: string }[]) =>
  changes.map(({ offset, change }) => [offset, change] as const).sort(([a], [b]) => a - b);
const ann = ({ people }: People) => people.get('u:ann')!;
const standing = (people: People) => ann(people).linked!.funnels[0]!.standing;

describe('a visitor', () => {
  it('of two users: the first keeps the history, the second gets what comes after', () => {
    const people = worked(P, [
      visited('d', '1', 0, 'view'),
      linked('d', 'ann', 1),
      visited('d', '2', 2, 'inquiry'),
      linked('d', 'bob', 3),
      visited('d', '3', 4, 'order'),
    ]);
    expect(linksOf(people)).toEqual([
      [6, 'linked', 'u:ann'],
      [8, 'superseded', 'u:ann'],
      [8, 'linked', 'u:bob'],
    ]);
    expect(sentBy(people)).toEqual([
      [6, 'merge', 'u:ann'],
      [7, 'forward', 'u:ann'],
      [8, 'linkEnded', 'u:ann'],
      [8, 'merge', 'u:bob'],
      [9, 'forward', 'u:bob'],
    ]);
    const [first, second] = people.sent.flatMap(({ record }) => (record.kind === 'merge' ? [record] : []));
    expect(first).toMatchObject({ base: { history: true }, behaviours: [[NOON_MS, 'view']] });
    expect(second).toMatchObject({ base: { history: false, totals: [] }, behaviours: [] });
    expect(people.changes.map(({ fromOffset }) => fromOffset)).toEqual([0, 0, 8]);
  });

  it('who says again who it is changes nothing', () => {
    const people = worked(P, [linked('d', 'ann', 1), linked('d', 'ann', 2)]);
    expect(linksOf(people)).toEqual([[5, 'linked', 'u:ann']]);
  });

  it('lives on in silence: nothing is counted, but its own record goes on', () => {
    const people = worked(P, [
      visited('d', '1', 0, 'view'),
      linked('d', 'ann', 1),
      visited('d', '2', 2, 'inquiry'),
      visited('d', '2', 2, 'inquiry'),
    ]);
    expect(steps(people)).toEqual([[5, 0, 0]]);
    expect(people.people.get('a:d')!.funnels[0]!.counted).toBe(2);
    // A duplicate is not sent on.
    expect(sentBy(people).filter(([, kind]) => kind === 'forward')).toHaveLength(1);
  });

  it('speaks again when its link is taken back, and owns its history again', () => {
    const link = `${P}-6-d`;
    const people = worked(P, [
      visited('d', '1', 0, 'inquiry', { properties: { supplier: 's' } }),
      linked('d', 'ann', 1),
      visited('d', '2', 2, 'inquiry', { properties: { supplier: 's' } }),
      revoked('d', link, 3),
      revoked('d', link, 4),
      visited('d', '3', 5, 'view'),
      linked('d', 'bob', 6),
    ]);
    expect(linksOf(people)).toEqual([
      [6, 'linked', 'u:ann'],
      [8, 'revoked', 'u:ann'],
      [11, 'linked', 'u:bob'],
    ]);
    expect(inOrder(people.facts.opportunities)).toEqual([
      [5, 'opened'],
      [6, 'moved'],
      [8, 'returned'],
      [11, 'moved'],
    ]);
    expect(people.facts.transitions.filter(({ reason }) => reason === 'unlinked')).toMatchObject([
      { offset: 8, from: 'new', to: 'mature', reason: 'unlinked' },
    ]);
    expect(people.changes.at(-1)).toMatchObject({ fromOffset: 0 });
    expect(people.people.get('a:d')!.links).toMatchObject({
      current: { id: `${P}-11-d`, stage: 'mature' },
      history: `${P}-11-d`,
      past: [{ id: link, how: 'revoked' }],
    });
  });

  it('silent for 400 days is somebody new', () => {
    const days400 = 400 * 24 * 60;
    const just = worked(P, [
      visited('d', '1', 0, 'view'),
      linked('d', 'ann', 1),
      visited('d', '2', 1 + days400, 'view'),
    ]);
    expect(sentBy(just).map(([, kind]) => kind)).toEqual(['merge', 'forward']);
    const reborn = worked(
      P,
      [visited('d', '1', 0, 'view'), linked('d', 'ann', 1), visited('d', '2', 65, 'view')],
      small({ linkExpiryMs: HOUR_MS }),
    );
    expect(linksOf(reborn)).toEqual([
      [6, 'linked', 'u:ann'],
      [7, 'expired', 'u:ann'],
    ]);
    expect(sentBy(reborn).slice(1)).toEqual([[7, 'linkEnded', 'u:ann']]);
    expect(reborn.people.get('a:d')!.links).toMatchObject({ current: null, history: '', bornOffset: 7 });
    expect(reborn.people.get('a:d')!.life.totals).toEqual(new Map([['view', 1]]));
    expect(steps(reborn)).toEqual([
      [5, 0, 0],
      [7, 0, 65],
    ]);
  });

  it('with more behaviours than are kept hands over the last of them, and whole totals', () => {
    const many = Array.from({ length: 25 }, (_, number) => visited('d', String(number), 20 * number, 'view'));
    const people = worked(P, [...many, linked('d', 'ann', 500)], small({ maxBehavioursPerBuyer: 10 }));
    const chunks = people.sent.flatMap(({ record }) => (record.kind === 'merge' ? [record] : []));
    expect(chunks.map(({ behaviours }) => behaviours.length)).toEqual([2, 2, 2, 2, 2]);
    expect(chunks[0]!.behaviours[0]).toEqual([NOON_MS + 15 * 20 * MINUTE_MS, 'view']);
    expect(chunks[0]!.base!.totals).toEqual([{ behaviour: 'view', count: 25 }]);
  });
});

describe('a user', () => {
  it('who says an alias asks for the visitor that it names; users are not followed', () => {
    const alias = { ...event('ann', '1', 0, ''), kind: 'alias', previousId: 'bob' };
    const people = worked(Q, [alias, alias]);
    expect(people.sent).toMatchObject([{ offset: 5, record: { kind: 'link', key: 'a:bob', user: 'u:ann' } }]);
  });

  it('asks late all the same', () => {
    const late = { ...event('ann', '1', 0, ''), kind: 'identify', anonymousId: 'd' };
    const people = worked(Q, [event('ann', '0', 60, 'view'), late]);
    expect(people.judgedByOffset.get(6)!.verdict).toBe('late');
    expect(sentBy(people)).toEqual([[6, 'link', 'a:d']]);
  });

  it('goes on with the chunk that is missing after a crash between two, and takes none twice', () => {
    const first = merged('ann', '1-1-d', [0, 2], [[0, 'view']], {
      counted: [{ funnel: 'f', revision: 1, level: 1 }],
    });
    const people = worked(Q, [
      first,
      first,
      clock(1),
      first,
      merged('ann', '1-1-d', [1, 2], [[1, 'inquiry']]),
    ]);
    expect(people.changes).toMatchObject([{ offset: 9, change: 'merged' }]);
    expect(ann(people).linked!.held.map(({ behaviour }) => behaviour)).toEqual(['view', 'inquiry']);
    // What was counted for the visitor is not counted again.
    expect(steps(people)).toEqual([[9, 1, 1]]);
    expect(standing(people)).toEqual([{ level: 2, parts: [1] }]);
  });

  it('waits for the last chunk', () => {
    const people = worked(Q, [merged('ann', '1-1-d', [0, 2], [[0, 'view']])]);
    expect(people.changes).toEqual([]);
    expect(ann(people).linked).toMatchObject({ parts: [], arriving: [{ link: '1-1-d', chunks: 1 }] });
  });

  it('reaches a level with a visitor, and loses it when the link is taken back; what was counted stays', () => {
    const people = worked(Q, [
      event('ann', '1', 1, 'inquiry'),
      merged('ann', '1-1-d', [0, 1], [[0, 'view']], { totals: [{ behaviour: 'view', count: 1 }] }),
      ended('ann', '1-1-d', 'revoked'),
    ]);
    expect(steps(people)).toEqual([
      [6, 0, 0],
      [6, 1, 1],
    ]);
    expect(standing(people)).toEqual([]);
    expect(ann(people).linked!.funnels[0]!.counted).toBe(2);
    expect(ann(people).linked).toMatchObject({ parts: [], nextPart: 2 });
    expect(ann(people).life.totals).toEqual(new Map([['inquiry', 1]]));
    expect(people.changes.map(({ change }) => change)).toEqual(['merged', 'dropped']);
  });

  it('takes what is forwarded, however late, and only once in its levels', () => {
    const people = worked(Q, [
      clock(300),
      merged('ann', '1-1-d', [0, 1], [[0, 'view']]),
      forwarded('ann', '1-1-d', visited('d', '2', 5, 'inquiry')),
    ]);
    expect(steps(people)).toEqual([
      [6, 0, 0],
      [7, 1, 5],
    ]);
    expect(ann(people).linked!.parts.map(({ gathered }) => gathered.lastMs - NOON_MS)).toEqual([
      -NOON_MS,
      5 * MINUTE_MS,
    ]);
  });

  it('keeps what an ended link brought, apart as long as it may be taken back', () => {
    const people = worked(Q, [
      merged('ann', '1-1-d', [0, 1], [[0, 'view']]),
      ended('ann', '1-1-d', 'superseded'),
    ]);
    expect(ann(people).linked!.parts).toMatchObject([{ number: 0 }, { number: 1, ended: true }]);
  });

  it('with more links than are kept apart makes the oldest its own for good', () => {
    const links = ['1-1-d', '1-2-d', '1-3-d'];
    const people = worked(Q, [
      ...links.map((link, number) => merged('ann', link, [0, 1], [[number, 'view']])),
      ended('ann', '1-1-d', 'revoked'),
    ]);
    expect(ann(people).linked!.parts.map(({ number }) => number)).toEqual([0, 2, 3]);
    expect(ann(people).linked!.held.map(({ part }) => part)).toEqual([0, 2, 3]);
    expect(people.changes.at(-1)).toMatchObject({ change: 'inseparable', link: '1-1-d' });
  });

  it('cannot take back what came more than 90 days ago', () => {
    const people = worked(Q, [
      clock(0),
      merged('ann', '1-1-d', [0, 1], [[0, 'view']]),
      clock(1 + 90 * 24 * 60),
      ended('ann', '1-1-d', 'revoked'),
    ]);
    expect(people.changes.map(({ change }) => change)).toEqual(['merged', 'inseparable']);
    expect(ann(people).linked!.parts).toEqual([]);
  });

  it('stays churned when a churned visitor joins, and is active when an active one does', () => {
    const stage = (visitor: 'churned' | 'retained') => {
      const people = worked(Q, [
        event('ann', '1', 0, 'view'),
        clock(3 * 24 * 60),
        merged('ann', '1-1-d', [0, 1], [[0, 'view']], {
          stage: visitor,
          firstMs: NOON_MS,
          lastMs: NOON_MS,
          maturedMs: NOON_MS,
        }),
      ]);
      return [ann(people).life.stage, people.facts.transitions.slice(2).map(({ reason }) => reason)];
    };
    expect(stage('churned')).toEqual(['churned', []]);
    expect(stage('retained')).toEqual(['retained', ['merged']]);
  });

  it('shares an opportunity with a visitor and keeps its own share', () => {
    const open = { subject: 's', stage: 'contact', qualified: false, quality: 0.1 } as const;
    const times = { openedMs: NOON_MS, updatedMs: NOON_MS };
    const taken = merged('ann', '1-1-d', [0, 1], [[0, 'contact']], {
      opportunities: [{ ...open, ...times }],
    });
    const joined = event('ann', '1', 1, 'inquiry', { supplier: 's' });
    const people = worked(Q, [clock(0), taken, joined]);
    expect(ann(people).life.opportunities).toMatchObject([
      {
        id: `${Q}-6.0`,
        stage: 'inquiry',
        shares: [
          { part: 0, stage: 'inquiry' },
          { part: 1, stage: 'contact' },
        ],
      },
    ]);
    const alone = worked(Q, [clock(0), taken, joined, ended('ann', '1-1-d', 'revoked')]);
    expect(ann(alone).life.opportunities).toMatchObject([{ stage: 'inquiry', shares: [] }]);
    const gone = worked(Q, [taken, ended('ann', '1-1-d', 'revoked')]);
    expect(ann(gone).life.opportunities).toEqual([]);
    expect(gone.facts.opportunities.map(({ change }) => change)).toEqual(['merged', 'revoked']);
  });
});

describe('what outboxes sent', () => {
  it('is dropped from another generation, and does not move the watermark', () => {
    const link = linked('d', 'ann', 60);
    const foreign = { ...link, origin: { generation: 2, partition: 11, offset: 9_999, ordinal: 0 } };
    const walk = walkEvents(P, [plainBehaviours, foreign, link]);
    const people = workOut(walk, 1);
    expect(walk.watermarkMs).toBe(0);
    expect(linksOf(people)).toEqual([[2, 'linked', 'u:ann']]);
    expect([...people.received.positions.keys()]).toEqual([11]);
  });

  it('is rejected where it does not belong', () => {
    const walk = walkEvents((P + 1) % 12, [linked('d', 'ann', 0), revoked('d', '1-1-d', 0)]);
    expect(walk.steps.map(({ reason }) => reason)).toEqual(['misplaced', 'misplaced']);
  });
});
