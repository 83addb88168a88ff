// Redis away: what needs it is refused for the moment, in the same words everywhere.
import { expect, it } from 'vitest';
import { answering, secret } from './answering.ts';

it('answers 503 with a time to come back, on every route that reads state', async () => {
  const here = await answering('redis-away');
  try {
    here.definitions.set('funnel', 'purchase', { name: 'P', steps: ['view', 'order'], windowMs: 1_000 });
    here.definitions.set('account', 'acme', { name: 'Acme', currency: 'EUR', dailyBudgetMicros: 1 });
    here.definitions.set('campaign', 'search', { name: 'S', accountId: 'acme', channel: 'search' });
    here.definitions.set('experiment', 'form', {
      name: 'Form',
      status: 'running',
      variations: [
        { key: 'a', value: 1, weight: 0.5 },
        { key: 'b', value: 2, weight: 0.5 },
      ],
      fallback: 'a',
    });
    here.redis.disconnect();
    const post = { method: 'POST', headers: secret } as const;
    const get = { method: 'GET', headers: secret } as const;
    for (const request of [
      { ...get, url: '/v1/buyers/u:1' },
      { ...get, url: '/v1/triggers' },
      { ...post, url: '/v1/triggers/1-1-0/ack' },
      { ...get, url: '/v1/campaigns/search/budget' },
      { ...get, url: '/v1/rolling/funnels/purchase' },
      { ...post, url: '/v1/bids', payload: { campaignId: 'search', buyerKey: '1' } },
      { ...post, url: '/ofrep/v1/evaluate/flags/form', payload: { context: { targetingKey: '1' } } },
      { ...post, url: '/ofrep/v1/evaluate/flags', payload: { context: { targetingKey: '1' } } },
    ]) {
      const response = await here.app.inject(request);
      expect([request.url, response.statusCode, response.json().code]).toEqual([
        request.url,
        503,
        'state_unavailable',
      ]);
      expect(response.headers['retry-after']).toBe('1');
    }
  } finally {
    await here.close();
  }
});
