// Packed answers and bodies at their edges: tags of each form, answers that did not change, packings that chain, lie or break off,
// and what browsers may read and send.
import { brotliCompressSync, deflateRawSync, deflateSync, gunzipSync, gzipSync } from 'node:zlib';
import { type FastifyInstance, fastify } from 'fastify';
import { describe, expect, it } from 'vitest';
import type { Publication } from '../../platform/definition-publish.ts';
import type { Dependencies } from '../../serve/dependencies.ts';
import { isUnchanged } from '../../serve/entity-tag.ts';
import { registerPacking } from '../../serve/packing.ts';
import { DefinitionsGiven } from './answering.ts';
import { openApp, SECRET, WRITE, world } from './without-parts.ts';

const secret = { authorization: `Bearer ${SECRET}` };
const gzip = { ...secret, 'accept-encoding': 'gzip' };
const url = '/v1/definitions/experiment/long';

/** An experiment that is large enough to be packed, and a publisher that only asks whether the writer has seen it. */
async function open(): Promise<FastifyInstance> {
  const definitions = new DefinitionsGiven();
  const variations = ['on', 'off'].map((key) => ({ key, value: key.repeat(2_000), weight: 0.5 }));
  definitions.set('experiment', 'long', { name: 'Long', status: 'draft', variations, fallback: 'on' });
  const [current] = definitions.view().historyOf('experiment', 'long');
  const { revision, hash } = current!;
  const publish = async ({ precondition }: Publication) => ({
    outcome: precondition?.(current) === true ? 'unchanged' : 'conflict',
    revision,
    hash,
  });
  const overrides = { definitionLog: definitions.view(), publisher: { publish } };
  return openApp(world(overrides as unknown as Partial<Dependencies>));
}

describe('a packed answer', () => {
  it('has a strong tag of its own, and says what it depends on', async () => {
    const opened = await open();
    const plain = await opened.inject({ url, headers: secret });
    const packed = await opened.inject({ url, headers: gzip });
    expect(packed.headers['content-encoding']).toBe('gzip');
    expect(gunzipSync(packed.rawPayload).equals(plain.rawPayload)).toBe(true);
    expect(packed.headers.etag).toBe(String(plain.headers.etag).replace(/"$/, '+gzip"'));
    for (const answer of [plain, packed]) expect(answer.headers.vary).toBe('accept-encoding');
  });

  it('that did not change is a 304 without a body, under the tag of the form that the caller holds', async () => {
    const opened = await open();
    const { headers: plain } = await opened.inject({ url, headers: secret });
    const { headers: packed } = await opened.inject({ url, headers: gzip });
    for (const tag of [plain.etag, packed.etag].map(String)) {
      for (const known of [tag, `W/${tag}`, `"other", ${tag}`]) {
        const answer = await opened.inject({ url, headers: { ...gzip, 'if-none-match': known } });
        expect([known, answer.statusCode, answer.body]).toEqual([known, 304, '']);
        expect(answer.headers.etag).toBe(tag);
        expect(answer.headers.vary).toBe('accept-encoding');
        expect(answer.headers['content-encoding']).toBeUndefined();
      }
    }
    const changed = await opened.inject({ url, headers: { ...gzip, 'if-none-match': '"0-old+gzip"' } });
    expect(changed.statusCode).toBe(200);
  });

  it('has a tag that says its form where it is a weak one, too', async () => {
    const app = fastify();
    await registerPacking(app);
    app.get('/flags', (request, reply) => {
      reply.header('etag', 'W/"x"');
      if (isUnchanged(request.headers['if-none-match'], 'W/"x"')) return reply.code(304).send();
      return reply.send({ flags: 'x'.repeat(2_000) });
    });
    const ask = async (known: string) => {
      const headers = { 'accept-encoding': 'gzip', 'if-none-match': known };
      const answer = await app.inject({ url: '/flags', headers });
      return [answer.statusCode, answer.headers.etag];
    };
    expect(await ask('W/"y"')).toEqual([200, 'W/"x+gzip"']);
    for (const known of ['W/"x+gzip"', '"x+gzip"', 'W/"y", W/"x+gzip"'])
      expect(await ask(known)).toEqual([304, 'W/"x+gzip"']);
    expect(await ask('W/"x"')).toEqual([304, 'W/"x"']);
    await app.close();
  });

  it('has a tag that a change may name as what its author saw', async () => {
    const opened = await open();
    const { headers } = await opened.inject({ url, headers: gzip });
    const put = (tag: string) =>
      opened.inject({
        method: 'PUT',
        url,
        headers: { ...secret, 'if-match': tag },
        payload: { document: {}, reason: 'to see' },
      });
    expect(String(headers.etag)).toMatch(/\+gzip"$/);
    expect((await put(String(headers.etag))).statusCode).toBe(200);
    expect((await put(`W/${String(headers.etag)}`)).statusCode).toBe(412);
    expect((await put('"1-other+gzip"')).statusCode).toBe(412);
  });
});

describe('a packed body', () => {
  const message = JSON.stringify({ userId: 'u', event: 'e', messageId: 'm' });
  const post = async (
    encoding: string,
    payload: Buffer,
    route = '/v1/track',
    key = WRITE,
    opened?: FastifyInstance,
  ) => {
    const app = opened ?? (await openApp());
    const headers = {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      'content-encoding': encoding,
    };
    return app.inject({ method: 'POST', url: route, headers, payload });
  };

  it.each([
    ['gzip', gzipSync(message)],
    ['GZIP', gzipSync(message)],
    ['x-gzip', gzipSync(message)],
    ['deflate', deflateSync(message)],
    ['deflate', deflateRawSync(message)],
    ['deflate', deflateRawSync(message, { level: 0 })],
    ['br', brotliCompressSync(message)],
    ['identity', Buffer.from(message)],
  ])('of %s is taken', async (encoding, payload) => {
    expect((await post(encoding, payload)).json()).toMatchObject({ accepted: 1 });
  });

  it.each(['gzip, gzip', 'gzip, br', 'br,identity', 'zstd', 'gzip;q=1', ','])(
    'of %s is not unpacked: one known packing at a time',
    async (encoding) => {
      const answer = await post(encoding, gzipSync(gzipSync(Buffer.alloc(50_000_000))));
      expect([answer.statusCode, answer.json().code]).toEqual([415, 'unsupported_encoding']);
      expect(answer.headers['accept-encoding']).toBe('gzip, br, deflate');
    },
  );

  it.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', (text: Buffer) => brotliCompressSync(text)],
  ] as const)('of %s that breaks off anywhere is malformed, and kept as it came', async (encoding, pack) => {
    const given = world();
    const opened = await openApp(given);
    const whole = pack(Buffer.from(message.repeat(20)));
    for (const length of [0, 1, 2, Math.floor(whole.length / 2), whole.length - 1]) {
      const answer = await post(encoding, whole.subarray(0, length), '/v1/track', WRITE, opened);
      expect([length, answer.statusCode, answer.json().code]).toEqual([length, 400, 'malformed']);
    }
    const kept = given.remembered.sent.map(({ value }) => JSON.parse(String(value)) as { raw: string });
    expect(Buffer.from(kept.at(-1)!.raw, 'base64').equals(whole.subarray(0, -1))).toBe(true);
  });

  it.each([
    ['gzip', gzipSync(Buffer.alloc(40_000_000))],
    ['deflate', deflateSync(Buffer.alloc(40_000_000))],
    ['deflate', deflateRawSync(Buffer.alloc(40_000_000))],
    ['br', brotliCompressSync(Buffer.alloc(40_000_000))],
    ['gzip', Buffer.concat(Array.from({ length: 200 }, () => gzipSync(Buffer.alloc(200_000))))],
  ])('of %s that unpacks to forty megabytes is a 413 after its bound', async (encoding, bomb) => {
    expect(bomb.length).toBeLessThan(100_000);
    const before = process.memoryUsage().rss;
    const answer = await post(encoding, bomb);
    expect([answer.statusCode, answer.json().code]).toEqual([413, 'too_large']);
    expect(process.memoryUsage().rss - before).toBeLessThan(30_000_000);
  });

  it('is told to be one where packed bodies are not taken', async () => {
    for (const route of ['/v1/bids', '/v1/exposures', '/ofrep/v1/evaluate/flags']) {
      const answer = await post('gzip', gzipSync('{}'), route, SECRET);
      expect([route, answer.statusCode, answer.json().code]).toEqual([route, 415, 'unsupported_encoding']);
      expect(answer.headers['accept-encoding']).toBe('identity');
    }
  });
});

describe('a page’s preflight', () => {
  it('allows what clients send, is kept for a day, needs no key and counts against none', async () => {
    const app = await openApp();
    for (const route of ['/v1/batch', '/v1/t', '/ofrep/v1/evaluate/flags']) {
      const headers = {
        origin: 'https://shop.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type,x-retry-count,anonymousid',
      };
      const answer = await app.inject({ method: 'OPTIONS', url: route, headers });
      expect([route, answer.statusCode]).toEqual([route, 204]);
      expect(answer.headers['access-control-allow-origin']).toBe('*');
      expect(answer.headers['access-control-max-age']).toBe('86400');
      const allowed = String(answer.headers['access-control-allow-headers']).split(', ');
      expect(allowed).toEqual(expect.arrayContaining(['authorization', 'x-retry-count', 'anonymousid', '*']));
    }
    expect((await app.inject('/metrics')).body).not.toContain('flywheel_key_requests_total{');
  });

  it.each([
    ['a 401', { authorization: 'Bearer nobody' }, '{}', 401],
    ['a 400', { authorization: `Bearer ${WRITE}` }, '{', 400],
    ['a 415', { authorization: `Bearer ${WRITE}`, 'content-encoding': 'zstd' }, '{}', 415],
  ])('%s may be read by the page that asked', async (_name, headers, payload, status) => {
    const app = await openApp();
    const answer = await app.inject({
      method: 'POST',
      url: '/v1/batch',
      headers: { 'content-type': 'application/json', ...headers },
      payload,
    });
    expect(answer.statusCode).toBe(status);
    expect(answer.headers['access-control-allow-origin']).toBe('*');
    const readable = String(answer.headers['access-control-expose-headers']).split(', ');
    expect(readable).toEqual(
      expect.arrayContaining(['etag', 'retry-after', 'ratelimit', 'ratelimit-policy']),
    );
  });
});
