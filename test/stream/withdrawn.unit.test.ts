// An account and its campaign that were withdrawn: bids that are out may still win, so a partition knows what they said last.
import { expect, it } from 'vitest';
import { arrange, type KeptDefinition } from '../../domain/in-force.ts';
import { createPartition, definitionValue } from './support/partition.ts';

const account = { name: 'Acme', currency: 'EUR', dailyBudgetMicros: 1_000 };
const campaign = { name: 'Search', accountId: 'acme', channel: 'search' };

function withdrawal(type: 'account' | 'campaign', id: string, revision: number): string {
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
