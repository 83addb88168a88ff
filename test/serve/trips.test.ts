// Hot answers take one trip to Redis, also by a key that has limits: what an answer needs of it leaves in one write. A bid
// for a visitor who is linked takes a second one, for its person.
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { hashApiKey } from '../../platform/api-keys.ts';
import type { RedisClient } from '../../platform/redis.ts';
import { apiKeys } from '../../serve/authentication.ts';
import { type Answering, answering, secret } from './answering.ts';

let here: Answering;
beforeAll(async () => {
  const key = { name: 'limited', scope: 'secret' as const, sha256: hashApiKey('secret-key') };
  const limits = { requests: { perSecond: 1_000, burst: 1_000 } };
  const keys = apiKeys({ keys: [{ ...key, limits }] });
  here = await answering('trips', { wrap: (dependencies) => ({ ...dependencies, keys }) });
  here.definitions.set('experiment', 'form', {
    name: 'Form',
    status: 'running',
    variations: [
      { key: 'a', value: 1, weight: 0.5 },
      { key: 'b', value: 2, weight: 0.5 },
    ],
    fallback: 'a',
  });
  here.definitions.set('funnel', 'purchase', { name: 'Purchase', steps: ['view', 'order'], windowMs: 1_000 });
  here.definitions.set('score', 'opportunity', {
    name: 'Opportunity',
    horizonMs: 1_000,
    halfLifeMs: 60_000,
    intercept: 0,
    engagement: {},
  });
  here.definitions.set('account', 'acme', { name: 'Acme', currency: 'EUR', dailyBudgetMicros: 1 });
  here.definitions.set('campaign', 'search', {
    name: 'S',
    accountId: 'acme',
    channel: 'search',
    valueMicros: 0,
  });
  await here.setBuyer('u:1', {}, Date.now());
  for (const visitor of ['a:v1', 'a:v2']) {
    const said = { saidFromMs: 1, saidToMs: 1 };
    const current = { id: `0-7-${visitor}`, user: 'u:1', sinceMs: 1, stage: null, ...said };
    const links = { current, history: '', past: [], bornOffset: 0, standing: 0 };
    await here.setBuyer(visitor, { links }, Date.now());
  }
});
afterAll(() => here?.close());

/** Writes to Redis while one request is answered. */
async function writesOf(
  redis: RedisClient,
  request: { method: 'GET' | 'POST'; url: string; payload?: object },
) {
  const { stream } = redis as unknown as { stream: { write: (...all: unknown[]) => boolean } };
  const writing = vi.spyOn(stream, 'write');
  try {
    const response = await here.app.inject({ ...request, headers: secret });
    expect([response.statusCode, response.body]).toEqual([200, expect.any(String)]);
    return writing.mock.calls.length;
  } finally {
    writing.mockRestore();
  }
}

const context = { targetingKey: '1', userId: '2', anonymousId: '3' };
it.each([
  ['one flag for three keys', { method: 'POST', url: '/ofrep/v1/evaluate/flags/form', payload: { context } }],
  ['all flags', { method: 'POST', url: '/ofrep/v1/evaluate/flags', payload: { context } }],
  ['a bid', { method: 'POST', url: '/v1/bids', payload: { campaignId: 'search', buyerKey: '1' } }],
  [
    'bids for many buyers',
    {
      method: 'POST',
      url: '/v1/bids',
      payload: { bids: ['1', '2', '3', '4'].map((buyerKey) => ({ campaignId: 'search', buyerKey })) },
    },
  ],
  ['a budget', { method: 'GET', url: '/v1/campaigns/search/budget' }],
  ['triggers of all partitions', { method: 'GET', url: '/v1/triggers' }],
  ['a buyer', { method: 'GET', url: '/v1/buyers/1' }],
] as const)('%s', async (_name, request) => {
  expect(await writesOf(here.redis, request)).toBe(1);
});

it.each([
  ['a bid for a linked visitor', { campaignId: 'search', buyerKey: 'a:v1' }],
  [
    'bids for some who are linked and some who are not',
    { bids: ['a:v1', '1', 'a:v2', '3'].map((buyerKey) => ({ campaignId: 'search', buyerKey })) },
  ],
])('%s: one more trip', async (_name, payload) => {
  expect(await writesOf(here.redis, { method: 'POST', url: '/v1/bids', payload })).toBe(2);
});
