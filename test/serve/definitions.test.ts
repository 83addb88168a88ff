// The definitions in force over HTTP.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Answering, answering, secret, writeOnly } from './answering.ts';

const funnel = { name: 'Purchase', steps: ['view', 'order'], windowMs: 1_000 };
let here: Answering;
beforeAll(async () => {
  here = await answering('definitions');
  here.definitions.set('funnel', 'purchase', funnel, 2);
  here.definitions.set('funnel', 'another', funnel);
  here.definitions.set('settings', 'default', {});
});
afterAll(() => here?.close());

const get = (url: string, headers: Record<string, string> = {}) =>
  here.app.inject({ url, headers: { ...secret, ...headers } });

it('lists all, and those of a type, with revision and hash', async () => {
  const all = (await get('/v1/definitions')).json().definitions;
  expect(all.map(({ type, id }: { type: string; id: string }) => `${type}/${id}`)).toEqual([
    'settings/default',
    'funnel/another',
    'funnel/purchase',
  ]);
  const response = await get('/v1/definitions/funnel');
  expect(response.json().definitions[1]).toEqual({
    type: 'funnel',
    id: 'purchase',
    revision: 2,
    hash: expect.stringMatching(/^[0-9a-f]{64}$/),
    author: 'test',
    reason: '',
    changedAt: '2026-01-01T00:00:00.000Z',
    document: { ...funnel, mode: 'default' },
  });
  expect((await get('/v1/definitions/score')).json()).toEqual({ definitions: [] });
});

it('answers one with an ETag of its revision and hash, and 304 while it is unchanged', async () => {
  const one = await get('/v1/definitions/funnel/purchase');
  expect(one.json().document.steps).toEqual(['view', 'order']);
  expect(one.headers.etag).toBe(`"2-${one.json().hash.slice(0, 16)}"`);
  const again = await get('/v1/definitions/funnel/purchase', { 'if-none-match': String(one.headers.etag) });
  expect([again.statusCode, again.body]).toEqual([304, '']);
  const list = await get('/v1/definitions');
  const unchanged = await get('/v1/definitions', { 'if-none-match': String(list.headers.etag) });
  expect(unchanged.statusCode).toBe(304);
  here.definitions.set('funnel', 'purchase', { ...funnel, windowMs: 2_000 }, 3);
  const changed = await get('/v1/definitions', { 'if-none-match': String(list.headers.etag) });
  expect(changed.statusCode).toBe(200);
});

it('answers 404 for what is not there, and takes secret keys only', async () => {
  expect((await get('/v1/definitions/planet')).json().code).toBe('unknown_definition_type');
  const missing = await get('/v1/definitions/funnel/nothing');
  expect([missing.statusCode, missing.json().code]).toEqual([404, 'unknown_definition']);
  expect((await get('/v1/definitions', writeOnly)).statusCode).toBe(403);
});

it('describes every route of the answers at /docs', async () => {
  const { paths, components } = (await here.app.inject({ url: '/docs/json' })).json();
  expect(components.schemas['Definition.funnel'].required).toEqual(['name', 'steps', 'windowMs']);
  expect(components.schemas).toHaveProperty(['Definition.segment']);
  for (const path of ['/v1/definitions/{type}/{id}', '/v1/triggers', '/ofrep/v1/evaluate/flags/{key}']) {
    expect(Object.keys(paths)).toContain(path);
  }
});

it('refuses every answer until the definitions have been read', async () => {
  here.definitions.caughtUp = false;
  try {
    for (const url of ['/v1/definitions', '/v1/buyers/u:1', '/v1/triggers']) {
      const response = await get(url);
      expect([response.statusCode, response.json().code]).toEqual([503, 'definitions_pending']);
      expect(response.headers['retry-after']).toBe('2');
    }
  } finally {
    here.definitions.caughtUp = true;
  }
});
