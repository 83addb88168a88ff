// Keys against a listening `serve`: changes reach every process while requests are in flight, real clients wait out their limits
// and lose nothing, and neither needs Redis.
import { request as httpRequest } from 'node:http';
import { OFREPProvider } from '@openfeature/ofrep-provider';
import { OpenFeature } from '@openfeature/server-sdk';
import { Analytics } from '@segment/analytics-node';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { hashApiKey } from '../../platform/api-keys.ts';
import { changeHashedKeys, type KeyLimits, type Scope } from '../../platform/hashed-keys.ts';
import { createKey, revokeKey, rotateKey } from '../../platform/key-administration.ts';
import { apiKeys } from '../../serve/authentication.ts';
import { type Serving, startServe } from '../../serve/main.ts';
import { answering } from './answering.ts';
import { post, readData, serveInNamespace, silentLog, type TestServing } from './serving.ts';

const SOON = { timeout: 1_500, interval: 50 };

let serving: TestServing;
let second: Serving;

beforeAll(async () => {
  serving = await serveInNamespace('keys', {
    kafkaBrokers: inject('kafkaBrokers'),
    redisUrl: inject('redisUrl'),
    clickhouseUrl: inject('clickhouseUrl'),
  });
  second = await startServe(serving.config, silentLog);
});
afterAll(async () => {
  await second?.close();
  await serving?.close();
});

const message = { userId: 'u', event: 'e' };

async function statusesOf(key: string): Promise<number[]> {
  const both = [serving, second].map((each) => post(each, '/v1/track', key, message));
  return (await Promise.all(both)).map(({ status }) => status);
}

async function create(name: string, limits?: KeyLimits, scope: Scope = 'write'): Promise<string> {
  const { plain } = await changeHashedKeys(serving.config.serveKeysFile, (keys) =>
    createKey(keys, { name, scope, limits }, Date.now()),
  );
  await expect.poll(() => statusesOf(plain), SOON).toEqual([200, 200]);
  return plain;
}

const revoke = (name: string) =>
  changeHashedKeys(serving.config.serveKeysFile, (keys) => revokeKey(keys, { name, onlyReplaced: false }));

describe('a change of the keys file', () => {
  it('is in force in every process within a second or so: created, rotated, ended, revoked', async () => {
    const first = await create('living');
    const { plain } = await changeHashedKeys(serving.config.serveKeysFile, (keys) =>
      rotateKey(keys, { name: 'living', overlapMs: 3_000 }, Date.now()),
    );
    await expect.poll(() => statusesOf(plain), SOON).toEqual([200, 200]);
    expect(await statusesOf(first)).toEqual([200, 200]);
    await expect.poll(() => statusesOf(first), { timeout: 4_000, interval: 50 }).toEqual([401, 401]);
    const { body } = await post(serving, '/v1/track', first, message);
    expect(body).toMatchObject({ code: 'key_expired', expiredAt: expect.any(String) });
    await revoke('living');
    await expect.poll(() => statusesOf(plain), SOON).toEqual([401, 401]);
    expect((await post(second, '/v1/track', plain, message)).body.code).toBe('key_revoked');
  });

  it('does not break off a request that passed: it is answered and in the log, the next one is refused', async () => {
    const key = await create('leaving');
    const body = JSON.stringify({ ...message, messageId: 'in-flight' });
    const headers = {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      'content-length': body.length,
    };
    let finish = (): void => {};
    const answered = new Promise<number>((resolve, reject) => {
      const request = httpRequest(`${serving.url}/v1/track`, { method: 'POST', headers }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      request.once('error', reject);
      request.write(body.slice(0, 10));
      finish = () => request.end(body.slice(10));
    });
    await new Promise((resolve) => setTimeout(resolve, 200));
    await revoke('leaving');
    await expect.poll(() => statusesOf(key), SOON).toEqual([401, 401]);
    finish();
    expect(await answered).toBe(200);
    const events = await readData(serving, 'events');
    expect(events.filter(({ value }) => value.messageId === 'in-flight')).toHaveLength(1);
  });
});

describe('real clients wait out a limit', () => {
  it('@segment/analytics-node delivers everything, each once', async () => {
    const key = await create('segment', { events: { perSecond: 25, burst: 25 } });
    const analytics = new Analytics({ writeKey: key, host: serving.url, flushAt: 10, flushInterval: 50 });
    const statuses: number[] = [];
    const failures: unknown[] = [];
    analytics.on('http_response', ({ status }) => statuses.push(status));
    analytics.on('error', (error) => failures.push(error));
    for (let index = 0; index < 100; index += 1)
      analytics.track({ userId: `limited-${index}`, event: 'Limited', messageId: `limited-${index}` });
    await analytics.closeAndFlush({ timeout: 60_000 });
    expect(failures).toEqual([]);
    expect(statuses).toContain(429);
    const events = await readData(serving, 'events');
    const arrived = events.filter(({ value }) => value.source === 'segment' && value.event === 'Limited');
    expect(arrived).toHaveLength(100);
    expect(new Set(arrived.map(({ value }) => value.messageId)).size).toBe(100);
  });

  it('OpenFeature’s OFREP provider pauses for as long as it was told, and goes on', async () => {
    const limits = { requests: { perSecond: 1, burst: 2 } };
    const keys = apiKeys({ keys: [{ name: 'flags', scope: 'write', sha256: hashApiKey('flags'), limits }] });
    const here = await answering('keys-ofrep', { wrap: (dependencies) => ({ ...dependencies, keys }) });
    try {
      const variations = [{ key: 'on', value: true, weight: 1 }];
      here.definitions.set('experiment', 'flag', {
        name: 'Flag',
        status: 'running',
        variations: [...variations, { key: 'off', value: false, weight: 0 }],
        fallback: 'off',
      });
      const baseUrl = await here.app.listen({ host: '127.0.0.1', port: 0 });
      const provider = new OFREPProvider({ baseUrl, headers: [['X-API-Key', 'flags']] });
      await OpenFeature.setProviderAndWait('limited', provider);
      const client = OpenFeature.getClient('limited');
      const ask = () => client.getBooleanDetails('flag', false, { targetingKey: 'buyer-1' });
      expect([(await ask()).value, (await ask()).value]).toEqual([true, true]);
      const limited = await ask();
      expect(limited).toMatchObject({ value: false, reason: 'ERROR' });
      const paused = await ask();
      expect(paused.errorMessage).toContain('paused due to TooManyRequests');
      await expect.poll(async () => (await ask()).value, { timeout: 5_000, interval: 100 }).toBe(true);
    } finally {
      await OpenFeature.close();
      await here.close();
    }
  });
});

it('keys and limits need no Redis: collect answers 200 and 429 while it is away', async () => {
  const limits = { requests: { perSecond: 1, burst: 2 } };
  const keys = apiKeys({ keys: [{ name: 'shop', scope: 'write', sha256: hashApiKey('shop'), limits }] });
  const here = await answering('keys-redis-away', { wrap: (dependencies) => ({ ...dependencies, keys }) });
  try {
    here.redis.disconnect();
    const ask = () =>
      here.app.inject({
        method: 'POST',
        url: '/v1/track',
        headers: { authorization: 'Bearer shop' },
        payload: message,
      });
    const answers = [await ask(), await ask(), await ask()];
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 200, 429]);
  } finally {
    await here.close();
  }
});
