// What holds for every route: keys have scopes, health, metrics and the description answer.
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { hashApiKey } from '../../platform/api-keys.ts';
import { PlatformError } from '../../platform/platform-error.ts';
import type { Dependencies } from '../../serve/dependencies.ts';
import { expectProblem } from './expect-problem.ts';
import { openApp, SECRET, WRITE, world } from './without-parts.ts';

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
const message = { userId: 'u', event: 'e', messageId: 'm' };

describe('keys', () => {
  it('a write key collects and does nothing else', async () => {
    const opened = await openApp();
    const collect = await opened.inject({
      method: 'POST',
      url: '/v1/track',
      headers: bearer(WRITE),
      payload: message,
    });
    expect(collect.statusCode).toBe(200);
    for (const url of ['/v1/clock', '/v1/spend', '/v1/notices']) {
      expectProblem(
        await opened.inject({ method: 'POST', url, headers: bearer(WRITE), payload: {} }),
        403,
        'forbidden',
      );
    }
  });

  it('are asked for as the description says', async () => {
    const opened = await openApp();
    interface Described {
      paths: Record<string, Record<string, { security?: Record<string, string[]>[] }>>;
    }
    const { paths } = (await opened.inject('/docs/json')).json<Described>();
    // A signed address is its own key.
    const { '/v1/n/{signed}': _signed, ...keyed } = paths;
    for (const [described, methods] of Object.entries(keyed)) {
      for (const [method, { security = [] }] of Object.entries(methods)) {
        const url = described.replaceAll(/\{[^}]*\}/g, 'x');
        const ask = async (headers: Record<string, string>) => {
          const answer = await opened.inject({ method: method.toUpperCase() as 'GET', url, headers });
          return answer.statusCode;
        };
        const needed = security[0]?.bearer?.[0];
        expect([url, (await ask({})) === 401], url).toEqual([url, needed !== undefined]);
        expect([url, (await ask(bearer(WRITE))) === 403], url).toEqual([url, needed === 'secret']);
      }
    }
  });

  it('a secret key collects too', async () => {
    const answer = await (await openApp()).inject({
      method: 'POST',
      url: '/v1/track',
      headers: bearer(SECRET),
      payload: message,
    });
    expect(answer.statusCode).toBe(200);
  });

  it('is taken as Bearer, as user name of Basic and as X-API-Key', async () => {
    const opened = await openApp();
    const basic = `Basic ${Buffer.from(`${SECRET}:`).toString('base64')}`;
    for (const headers of [bearer(SECRET), { authorization: basic }, { 'x-api-key': SECRET }]) {
      const answer = await opened.inject({
        method: 'POST',
        url: '/v1/clock',
        headers,
        payload: { time: '2026-03-01T12:00:00Z' },
      });
      expect(answer.statusCode).toBe(200);
    }
  });

  it.each([
    ['none', {}],
    ['an unknown one', { authorization: 'Bearer nobody' }],
    ['an empty one', { authorization: 'Bearer ' }],
    ['another scheme', { authorization: `Digest ${SECRET}` }],
    ['its own hash', { authorization: `Bearer ${hashApiKey(SECRET)}` }],
  ])('%s is a 401 that says which schemes there are', async (_name, headers) => {
    const answer = await (await openApp()).inject({
      method: 'POST',
      url: '/v1/clock',
      headers,
      payload: { time: 1 },
    });
    expectProblem(answer, 401, 'unauthorized');
    expect(answer.headers['www-authenticate']).toContain('Bearer');
  });
});

describe('the feeder’s clock', () => {
  it('writes one supplied clock record into every partition of events and spend', async () => {
    const given = world();
    const answer = await (await openApp(given)).inject({
      method: 'POST',
      url: '/v1/clock',
      headers: bearer(SECRET),
      payload: { time: '2019-11-01T00:00:00Z' },
    });
    expect(answer.json()).toEqual({ success: true, partitions: 16 });
    const places = given.remembered.sent.map(({ topic, partition, key }) => `${topic}/${partition}/${key}`);
    expect(new Set(places).size).toBe(16);
    expect(places.filter((place) => place.startsWith('events/'))).toHaveLength(12);
    for (const { value } of given.remembered.sent) {
      expect(JSON.parse(String(value))).toEqual({
        kind: 'clock',
        time: Date.parse('2019-11-01'),
        supplied: true,
      });
    }
  });

  it.each([
    ['2026-03-01T12:06:00Z', 'future'],
    [12, 'absurd_time'],
    ['tomorrow', 'invalid'],
  ])('refuses %s', async (time, code) => {
    const answer = await (await openApp()).inject({
      method: 'POST',
      url: '/v1/clock',
      headers: bearer(SECRET),
      payload: { time },
    });
    expectProblem(answer, 400, code);
  });
});

describe('when Kafka does not keep up', () => {
  const failing = (code: 'KAFKA_QUEUE_FULL' | 'KAFKA_NOT_DELIVERED') =>
    ({
      sendBatch: async () => Promise.reject(new PlatformError(code, 'no')),
    }) as unknown as Dependencies['producer'];

  it('a full queue is a 429 with Retry-After', async () => {
    const answer = await (await openApp(world({ producer: failing('KAFKA_QUEUE_FULL') }))).inject({
      method: 'POST',
      url: '/v1/track',
      headers: bearer(WRITE),
      payload: message,
    });
    expectProblem(answer, 429, 'busy');
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
  });

  it('no acknowledgement is a 503 with Retry-After, on every route that takes data in', async () => {
    const opened = await openApp(world({ producer: failing('KAFKA_NOT_DELIVERED') }));
    for (const [url, payload] of [
      ['/v1/track', message],
      ['/v1/batch', { batch: [message] }],
      ['/v1/batch', '{'],
      ['/v1/clock', { time: 1_750_000_000_000 }],
    ] as const) {
      const answer = await opened.inject({
        method: 'POST',
        url,
        headers: { ...bearer(SECRET), 'content-type': 'application/json' },
        payload,
      });
      expectProblem(answer, 503, 'log_unavailable');
      expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    }
  });

  it('a broker that is known to be away is a 503 at once, and nothing is handed over', async () => {
    const given = world({ kafkaIsUp: () => false });
    const answer = await (await openApp(given)).inject({
      method: 'POST',
      url: '/v1/track',
      headers: bearer(WRITE),
      payload: message,
    });
    expectProblem(answer, 503, 'log_unavailable');
    expect(given.remembered.sent).toEqual([]);
  });

  it('bytes that wait are bounded: what does not fit is a 429, and fits again later', async () => {
    const waiting: (() => void)[] = [];
    const opened = await openApp(
      world({
        producer: {
          sendBatch: () => new Promise<number[]>((resolve) => waiting.push(() => resolve([]))),
        } as unknown as Dependencies['producer'],
      }),
    );
    const payload = {
      batch: [{ ...message, type: 'track', properties: { a: 'x'.repeat(200_000) } }],
      padding: 'x'.repeat(4_500_000),
    };
    const request = () =>
      opened.inject({ method: 'POST', url: '/v1/batch', headers: bearer(WRITE), payload });
    const answers: { statusCode: number; headers: Record<string, unknown>; json(): unknown }[] = [];
    const requests = Array.from({ length: 20 }, () => request().then((answer) => answers.push(answer)));
    await expect.poll(() => [waiting.length, answers.length], { timeout: 10_000 }).toEqual([14, 6]);
    for (const answer of answers) expectProblem(answer, 429, 'busy');
    for (const resolve of waiting) resolve();
    await Promise.all(requests);
    expect(answers.slice(6).map((answer) => answer.statusCode)).toEqual(Array(14).fill(200));
    const later = request();
    await expect.poll(() => waiting.length).toBe(15);
    waiting[14]!();
    expect((await later).statusCode).toBe(200);
  });
});

describe('health', () => {
  it('answers while nothing else does', async () => {
    const answer = await (await openApp()).inject('/healthz');
    expect(answer.json()).toEqual({ ok: true });
  });

  it('is ready when every part is up', async () => {
    const answer = await (await openApp()).inject('/readyz');
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toEqual({
      ready: true,
      namespace: 'default',
      parts: {
        kafka: { up: true },
        redis: { up: true },
        clickhouse: { up: true },
        definitions: { up: true },
      },
    });
  });

  const down = async () => {
    throw new Error('refused');
  };
  it.each([
    ['kafka', { kafkaIsUp: () => false }],
    ['redis', { redis: { ping: down } }],
    ['clickhouse', { clickhouse: { ping: async () => ({ success: false, error: new Error('refused') }) } }],
    ['definitions', { definitionLog: { isCaughtUp: () => false } }],
  ])('says that %s is down', async (part, overrides) => {
    const answer = await (await openApp(world(overrides as unknown as Partial<Dependencies>))).inject(
      '/readyz',
    );
    expect(answer.statusCode).toBe(503);
    const { ready, parts } = answer.json();
    expect(ready).toBe(false);
    for (const [name, { up, detail }] of Object.entries<{ up: boolean; detail?: string }>(parts)) {
      expect(up, name).toBe(name !== part);
      if (name === part) expect(detail).toEqual(expect.any(String));
    }
  });
});

describe('what operators and programmers look at', () => {
  it('metrics count events, rejects and route seconds', async () => {
    const opened = await openApp();
    await opened.inject({ method: 'POST', url: '/v1/track', headers: bearer(WRITE), payload: message });
    await opened.inject({
      method: 'POST',
      url: '/v1/track',
      headers: bearer(WRITE),
      payload: { event: 'nobody' },
    });
    const { body, headers } = await opened.inject('/metrics');
    expect(headers['content-type']).toContain('text/plain');
    expect(body).toContain('flywheel_collect_events_total{kind="track"} 1');
    expect(body).toContain('flywheel_collect_rejected_total{reason="missing_id"} 1');
    expect(body).toContain(
      'flywheel_serve_route_seconds_count{method="POST",route="/v1/track",status="200"} 1',
    );
  });

  it('each kind, and each reason of a rejection, stands at 0 from the start: the first burst of it is a rise', async () => {
    const { body } = await (await openApp()).inject('/metrics');
    for (const reason of ['malformed', 'empty_batch', 'future', 'unknown_campaign', 'unknown_variant'])
      expect(body).toContain(`flywheel_collect_rejected_total{reason="${reason}"} 0`);
    for (const kind of ['track', 'alias', 'report', 'notice'])
      expect(body).toContain(`flywheel_collect_events_total{kind="${kind}"} 0`);
  });

  it('a reject counts when it is written, not when it could not be', async () => {
    let isUp = false;
    const opened = await openApp(world({ kafkaIsUp: () => isUp }));
    const ask = () =>
      opened.inject({
        method: 'POST',
        url: '/v1/track',
        headers: bearer(WRITE),
        payload: { event: 'nobody' },
      });
    const counted = async () =>
      /flywheel_collect_rejected_total\{reason="missing_id"\} (\d+)/.exec(
        (await opened.inject('/metrics')).body,
      )?.[1];
    expect([(await ask()).statusCode, await counted()]).toEqual([503, '0']);
    isUp = true;
    expect([(await ask()).statusCode, await counted()]).toEqual([400, '1']);
  });

  it('larger answers are packed as the client takes it, smaller ones go as they are', async () => {
    const opened = await openApp();
    const plain = await opened.inject('/docs/json');
    const unpack = { br: brotliDecompressSync, gzip: gunzipSync };
    for (const [encoding, unpacked] of Object.entries(unpack)) {
      const answer = await opened.inject({ url: '/docs/json', headers: { 'accept-encoding': encoding } });
      expect(answer.headers['content-encoding']).toBe(encoding);
      expect(answer.headers.vary).toBe('accept-encoding');
      expect(answer.rawPayload.length).toBeLessThan(plain.rawPayload.length / 4);
      expect(unpacked(answer.rawPayload).equals(plain.rawPayload)).toBe(true);
    }
    const small = await opened.inject({ url: '/healthz', headers: { 'accept-encoding': 'gzip' } });
    expect(small.headers['content-encoding']).toBeUndefined();
  });

  it('pages of any site may collect and ask for variants, and nothing else', async () => {
    const opened = await openApp();
    const preflight = (url: string) =>
      opened.inject({ method: 'OPTIONS', url, headers: { origin: 'https://shop.example' } });
    for (const url of [
      '/v1/track',
      '/v1/batch',
      '/ofrep/v1/evaluate/flags',
      '/ofrep/v1/evaluate/flags/form',
    ]) {
      const answer = await preflight(url);
      expect([url, answer.statusCode]).toEqual([url, 204]);
      expect(answer.headers['access-control-allow-headers']).toContain('if-none-match');
    }
    const asked = await opened.inject({ method: 'POST', url: '/ofrep/v1/evaluate/flags', payload: {} });
    expect(asked.statusCode).toBe(401);
    expect(asked.headers['access-control-allow-origin']).toBe('*');
    expect(asked.headers['access-control-expose-headers']).toContain('etag');
    for (const url of ['/v1/buyers/u:1', '/v1/definitions', '/v1/bids']) {
      const answer = await preflight(url);
      expect([url, answer.statusCode]).toEqual([url, 405]);
      expect(answer.headers['access-control-allow-origin']).toBeUndefined();
    }
  });

  it('the description is OpenAPI 3.1 and names every public route', async () => {
    const opened = await openApp();
    const { openapi, paths } = (await opened.inject('/docs/json')).json();
    expect(openapi).toBe('3.1.0');
    for (const path of [
      '/v1/track',
      '/v1/batch',
      '/v1/b',
      '/v1/spend',
      '/v1/notices',
      '/v1/n/{signed}',
      '/v1/clock',
      '/readyz',
    ]) {
      expect(paths, path).toHaveProperty([path]);
    }
    expect(paths['/v1/track'].post.requestBody.content['application/json'].schema.properties).toHaveProperty(
      'userId',
    );
    expect((await opened.inject('/docs')).headers['content-type']).toContain('text/html');
  });
});
