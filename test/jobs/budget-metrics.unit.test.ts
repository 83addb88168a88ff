// Budgets for Prometheus: one reading a scrape, only by the leader, and nothing rather than something wrong without Redis.
import { Registry } from 'prom-client';
import { beforeEach, expect, it, vi } from 'vitest';
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
const DAY_MS = Date.UTC(2024, 0, 1);
let reads: number;
let isAway: boolean;
let hangs: boolean;
let isWithdrawn: boolean;
let others: number;
let spentMicros: number;
let registry: Registry;
let metrics: ReturnType<typeof createBudgetMetrics>;

beforeEach(() => {
  reads = 0;
  isAway = false;
  hangs = false;
  isWithdrawn = false;
  others = 0;
  spentMicros = 0;
  registry = new Registry();
  metrics = createBudgetMetrics(registry, {
    redis: {
      async getBuffer() {
        reads += 1;
        if (isAway) throw new Error('Redis is away');
        if (hangs) return new Promise(() => {});
        const state = newAccount('display');
        if (spentMicros > 0)
          state.days.push({ startMs: DAY_MS, settledMicros: spentMicros, auctions: [], books: [] });
        return encodeAccount(state);
      },
      hget: async () => String(DAY_MS + 12 * 3_600_000),
    } as never,
    namespace: namespaceOf('default'),
    generation: 1,
    accounts: () =>
      [
        { id: 'display', revision: 1, hash: '', document, ...(isWithdrawn ? { isWithdrawn } : {}) },
        ...Array.from({ length: others }, (_, index) => ({
          id: `a${index}`,
          revision: 1,
          hash: '',
          document,
        })),
      ] as never,
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

it('shows what a withdrawn account spends today, without a budget that nobody has given; nothing once that is over', async () => {
  metrics.leads(true);
  isWithdrawn = true;
  expect(await registry.metrics()).not.toContain('{account=');
  spentMicros = 7_000_000;
  const text = await registry.metrics();
  expect(text).toContain('flywheel_account_settled_today_micros{account="display",currency="EUR"} 7000000');
  for (const name of ['free', 'daily_budget', 'planned_today', 'overshoot_today'])
    expect(text).toContain(`flywheel_account_${name}_micros{account="display",currency="EUR"} 0`);
});

// Prometheus gave up on each scrape: the process that led was told to be dead, and nobody to lead.
it('shows everything else while Redis takes questions and answers none', async () => {
  vi.useFakeTimers();
  try {
    metrics.leads(true);
    hangs = true;
    for (let scrape = 0; scrape < 3; scrape += 1) {
      let text: string | undefined;
      void registry.metrics().then((shown) => {
        text = shown;
      });
      await vi.advanceTimersByTimeAsync(2_500);
      expect(text).toContain('# TYPE flywheel_account_free_micros gauge');
      expect(text).not.toContain('{account=');
    }
    expect(reads).toBe(1);
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

it('says how many accounts it does not show', async () => {
  expect(await registry.metrics()).not.toMatch(/^flywheel_accounts_unshown /m);
  metrics.leads(true);
  others = 199;
  expect(await registry.metrics()).toMatch(/^flywheel_accounts_unshown 0$/m);
  others = 203;
  const text = await registry.metrics();
  expect(text).toMatch(/^flywheel_accounts_unshown 4$/m);
  expect(text.match(/^flywheel_account_free_micros\{/gm)).toHaveLength(200);
});
