// Who may pass: expiry, revocation and limits under a clock that the test turns, and what those are told who may not.
import type { FastifyInstance, InjectOptions } from 'fastify';
import { describe, expect, it } from 'vitest';
import { hashApiKey } from '../../platform/api-keys.ts';
import { readConfig } from '../../platform/config.ts';
import { type HashedKey, KEY_NAMES_MAX, type KeyLimits } from '../../platform/hashed-keys.ts';
import { PlatformError } from '../../platform/platform-error.ts';
import { addressBlock } from '../../serve/address-block.ts';
import { apiKeys } from '../../serve/authentication.ts';
import { Buckets } from '../../serve/buckets.ts';
import { NOW_MS, openApp, type World, world } from './without-parts.ts';

const DAY_MS = 86_400_000;
const iso = (ms: number): string => new Date(ms).toISOString();

function key(name: string, change: Partial<HashedKey> = {}): HashedKey {
  const { scope = 'write' } = change;
  return { name, scope, sha256: hashApiKey(name), ...change };
}

interface Gated extends World {
  readonly app: FastifyInstance;
  readonly clock: { nowMs: number; aheadMs: number };
}

/** The plain key of each is its name. */
async function open(keys: HashedKey[], environment: Record<string, string> = {}): Promise<Gated> {
  const clock = { nowMs: NOW_MS, aheadMs: 0 };
  const given = world({
    keys: apiKeys({ keys }),
    clock: { nowMs: () => clock.nowMs, monotonicMs: () => clock.aheadMs },
    config: readConfig(environment),
  });
  return { ...given, app: await openApp(given), clock };
}

const bearer = (plain: string) => ({ authorization: `Bearer ${plain}` });
const message = { userId: 'u', event: 'e', messageId: 'm' };

function track(plain: string | null, more: InjectOptions = {}): InjectOptions {
  const headers = plain === null ? {} : bearer(plain);
  return { method: 'POST', url: '/v1/track', headers, payload: message, ...more };
}

const batchOf = (size: number) => ({
  batch: Array.from({ length: size }, () => ({ ...message, type: 'track' })),
});
const batch = (plain: string, size: number): InjectOptions =>
  track(plain, { url: '/v1/batch', payload: batchOf(size) });

const limited = (limits: KeyLimits) => ({ limits });

describe('expiry', () => {
  const ends = key('ends', { expiresAt: iso(NOW_MS + DAY_MS) });

  it('is exact to the millisecond, and the 401 says when it was', async () => {
    const { app, clock, remembered } = await open([ends]);
    clock.nowMs = NOW_MS + DAY_MS - 1;
    expect((await app.inject(track('ends'))).statusCode).toBe(200);
    clock.nowMs += 1;
    const answer = await app.inject(track('ends'));
    expect(answer.statusCode).toBe(401);
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(answer.headers['www-authenticate']).toContain('Bearer');
    expect(answer.json()).toMatchObject({
      code: 'key_expired',
      expiredAt: iso(NOW_MS + DAY_MS),
      detail: expect.stringContaining(`expired at ${iso(NOW_MS + DAY_MS)}`),
    });
    expect(remembered.sent).toHaveLength(1);
  });

  it('holds for a key in the body as well, on every route that takes one', async () => {
    const { app, clock } = await open([ends, key('team', { scope: 'secret', expiresAt: iso(NOW_MS + 1) })]);
    clock.nowMs = NOW_MS + DAY_MS;
    const inBody = await app.inject(track(null, { payload: { ...message, writeKey: 'ends' } }));
    expect(inBody.json()).toMatchObject({ status: 401, code: 'key_expired' });
    for (const url of ['/v1/bids', '/v1/spend', '/v1/clock', '/ofrep/v1/evaluate/flags']) {
      const answer = await app.inject({ method: 'POST', url, headers: bearer('team'), payload: {} });
      expect([url, answer.statusCode, answer.json().code]).toEqual([url, 401, 'key_expired']);
    }
  });

  it('ends an overlap on one side only: both keys pass, then the new one alone, under one source', async () => {
    const old = key('shop', {
      sha256: hashApiKey('old'),
      expiresAt: iso(NOW_MS + DAY_MS),
      replacedBy: hashApiKey('new'),
    });
    const { app, clock, remembered } = await open([old, key('shop', { sha256: hashApiKey('new') })]);
    const statuses = async () => [
      (await app.inject(track('old'))).statusCode,
      (await app.inject(track('new'))).statusCode,
    ];
    expect(await statuses()).toEqual([200, 200]);
    clock.nowMs = NOW_MS + DAY_MS - 1;
    expect(await statuses()).toEqual([200, 200]);
    clock.nowMs += 1;
    expect(await statuses()).toEqual([401, 200]);
    expect((await app.inject(track('old'))).json().detail).toContain('use the one that replaced it');
    const sources = remembered.sent.map(
      ({ value }) => (JSON.parse(String(value)) as { source: string }).source,
    );
    expect(new Set(sources)).toEqual(new Set(['shop']));
  });
});

it('names another source only for what a secret key submits again', async () => {
  const { app, remembered } = await open([key('team', { scope: 'secret' }), key('shop'), key('große säge')]);
  const sent = async (plain: string, source: string, more: Record<string, string>) => {
    const headers = { ...bearer(plain), 'x-flywheel-source': source, ...more };
    expect((await app.inject(track(plain, { headers }))).statusCode).toBe(200);
    return JSON.parse(String(remembered.sent.at(-1)!.value)).source;
  };
  const again = { 'x-flywheel-replay': 'rejected' };
  expect(await sent('team', 'shop', again)).toBe('shop');
  expect(await sent('team', encodeURIComponent('große säge'), again)).toBe('große säge');
  expect(await sent('team', 'nobody', again)).toBe('team');
  expect(await sent('team', 'shop', {})).toBe('team');
  expect(await sent('shop', 'team', again)).toBe('shop');
});

it('a revoked key is told so', async () => {
  const { app } = await open([key('gone', { disabled: true }), key('here')]);
  const answer = await app.inject(track('gone'));
  expect([answer.statusCode, answer.json().code]).toEqual([401, 'key_revoked']);
  expect((await app.inject(track('here'))).statusCode).toBe(200);
});

describe('limits of requests', () => {
  const limits = { requests: { perSecond: 2, burst: 3 } };

  it('give the burst and not one more, then one exactly when the time of one has passed', async () => {
    const { app, clock, remembered } = await open([key('shop', limited(limits))]);
    const status = async () => (await app.inject(track('shop'))).statusCode;
    for (let sent = 0; sent < 3; sent += 1) expect(await status()).toBe(200);
    expect(await status()).toBe(429);
    clock.aheadMs = 499;
    expect(await status()).toBe(429);
    clock.aheadMs = 500;
    expect(await status()).toBe(200);
    expect(await status()).toBe(429);
    // A wall clock that is turned gives nothing.
    clock.nowMs += DAY_MS;
    expect(await status()).toBe(429);
    expect(remembered.sent).toHaveLength(4);
  });

  it('answer 429 with Retry-After, as a problem document that pages can read, and say what is left before', async () => {
    const { app, clock } = await open([key('shop', limited(limits))]);
    const first = await app.inject(track('shop'));
    expect(first.headers).toMatchObject({
      'ratelimit-policy': '"requests";q=3;w=2',
      ratelimit: '"requests";r=2;t=1',
    });
    for (let sent = 0; sent < 2; sent += 1) await app.inject(track('shop'));
    const answer = await app.inject(track('shop'));
    expect(answer.headers).toMatchObject({
      'content-type': 'application/problem+json',
      'retry-after': '1',
      ratelimit: '"requests";r=0;t=1',
      'access-control-allow-origin': '*',
    });
    expect(answer.headers['access-control-expose-headers']).toContain('retry-after');
    expect(answer.headers['access-control-expose-headers']).toContain('ratelimit');
    expect(answer.json()).toMatchObject({
      status: 429,
      code: 'rate_limited',
      retryAfterSeconds: 1,
      detail: expect.stringContaining('"shop" may have 2 requests a second, 3 at once'),
    });
    clock.aheadMs = 1_000;
    expect((await app.inject(track('shop'))).statusCode).toBe(200);
  });

  it.each([
    ['OFREP', '/ofrep/v1/evaluate/flags', { context: { targetingKey: 'x' } }],
    ['one flag of OFREP', '/ofrep/v1/evaluate/flags/form', { context: { targetingKey: 'x' } }],
    ['bids', '/v1/bids', { campaignId: 'c' }],
    ['spend', '/v1/spend', {}],
    ['a batch', '/v1/batch', batchOf(1)],
  ])('hold on %s', async (_name, url, payload) => {
    const one = { requests: { perSecond: 1, burst: 1 } };
    const { app } = await open([key('team', { scope: 'secret', ...limited(one) })]);
    const ask = () => app.inject({ method: 'POST', url, headers: bearer('team'), payload });
    expect((await ask()).statusCode).not.toBe(429);
    const answer = await ask();
    expect([answer.statusCode, answer.headers['retry-after']]).toEqual([429, '1']);
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(answer.json()).toMatchObject({ code: 'rate_limited' });
  });

  it('are of each key alone, and of a name through a rotation', async () => {
    const old = key('shop', { sha256: hashApiKey('old'), replacedBy: hashApiKey('new'), ...limited(limits) });
    const fresh = key('shop', { sha256: hashApiKey('new'), ...limited(limits) });
    const { app } = await open([old, fresh, key('other', limited(limits)), key('free')]);
    for (const plain of ['old', 'new', 'old']) expect((await app.inject(track(plain))).statusCode).toBe(200);
    expect((await app.inject(track('new'))).statusCode).toBe(429);
    expect((await app.inject(track('other'))).statusCode).toBe(200);
    for (let sent = 0; sent < 50; sent += 1) expect((await app.inject(track('free'))).statusCode).toBe(200);
  });

  it('count a request once, whether its key stands in the header or in the body', async () => {
    const { app } = await open([key('shop', limited({ requests: { perSecond: 1, burst: 2 } }))]);
    const inBody = track(null, { payload: { ...message, writeKey: 'shop' } });
    expect((await app.inject(inBody)).headers.ratelimit).toBe('"requests";r=1;t=1');
    const both = await app.inject(track('shop', { payload: { ...message, writeKey: 'shop' } }));
    expect(both.headers.ratelimit).toBe('"requests";r=0;t=2');
    expect((await app.inject(inBody)).statusCode).toBe(429);
  });
});

describe('limits of events', () => {
  const limits = { events: { perSecond: 10, burst: 20 } };

  it('count each message of a batch, also those that are rejected, and nothing of a refused batch is taken', async () => {
    const { app, clock, remembered } = await open([key('shop', limited(limits))]);
    const mixed = { batch: [...batchOf(14).batch, { type: 'track', event: 'nobody' }] };
    expect((await app.inject(track('shop', { url: '/v1/batch', payload: mixed }))).json().accepted).toBe(14);
    const written = remembered.sent.length;
    const answer = await app.inject(batch('shop', 6));
    expect(answer.statusCode).toBe(429);
    expect(answer.json().detail).toContain('10 events a second, 20 at once');
    expect(remembered.sent).toHaveLength(written);
    expect((await app.inject(batch('shop', 5))).statusCode).toBe(200);
    clock.aheadMs = 100;
    expect((await app.inject(track('shop'))).statusCode).toBe(200);
    expect((await app.inject(track('shop'))).statusCode).toBe(429);
  });

  it('take a batch larger than the burst out of a full bucket, and have it paid back before the next', async () => {
    const { app, clock } = await open([key('shop', limited(limits))]);
    expect((await app.inject(batch('shop', 100))).statusCode).toBe(200);
    const refused = await app.inject(batch('shop', 100));
    expect([refused.statusCode, refused.headers['retry-after']]).toEqual([429, '10']);
    clock.aheadMs = 9_999;
    expect((await app.inject(batch('shop', 100))).statusCode).toBe(429);
    clock.aheadMs = 10_000;
    expect((await app.inject(batch('shop', 100))).statusCode).toBe(200);
  });

  // Whoever sent a large batch while Kafka was away had to wait for its tokens, though nothing of it was taken.
  it.each([
    ['no broker is reached', (given: Gated) => (given.dependencies.kafkaIsUp = () => false), 503],
    [
      'too much is on its way',
      ({ dependencies: { producer } }: Gated) => {
        producer.sendBatch = async () => {
          throw new PlatformError('KAFKA_QUEUE_FULL', 'not now');
        };
      },
      429,
    ],
  ] as const)('count nothing of a request that is not taken because %s', async (_name, trouble, status) => {
    const both = { requests: { perSecond: 50, burst: 100 }, ...limits };
    const given = await open([key('shop', limited(both))]);
    const { dependencies, app } = given;
    const { kafkaIsUp } = dependencies;
    const { sendBatch } = dependencies.producer;
    trouble(given);
    for (const [sent, left] of [
      [15, 20],
      [100, 20],
    ] as const) {
      const refused = await app.inject(batch('shop', sent));
      expect([refused.statusCode, refused.json().code]).toEqual([
        status,
        status === 503 ? 'log_unavailable' : 'busy',
      ]);
      expect(refused.headers['ratelimit-policy']).toBe('"requests";q=100;w=2, "events";q=20;w=2');
      expect(refused.headers.ratelimit).toContain(`"events";r=${left};t=0`);
    }
    Object.assign(dependencies, { kafkaIsUp });
    Object.assign(dependencies.producer, { sendBatch });
    expect((await app.inject(batch('shop', 100))).statusCode).toBe(200);
    expect((await app.inject(batch('shop', 1))).statusCode).toBe(429);
  });

  it('count what Kafka may have taken', async () => {
    const { dependencies, app } = await open([key('shop', limited(limits))]);
    dependencies.producer.sendBatch = async () => {
      throw new PlatformError('KAFKA_NOT_DELIVERED', 'in time');
    };
    expect((await app.inject(batch('shop', 20))).statusCode).toBe(503);
    expect((await app.inject(batch('shop', 1))).statusCode).toBe(429);
  });

  it('count a body that cannot be read as one: it is kept, too', async () => {
    const { app, remembered } = await open([key('shop', limited({ events: { perSecond: 1, burst: 2 } }))]);
    const broken = track('shop', {
      headers: { ...bearer('shop'), 'content-type': 'application/json' },
      payload: '{',
    });
    expect((await app.inject(broken)).statusCode).toBe(400);
    expect((await app.inject(broken)).statusCode).toBe(400);
    expect((await app.inject(broken)).statusCode).toBe(429);
    expect(remembered.sent).toHaveLength(2);
  });
});

// What was said of it was to send the key that stood in it.
it.each([
  ['{"writeKey":"shop","userId":"u",}', {}],
  ['nothing', { 'content-encoding': 'gzip' }],
])('a body that cannot be read, without a key beside it, is told that: %s', async (payload, more) => {
  const { app } = await open([key('shop')]);
  const headers = { 'content-type': 'text/plain', ...more };
  const answer = await app.inject(track(null, { headers, payload }));
  expect([answer.statusCode, answer.json().code]).toEqual([401, 'unauthorized']);
  expect(answer.json().detail).toMatch(/^Send a write key: .* which cannot be read: \S/);
  const read = await app.inject(track(null, { headers: { 'content-type': 'text/plain' }, payload: '{}' }));
  expect(read.json().detail).not.toContain('cannot be read');
});

describe('requests without a valid key', () => {
  const few = { SERVE_REFUSED_PER_SECOND: '1' };

  it('are bounded for each address, and a valid key passes from there all the same', async () => {
    const { app, clock } = await open([key('shop')], few);
    const ask = (plain: string | null, remoteAddress: string) => app.inject(track(plain, { remoteAddress }));
    for (let asked = 0; asked < 10; asked += 1)
      expect((await ask(`guess-${asked}`, '198.51.100.7')).statusCode).toBe(401);
    const refused = await ask('guess', '198.51.100.7');
    expect([refused.statusCode, refused.headers['retry-after']]).toEqual([429, '1']);
    expect(refused.json().code).toBe('too_many_refused');
    expect((await ask(null, '198.51.100.7')).statusCode).toBe(429);
    expect((await ask('guess', '198.51.100.8')).statusCode).toBe(401);
    expect((await ask('shop', '198.51.100.7')).statusCode).toBe(200);
    const inBody = track(null, {
      remoteAddress: '198.51.100.7',
      payload: { ...message, writeKey: 'shop' },
    });
    expect((await app.inject(inBody)).statusCode).toBe(200);
    clock.aheadMs = 1_000;
    expect((await ask('guess', '198.51.100.7')).statusCode).toBe(401);
  });

  it('are counted on routes of every kind, and so are expired and revoked keys', async () => {
    const { app } = await open(
      [key('gone', { disabled: true }), key('late', { expiresAt: iso(NOW_MS) })],
      few,
    );
    const urls = ['/v1/track', '/v1/bids', '/ofrep/v1/evaluate/flags', '/v1/spend', '/v1/clock'];
    for (const plain of ['gone', 'late'])
      for (const url of urls) expect((await app.inject(track(plain, { url }))).statusCode).toBe(401);
    for (const url of urls) {
      const answer = await app.inject(track('gone', { url }));
      expect([url, answer.statusCode, answer.headers['retry-after']]).toEqual([url, 429, '1']);
    }
  });

  it('have no large or packed body read for them from an address that is over its bound', async () => {
    const { app } = await open([key('shop')], few);
    const large = { ...message, writeKey: 'nobody', properties: { text: 'x'.repeat(100_000) } };
    for (let asked = 0; asked < 10; asked += 1)
      expect((await app.inject(track(null, { payload: large }))).statusCode).toBe(401);
    // Refused before its body is read: what is wrong with the body is not what it is told.
    const headers = { 'content-type': 'application/json' };
    const unread = await app.inject(track(null, { headers, payload: `{${'x'.repeat(100_000)}` }));
    expect([unread.statusCode, unread.json().code]).toEqual([429, 'too_many_refused']);
  });

  it('count a /64 as one address, and an IPv4 address as itself however it is written', () => {
    expect(addressBlock('2001:db8:1:2:3:4:5:6')).toBe(addressBlock('2001:db8:1:2::9'));
    expect(addressBlock('2001:db8:1:2::1')).not.toBe(addressBlock('2001:db8:1:3::1'));
    expect(addressBlock('::ffff:192.0.2.1')).toBe(addressBlock('192.0.2.1'));
  });

  it('are told by the address that a trusted proxy names, and by nobody else’s word', async () => {
    const from = (forwarded: string) =>
      track('guess', { headers: { ...bearer('guess'), 'x-forwarded-for': forwarded } });
    const behind = await open([key('shop')], { ...few, SERVE_TRUSTED_PROXIES: '127.0.0.0/8' });
    for (let asked = 0; asked < 10; asked += 1) await behind.app.inject(from('203.0.113.5'));
    expect((await behind.app.inject(from('203.0.113.5'))).statusCode).toBe(429);
    expect((await behind.app.inject(from('203.0.113.6'))).statusCode).toBe(401);
    await behind.app.close();
    const bare = await open([key('shop')], few);
    for (let asked = 0; asked < 10; asked += 1) await bare.app.inject(from(`203.0.113.${asked}`));
    expect((await bare.app.inject(from('203.0.113.99'))).statusCode).toBe(429);
  });

  it('cost a bounded memory: the address that was seen longest ago is forgotten', () => {
    const buckets = new Buckets(3, () => 0);
    const policy = { perSecond: 1, burst: 1 };
    for (const address of ['a', 'b', 'c', 'd']) expect(buckets.take(address, policy, 1).taken).toBe(true);
    expect(buckets.size).toBe(3);
    expect(buckets.has('d', policy)).toBe(false);
    expect(buckets.has('a', policy)).toBe(true);
  });
});

describe('metrics', () => {
  it('tell who called and what became of it, who was limited, and which key ends soon', async () => {
    const keys = [
      key('shop', limited({ requests: { perSecond: 1, burst: 1 } })),
      key('soon', { expiresAt: iso(NOW_MS + DAY_MS) }),
      key('soon', {
        sha256: hashApiKey('x'),
        expiresAt: iso(NOW_MS + 1_000),
        replacedBy: hashApiKey('soon'),
      }),
      key('later', { expiresAt: iso(NOW_MS + 8 * DAY_MS) }),
      key('past', { expiresAt: iso(NOW_MS) }),
    ];
    const { app, clock } = await open(keys);
    for (const plain of ['shop', 'shop', 'past', 'nobody', null]) await app.inject(track(plain));
    await app.inject({ method: 'POST', url: '/v1/clock', headers: bearer('soon'), payload: {} });
    const text = async () => (await app.inject('/metrics')).body;
    const first = await text();
    for (const line of [
      'flywheel_key_requests_total{key="shop",outcome="accepted"} 1',
      'flywheel_key_requests_total{key="shop",outcome="limited"} 1',
      'flywheel_key_requests_total{key="past",outcome="expired"} 1',
      'flywheel_key_requests_total{key="",outcome="unknown"} 1',
      'flywheel_key_requests_total{key="",outcome="missing"} 1',
      'flywheel_key_requests_total{key="soon",outcome="forbidden"} 1',
      'flywheel_key_limited_total{key="shop",limit="requests"} 1',
      'flywheel_key_expires_in_seconds{key="soon",replaced="false"} 86400',
      'flywheel_key_expires_in_seconds{key="soon",replaced="true"} 1',
    ])
      expect(first).toContain(line);
    expect(first).not.toContain('flywheel_key_expires_in_seconds{key="later"');
    clock.nowMs += DAY_MS;
    expect(await text()).not.toContain('flywheel_key_expires_in_seconds{key="soon"');
    expect(await text()).toContain('flywheel_key_expires_in_seconds{key="later",replaced="false"} 604800');
  });

  it('have bounded labels, however many keys there are', async () => {
    const keys = Array.from({ length: KEY_NAMES_MAX }, (_none, index) => key(`site-${index}`));
    const { app } = await open(keys);
    for (const { name } of keys.slice(0, 250)) await app.inject(track(name));
    const { body } = await app.inject('/metrics');
    expect(body.match(/flywheel_key_requests_total\{/g)).toHaveLength(201);
    expect(body).toContain('flywheel_key_requests_total{key="other",outcome="accepted"} 50');
  });
});
