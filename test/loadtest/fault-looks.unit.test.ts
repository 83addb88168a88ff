// What a fault run looks at is there to be seen: shared devices in its traffic, triggers that somebody had acknowledged, leases that
// were forgotten, owners that stayed, refusals that were counted.
import { expect, it } from 'vitest';
import { type Answers, wrongOffers } from '../../loadtest/faults/answers.ts';
import { deviceMessages } from '../../loadtest/faults/arena/links.ts';
import { trafficOf } from '../../loadtest/faults/arena/traffic.ts';
import { forgottenOf, type Grant, wrongLeases } from '../../loadtest/faults/leases.ts';
import { keptOf, wrongSharing } from '../../loadtest/faults/streams.ts';
import { fencedIn } from '../../loadtest/faults/zombie.ts';
import { randomOf } from '../../simulate/marketplace/random.ts';

const answers = (offered: string[], acknowledged: string[], withheld = 0): Answers => ({
  ...{ rows: 0, ids: 0, keys: 0, steps: [], asOf: null, settledMicros: 0, clearedMicros: 0 },
  ...{ takenTodayMicros: 0, budgetMicros: 0 },
  offered,
  acknowledged: new Set(acknowledged),
  withheld,
});

it('what was acknowledged before a fault is not on offer when all is made good', () => {
  expect(wrongOffers(answers([], ['t1', 't2']), answers(['t3'], []))).toEqual([]);
  expect(wrongOffers(answers([], ['t1', 't2']), answers(['t2', 't3'], []))).toEqual([
    '1 triggers are offered that were acknowledged: t2',
  ]);
});

it('a look that could not see anything is told', () => {
  expect(wrongOffers(answers(['t1'], []), answers(['t1'], []))).toHaveLength(1);
  expect(wrongOffers(answers([], ['t1']), answers([], [], 3))).toHaveLength(1);
});

it('some devices have two users, and some links are aliases', () => {
  const next = trafficOf(randomOf('shared devices'), 'x');
  const users = new Map<string, Set<string>>();
  let aliases = 0;
  for (let count = 0; count < 20_000; count += 1) {
    const { type, userId, anonymousId, previousId } = next(1_800_000_000_000);
    if (type === 'alias') aliases += 1;
    if (type !== 'alias' && type !== 'identify') continue;
    const visitor = String(type === 'alias' ? previousId : anonymousId);
    users.set(visitor, (users.get(visitor) ?? new Set()).add(String(userId)));
  }
  expect(aliases).toBeGreaterThan(0);
  expect([...users.values()].filter(({ size }) => size > 1).length).toBeGreaterThan(0);
});

it('each run begins with a device of two users, and one whose link is taken back', () => {
  const [one, other, lent] = deviceMessages('run', 1_800_000_000_000);
  expect(one!.anonymousId).toBe(other!.anonymousId);
  expect(one!.userId).not.toBe(other!.userId);
  expect(lent!.anonymousId).not.toBe(one!.anonymousId);
  expect(new Set([one, other, lent].map((each) => each!.messageId)).size).toBe(3);
});

const grant = (id: string, amountMicros = 5): Grant => ({
  ...{ id, process: 'serve-1', amountMicros },
  ...{ untilMs: 1_000, horizonMs: 2_000 },
});
const grants = (...all: Grant[]) => new Map(all.map((one) => [one.id, one]));

it('a lease that Redis forgot is held again with the terms that it had, or was ended', () => {
  const forgotten = forgottenOf(grants(grant('a'), grant('b'), grant('c')), grants(grant('a')));
  expect(forgotten.map(({ id }) => id)).toEqual(['b', 'c']);
  expect(wrongLeases(forgotten, grants(grant('b'), grant('c')), new Set())).toEqual([]);
  expect(wrongLeases(forgotten, grants(grant('b')), new Set(['c']))).toEqual([]);
  expect(wrongLeases(forgotten, grants(grant('b')), new Set(['b']))).toEqual(['lease c is forgotten']);
  expect(wrongLeases(forgotten, grants(grant('b'), grant('c', 6)), new Set())).toHaveLength(1);
});

it('an eager group takes all partitions over anew where somebody joins, a cooperative one leaves some', () => {
  const owned = (...nonces: string[]) =>
    new Map(nonces.map((nonce, index) => [`events:${index}`, { nonce, seq: 1, offset: 1 }]));
  expect(keptOf(owned('a', 'b', 'c'), owned('a', 'x', 'c'))).toBe(2);
  expect(keptOf(owned('a', 'b', 'c'), owned('x', 'y', 'z'))).toBe(0);
  expect(wrongSharing('eager', 0)).toBeNull();
  expect(wrongSharing('eager', 2)).toContain('2 partitions stayed');
  expect(wrongSharing('cooperative', 2)).toBeNull();
  expect(wrongSharing('cooperative', 0)).toContain('taken over anew');
});

it('refusals are counted for each partition', () => {
  const metrics = [
    '# TYPE flywheel_stream_fenced_total counter',
    'flywheel_stream_fenced_total{topic="events",partition="1"} 0',
    'flywheel_stream_fenced_total{topic="events",partition="10"} 2',
    'flywheel_stream_fenced_total{topic="spend",partition="1"} 1',
  ].join('\n');
  expect([...fencedIn(metrics)]).toEqual([
    ['events 1', 0],
    ['events 10', 2],
    ['spend 1', 1],
  ]);
});
