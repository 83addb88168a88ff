// Budgets for Prometheus: one reading a scrape, only by the leader, and nothing rather than something wrong without Redis.
import { Registry } from 'prom-client';
import { beforeEach, expect, it } from 'vitest';
import { newAccount } from '../../domain/account.ts';
import { readDocument } from '../../domain/definition.ts';
import { createBudgetMetrics } from '../../jobs/budget-metrics.ts';
import { encodeAccount } from '../../platform/codec.ts';
import { namespaceOf } from '../../platform/namespace.ts';

const document = readDocument('account', {
  name: 'A portfolio',
  currency: 'EUR',
  dailyBudgetMicros: 450_000_000,
});
let reads: number;
let isAway: boolean;
let registry: Registry;
let metrics: ReturnType<typeof createBudgetMetrics>;

beforeEach(() => {
  reads = 0;
  isAway = false;
  registry = new Registry();
  metrics = createBudgetMetrics(registry, {
    redis: {
      async getBuffer() {
        reads += 1;
        if (isAway) throw new Error('Redis is away');
        return encodeAccount(newAccount('display'));
      },
      hget: async () => String(Date.UTC(2024, 0, 1, 12)),
    } as never,
    namespace: namespaceOf('default'),
    generation: 1,
    accounts: () => [{ id: 'display', revision: 1, hash: '', document }] as never,
  });
});

it('shows what is left of each budget, read once for all gauges', async () => {
  metrics.leads(true);
  const text = await registry.metrics();
  expect(text).toContain('flywheel_account_free_micros{account="display",currency="EUR"} 450000000');
  expect(text).toContain('flywheel_account_daily_budget_micros{account="display",currency="EUR"} 450000000');
  expect(text).toContain('flywheel_account_settled_today_micros{account="display",currency="EUR"} 0');
  expect(reads).toBe(1);
  await registry.metrics();
  expect(reads).toBe(2);
});

it('shows nothing while another process leads, or Redis is away', async () => {
  expect(await registry.metrics()).not.toContain('{account=');
  expect(reads).toBe(0);
  metrics.leads(true);
  expect(await registry.metrics()).toContain('{account=');
  isAway = true;
  expect(await registry.metrics()).not.toContain('{account=');
});
