// One of everything that the metrics tell of, through the public API.
import { expect } from 'vitest';
import { changeHashedKeys } from '../../../platform/hashed-keys.ts';
import { createKey } from '../../../platform/key-administration.ts';
import { addWebhookSecret } from '../../../platform/webhook-secrets.ts';

export interface Keys {
  readonly write: string;
  readonly secret: string;
}

const BUYERS = 20;
const EVALUATE = '/ofrep/v1/evaluate/flags/inquiry-form';
const HOUR_MS = 3_600_000;
/** Of an account with 450 EUR a day. */
const SPENT_CAMPAIGN = 'display-brands';

async function post(url: string, path: string, key: string, body: unknown): Promise<number> {
  const { status } = await fetch(url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return status;
}

function messagesOf(buyer: string): Record<string, unknown>[] {
  const context = { location: { country: 'DE' }, traits: { industry: 'manufacturing' } };
  const track = (event: string, properties: Record<string, unknown>): Record<string, unknown> => {
    return { type: 'track', userId: buyer, event, properties, context };
  };
  return [
    track('Product Viewed', { category: 'pumps', supplierId: 's-7' }),
    track('Inquiry Sent', { category: 'pumps', supplierId: 's-7', quantity: 500, message: 'Please quote.' }),
    { type: 'identify', userId: buyer, anonymousId: `visitor-of-${buyer}` },
    { type: 'group', userId: buyer, groupId: 'acme' },
  ];
}

/** One that is tried again much later, one that is given up at once, neither there: both are called once an opportunity opens. */
export async function defineReceivers(url: string, { secret }: Keys, secretsFile: string): Promise<void> {
  await addWebhookSecret(secretsFile, 'nobody');
  const receiver = {
    url: 'http://127.0.0.1:9/hooks',
    triggers: ['opened'],
    secret: 'nobody',
    timeoutMs: 1_000,
  };
  const documents = {
    'trigger/opened': { name: 'Opened', on: 'opportunity', to: ['opened'] },
    'receiver/patient': { ...receiver, name: 'Tried again much later', retryAfterMs: [600_000] },
    'receiver/hasty': { ...receiver, name: 'Given up at once', retryAfterMs: [100] },
  };
  for (const [name, document] of Object.entries(documents)) {
    const answer = await fetch(`${url}/v1/definitions/${name}`, {
      method: 'PUT',
      headers: {
        ...{ authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
        'if-none-match': '*',
      },
      body: JSON.stringify({ document, author: 'test', reason: 'to be watched' }),
    });
    expect([name, answer.status]).toEqual([name, 201]);
  }
}

/** A key that ends so soon that somebody is to be told. */
export async function addKeyThatExpires(keysFile: string): Promise<void> {
  const nowMs = Date.now();
  const wanted = { name: 'soon', scope: 'write', expiresAtMs: nowMs + 48 * HOUR_MS } as const;
  await changeHashedKeys(keysFile, (keys) => createKey(keys, wanted, nowMs));
}

/** Events (with repeats, late ones and some that nobody did), evaluations, bids, reports, what a browser asks before it sends. */
export async function sendTraffic(url: string, { write, secret }: Keys): Promise<void> {
  for (let index = 0; index < BUYERS; index += 1) {
    const buyer = `watched-${index}`;
    const again = { type: 'page', userId: buyer, messageId: `again-${index}` };
    const late = { type: 'page', userId: buyer, timestamp: '2020-01-01T00:00:00Z' };
    const batch = [...messagesOf(buyer), again, again, late, { type: 'track', event: 'nobody did this' }];
    expect(await post(url, '/v1/batch', write, { batch })).toBe(200);
    const context = { targetingKey: buyer };
    expect(await post(url, EVALUATE, write, { context })).toBe(200);
    const bid = { campaignId: 'search-machinery', buyerKey: `u:${buyer}`, country: 'US' };
    expect(await post(url, '/v1/bids', secret, bid)).toBe(200);
  }
  for (let index = 0; index < BUYERS; index += 1)
    for (const targetingKey of [`crossing-${index}`, `a:device-of-crossing-${index}`])
      expect(await post(url, EVALUATE, write, { context: { targetingKey } })).toBe(200);
  expect((await fetch(`${url}/v1/batch`, { method: 'OPTIONS' })).status).toBe(204);
  const campaign = { campaign: 'search-machinery', channel: 'search', country: 'US' };
  const spend = {
    ...{ ...campaign, period: 'day', start: '2026-01-05T08:00:00Z', asOf: '2026-01-06T08:00:00Z' },
    ...{ impressions: 10, clicks: 1, cost: 1, currency: 'USD' },
  };
  const asOf = new Date();
  const start = new Date(Math.floor(asOf.getTime() / HOUR_MS) * HOUR_MS);
  const all = {
    ...{ campaign: SPENT_CAMPAIGN, channel: 'display', country: 'DE', period: 'hour', currency: 'EUR' },
    ...{ start: start.toISOString(), asOf: asOf.toISOString(), impressions: 1_000, clicks: 10, cost: 900 },
  };
  expect(await post(url, '/v1/spend', secret, { rows: [spend, all] })).toBe(200);
}

/**
 * What comes only once the stream has applied what was sent: buyers who saw one variant by their user and perhaps another
 * one by their device are known as one; a lease is asked of an account that has spent its day's budget.
 */
export async function sendOnwards(url: string, { write, secret }: Keys): Promise<void> {
  for (let index = 0; index < BUYERS; index += 1) {
    const context = { targetingKey: `crossing-${index}`, anonymousId: `device-of-crossing-${index}` };
    expect(await post(url, EVALUATE, write, { context })).toBe(200);
  }
  expect(await post(url, '/v1/bids', secret, { campaignId: SPENT_CAMPAIGN, country: 'DE' })).toBe(200);
}
