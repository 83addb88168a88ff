// What was withdrawn: of an account and its campaign a partition knows what they said last, for bids that are out may still win;
// a funnel leaves the buyers.
import { expect, it } from 'vitest';
import { arrange, type KeptDefinition } from '../../domain/in-force.ts';
import { buyersOf } from '../e2e/support/mixed-log.ts';
import { createPartition, definitionValue, PARTITION } from './support/partition.ts';

const account = { name: 'Acme', currency: 'EUR', dailyBudgetMicros: 1_000 };
const campaign = { name: 'Search', accountId: 'acme', channel: 'search' };

function withdrawal(type: 'account' | 'campaign' | 'funnel', id: string, revision: number): string {
  return JSON.stringify({ ...JSON.parse(definitionValue(type, id, revision, {})), document: null });
}

it('keeps what accounts and campaigns said last, over restarts, until they are put again', () => {
  const partition = createPartition({ sizes: [1], restarts: true }, Date.UTC(2024, 0, 2));
  const inForce = () => arrange(partition.stored().kept as KeptDefinition[]);
  partition.run([
    definitionValue('account', 'acme', 1, account),
    definitionValue('campaign', 'search', 1, campaign),
  ]);
  expect(inForce().campaign('search')).not.toHaveProperty('isWithdrawn');
  partition.run([
    withdrawal('campaign', 'search', 2),
    withdrawal('account', 'acme', 2),
    withdrawal('account', 'acme', 3),
  ]);
  expect(inForce().campaign('search')).toMatchObject({
    revision: 2,
    isWithdrawn: true,
    document: { accountId: 'acme' },
  });
  expect(inForce().account('acme')).toMatchObject({
    revision: 3,
    isWithdrawn: true,
    document: { currency: 'EUR', dailyBudgetMicros: 1_000 },
  });
  partition.run([definitionValue('account', 'acme', 4, { ...account, dailyBudgetMicros: 2_000 })]);
  expect(inForce().account('acme')).toMatchObject({ revision: 4, document: { dailyBudgetMicros: 2_000 } });
  expect(inForce().account('acme')).not.toHaveProperty('isWithdrawn');
  expect(inForce().account('never')).toBeUndefined();
});

it('a funnel leaves a buyer when something settles, and put again begins anew', () => {
  const startMs = Date.UTC(2024, 0, 1);
  const HOUR_MS = 3_600_000;
  const partition = createPartition({ sizes: [1], restarts: true }, startMs + 100 * HOUR_MS);
  const key = buyersOf(PARTITION, 10, 'w').find((each) => each.startsWith('u:'))!;
  const did = (event: string, hour: number): string => {
    const about = { kind: 'track', event, messageId: `m${hour}`, userId: key.slice(2) };
    const timestamp = startMs + hour * HOUR_MS;
    return JSON.stringify({ ...about, timestamp, receivedAt: timestamp });
  };
  const funnel = (id: string, revision: number): string =>
    definitionValue('funnel', id, revision, { name: id, steps: ['view', 'order'], windowMs: 9 * HOUR_MS });
  const levels = () =>
    partition.buyer(key)!.funnels.map(({ id, revision, counted }) => [id, revision, counted]);
  partition.run([
    definitionValue('behaviours', 'default', 1, {
      rules: ['view', 'order'].map((event) => ({ kind: 'track', event, behaviour: event })),
    }),
    ...['a', 'b', 'c'].map((id) => funnel(id, 1)),
    did('view', 1),
    did('order', 2),
    did('view', 3),
  ]);
  expect(levels()).toEqual([
    ['a', 1, 2],
    ['b', 1, 2],
    ['c', 1, 2],
  ]);
  partition.run([withdrawal('funnel', 'a', 2), withdrawal('funnel', 'b', 2), did('view', 4)]);
  expect(levels()).toEqual([['c', 1, 2]]);
  partition.run([funnel('a', 3), did('view', 5), did('view', 6)]);
  expect(levels()).toEqual([
    ['a', 3, 1],
    ['c', 1, 2],
  ]);
});
