// How far the past of a funnel is computed, over HTTP.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { unstarted, writeBackfill } from '../../platform/backfill-progress.ts';
import { type Answering, answering, GENERATION, secret, writeOnly } from './answering.ts';

let here: Answering;
beforeAll(async () => {
  here = await answering('pasts');
  here.definitions.set('funnel', 'purchase', { name: 'p', steps: ['view', 'order'], windowMs: 1_000 }, 3);
  here.definitions.set('settings', 'default', {});
});
afterAll(() => here?.close());

const get = async (url: string, headers: Record<string, string> = secret) => {
  const response = await here.app.inject({ url, headers });
  return { status: response.statusCode, body: response.json() };
};

it('says where the revision in force is, and what became of earlier ones', async () => {
  const url = '/v1/definitions/funnel/purchase/backfill';
  expect(await get(url)).toMatchObject({
    status: 200,
    body: {
      funnel: 'purchase',
      revision: 3,
      status: 'waiting',
      detail: expect.stringContaining('flywheel jobs has not come to it yet'),
      startedAt: null,
      finishedAt: null,
      earlier: [],
    },
  });
  const save = (progress: Parameters<typeof writeBackfill>[3]) =>
    writeBackfill(here.redis, here.namespace, GENERATION, progress);
  await save({ ...unstarted('purchase', 2), status: 'stopped' });
  await save({ ...unstarted('another', 3), status: 'failed' });
  const startedMs = Date.UTC(2026, 0, 2);
  const counts = { keysDone: 40, keysTotal: 100, records: 25 };
  await save({ ...unstarted('purchase', 3), status: 'running', startedMs, ...counts, detail: '' });
  expect((await get(url)).body).toEqual({
    funnel: 'purchase',
    revision: 3,
    status: 'running',
    buyersDone: 40,
    buyersTotal: 100,
    buyersFound: 25,
    startedAt: '2026-01-02T00:00:00.000Z',
    finishedAt: null,
    detail: '',
    earlier: [expect.objectContaining({ revision: 2, status: 'stopped' })],
  });
});

it('answers 404 for what is not there and what has no past, and takes secret keys only', async () => {
  const missing = await get('/v1/definitions/funnel/nothing/backfill');
  expect([missing.status, missing.body.code]).toEqual([404, 'unknown_definition']);
  const none = await get('/v1/definitions/settings/default/backfill');
  expect([none.status, none.body.code]).toEqual([404, 'no_backfill']);
  expect((await get('/v1/definitions/funnel/purchase/backfill', writeOnly)).status).toBe(403);
});
