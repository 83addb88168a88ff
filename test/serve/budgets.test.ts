// A campaign's budget, read from the account's state as the ledger keeps it.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { newAccount } from '../../domain/account.ts';
import { encodeAccount } from '../../platform/codec.ts';
import { accountPartition } from '../../platform/keys.ts';
import { type Answering, answering, secret, writeOnly } from './answering.ts';

const MIDNIGHT = Date.UTC(2026, 0, 15, -1);
const W = MIDNIGHT + 12 * 3_600_000;
let here: Answering;
beforeAll(async () => {
  here = await answering('budgets');
  const account = {
    name: 'Acme',
    currency: 'EUR',
    dailyBudgetMicros: 100_000_000,
    totalBudgetMicros: 500_000_000,
    utcOffsetMinutes: 60,
  };
  here.definitions.set('account', 'acme', account, 2);
  here.definitions.set('account', 'fresh', account);
  const campaign = { name: 'Search', accountId: 'acme', channel: 'search' };
  here.definitions.set('campaign', 'search', campaign, 3);
  here.definitions.set('campaign', 'display', { ...campaign, accountId: 'fresh', status: 'paused' });
  here.definitions.set('campaign', 'orphan', { ...campaign, accountId: 'nothing' });
});
afterAll(() => here?.close());

async function budget(id: string, status = 200, headers: Record<string, string> = secret) {
  const response = await here.app.inject({ url: `/v1/campaigns/${id}/budget`, headers });
  expect(response.statusCode).toBe(status);
  return response.json();
}

it('answers settled, outstanding, free, multiplier and plan as of the account’s watermark', async () => {
  const state = newAccount('acme');
  const lease = {
    process: 'p',
    dayMs: MIDNIGHT,
    settledMicros: 1_000_000,
    freedMicros: 0,
    seen: [],
    lost: [],
  };
  Object.assign(state, {
    currency: 'EUR',
    utcOffsetMinutes: 60,
    settledMicros: 50_000_000,
    days: [
      {
        startMs: MIDNIGHT,
        settledMicros: 30_000_000,
        auctions: [],
        books: [
          {
            campaign: 'search',
            channel: 'search',
            cells: [],
            notices: [],
            clearedMicros: 0,
            settledMicros: 25_000_000,
          },
        ],
      },
    ],
    closed: [{ campaign: 'search', settledMicros: 15_000_000 }],
    leases: [{ ...lease, id: 'l1', amountMicros: 11_000_000, untilMs: W, horizonMs: W + 1 }],
  });
  state.pacing.multiplierMillionths = 1_250_000;
  const keys = here.keysOf('spend', accountPartition('acme'));
  await here.redis.set(keys.account('acme'), encodeAccount(state));
  await here.setHead('spend', accountPartition('acme'), { watermark: W });
  const body = await budget('search');
  expect(body).toMatchObject({
    campaign: 'search',
    account: 'acme',
    currency: 'EUR',
    status: 'active',
    asOf: new Date(W).toISOString(),
    day: { start: '2026-01-14T23:00:00.000Z', end: '2026-01-15T23:00:00.000Z' },
    campaignSettled: { todayMicros: 25_000_000, totalMicros: 40_000_000 },
    budget: { dailyMicros: 100_000_000, totalMicros: 500_000_000 },
    settled: { todayMicros: 30_000_000, totalMicros: 50_000_000 },
    outstanding: { todayMicros: 10_000_000, totalMicros: 10_000_000 },
    freeMicros: 60_000_000,
    multiplier: 1.25,
    overshoot: { todayMicros: 0, totalMicros: 0, reportedMicros: 0 },
    versions: { campaign: { id: 'search', revision: 3 }, account: { id: 'acme', revision: 2 } },
  });
  expect(body.plan.plannedTodayMicros).toBeCloseTo(50_000_000, -1);
  expect(body.plan.hourShares).toHaveLength(24);
  expect(body.counters.lateWins).toBe(0);
});

it('answers a full budget before the account’s first record', async () => {
  const body = await budget('display');
  expect(body).toMatchObject({ status: 'paused', freeMicros: 100_000_000, settled: { todayMicros: 0 } });
});

it('answers what was spent for a campaign that was withdrawn, and with it of an account that was', async () => {
  here.definitions.withdraw('campaign', 'search');
  const spent = {
    status: 'withdrawn',
    campaignSettled: { todayMicros: 25_000_000, totalMicros: 40_000_000 },
    settled: { todayMicros: 30_000_000, totalMicros: 50_000_000 },
    outstanding: { todayMicros: 10_000_000, totalMicros: 10_000_000 },
  };
  expect(await budget('search')).toMatchObject({
    ...spent,
    budget: { dailyMicros: 100_000_000, totalMicros: 500_000_000 },
    freeMicros: 60_000_000,
    versions: { campaign: { id: 'search', revision: 4 }, account: { id: 'acme', revision: 2 } },
  });
  here.definitions.withdraw('account', 'acme');
  expect(await budget('search')).toMatchObject({
    ...spent,
    budget: { dailyMicros: 0, totalMicros: 0 },
    freeMicros: 0,
    plan: { plannedTodayMicros: 0, plannedNextMicros: 0 },
    versions: { account: { id: 'acme', revision: 3 } },
  });
});

it('answers problems for what is not there, and takes secret keys only', async () => {
  expect((await budget('nothing', 404)).code).toBe('unknown_definition');
  expect((await budget('orphan', 409)).code).toBe('unknown_account');
  await budget('search', 403, writeOnly);
});
