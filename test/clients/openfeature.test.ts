// OpenFeature's SDKs with their OFREP providers, unmodified: in Chromium all flags at once, with ETag and 304; in Node one by
// one. What goes wrong is told by OpenFeature's codes.
import { OFREPProvider } from '@openfeature/ofrep-provider';
import { type EvaluationContext, OpenFeature } from '@openfeature/server-sdk';
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { definitionsClient } from '../e2e/support/definitions-client.ts';
import { openBrowser, openSite, type Site } from './support/browser.ts';
import type { Answer, Passed } from './support/gate.ts';
import { openOpenFeaturePage } from './support/openfeature-page.ts';
import { openServed, type Served } from './support/served.ts';

const POLL_MS = 300;
let served: Served;
let browser: Browser;
let site: Site;

const experiment = (value: unknown, change: Record<string, unknown> = {}) => ({
  name: 'Test',
  status: 'running',
  variations: [
    { key: 'on', value, weight: 1 },
    { key: 'off', value: null, weight: 0 },
  ],
  fallback: 'off',
  ...change,
});

beforeAll(async () => {
  [served, browser, site] = await Promise.all([openServed('openfeature'), openBrowser(), openSite()]);
  const { put } = definitionsClient(served.gate.url, served.keys.secret);
  const given = {
    flag: experiment(true),
    text: experiment('blue'),
    number: experiment(4.5),
    form: experiment({ fields: 4 }),
    stopped: experiment(true, { status: 'stopped' }),
  };
  for (const [id, document] of Object.entries(given)) {
    expect((await put(`experiment/${id}`, document)).status).toBe(201);
  }
});
afterEach(async () => {
  served.gate.answerFor = () => undefined;
  // A page that a failed test left would go on polling into the next one.
  await Promise.all(browser.contexts().map((context) => context.close()));
});
afterAll(async () => {
  await OpenFeature.close();
  await browser?.close();
  await site?.close();
  await served?.close();
});

function openPage(context: Record<string, unknown>, options: { key?: string; pollInterval?: number } = {}) {
  const { key = served.keys.write, ...rest } = options;
  return openOpenFeaturePage(browser, site, {
    baseUrl: served.gate.url,
    headers: [['Authorization', `Bearer ${key}`]],
    context,
    ...rest,
  });
}

/** A problem document, as `serve` says that a key may not, or asks too often. */
function problem(status: number, headers: Record<string, string> = {}): Answer {
  return {
    status,
    headers: {
      'content-type': 'application/problem+json',
      'access-control-allow-origin': '*',
      'access-control-expose-headers': 'etag, retry-after',
      ...headers,
    },
    body: JSON.stringify({ status, code: 'played' }),
  };
}

const isBulk = ({ method, url }: Passed): boolean => method === 'POST' && url === '/ofrep/v1/evaluate/flags';

/** Of those that are answered: one may be under way at any moment. */
const bulkStatuses = (since: number): unknown[] =>
  served.gate.passed
    .slice(since)
    .filter((passed) => isBulk(passed) && passed.status !== null)
    .map(({ status }) => status);

describe('the web SDK', () => {
  it('has all flags of all types by one request, and leaves the code its default', async () => {
    const since = served.gate.passed.length;
    const { began, details } = await openPage({ targetingKey: 'web-1', country: 'DE' });
    expect(began).toEqual({ status: 'READY' });
    const flag = await details('Boolean', 'flag', false);
    expect(flag).toMatchObject({ value: true, reason: 'SPLIT', variant: 'on' });
    expect(flag.flagMetadata).toMatchObject({ revision: 1, inExperiment: true });
    expect(await details('String', 'text', 'red')).toMatchObject({ value: 'blue' });
    expect(await details('Number', 'number', 0)).toMatchObject({ value: 4.5 });
    expect(await details('Object', 'form', {})).toMatchObject({ value: { fields: 4 } });
    const stopped = await details('Boolean', 'stopped', true);
    expect(stopped).toMatchObject({ value: true, reason: 'DISABLED', variant: 'off' });
    expect(stopped.errorCode).toBeUndefined();
    expect(await details('Boolean', 'nothing', true)).toMatchObject({
      value: true,
      errorCode: 'FLAG_NOT_FOUND',
    });
    expect(await details('Boolean', 'text', true)).toMatchObject({ value: true, errorCode: 'TYPE_MISMATCH' });
    expect(bulkStatuses(since)).toEqual([200]);
  });

  it('polls with the ETag and gets 304, and the next poll after a change has it', async () => {
    const since = served.gate.passed.length;
    const { details, events } = await openPage({ targetingKey: 'web-2' }, { pollInterval: POLL_MS });
    // Long enough for the stream to have the exposure: that it was shown before is no change of what is shown.
    const exposed = async (): Promise<unknown> => {
      const { body } = await definitionsClient(served.gate.url, served.keys.secret).request(
        'GET',
        '../buyers/u:web-2',
      );
      return body.exposures?.length;
    };
    await expect.poll(exposed, { timeout: 20_000 }).toBeGreaterThan(0);
    const polled = bulkStatuses(since).length;
    await expect.poll(() => bulkStatuses(since).length, { timeout: 10_000 }).toBeGreaterThan(polled + 2);
    const statuses = bulkStatuses(since);
    expect(statuses.slice(0, 2)).toEqual([200, 304]);
    expect(new Set(statuses.slice(1))).toEqual(new Set([304]));
    const asked = served.gate.passed
      .slice(since)
      .filter(({ headers }) => headers['if-none-match'] !== undefined);
    expect(asked.length).toBeGreaterThan(0);
    const before = await events();
    expect(before.map(({ type }) => type)).toEqual(['PROVIDER_CONTEXT_CHANGED', 'PROVIDER_READY']);

    const { get, put } = definitionsClient(served.gate.url, served.keys.secret);
    const seen = await get('experiment/text');
    await put('experiment/text', experiment('green'), seen.tag);
    const text = async () => (await details('String', 'text', '')).value;
    await expect.poll(text, { timeout: 10_000 }).toBe('green');
    const [changed, ...more] = (await events()).slice(before.length);
    expect(changed!.type).toBe('PROVIDER_CONFIGURATION_CHANGED');
    expect(changed!.flagsChanged).toContain('text');
    expect(more).toEqual([]);
    expect(bulkStatuses(since).filter((status) => status === 200)).toHaveLength(2);
  });

  it.each([
    ['no targeting key', {}, 'TARGETING_KEY_MISSING'],
    ['a targeting key that is too long', { targetingKey: 'x'.repeat(300) }, 'INVALID_CONTEXT'],
  ])('is not ready with %s, which the server names', async (_name, given, errorCode) => {
    const { began, details } = await openPage(given);
    expect(began).toMatchObject({ status: 'ERROR', code: 'GENERAL' });
    expect(began.message).toContain('400');
    expect(await details('Boolean', 'flag', false)).toMatchObject({ value: false });
    const response = await fetch(`${served.gate.url}/ofrep/v1/evaluate/flags`, {
      method: 'POST',
      headers: { authorization: `Bearer ${served.keys.write}`, 'content-type': 'application/json' },
      body: served.gate.passed.filter(isBulk).at(-1)!.body.toString(),
    });
    expect(await response.json()).toMatchObject({ errorCode });
  });

  it('is fatally wrong with a key that is not known, or that may not', async () => {
    const unknown = await openPage({ targetingKey: 'web-3' }, { key: 'wk_nobody' });
    expect(unknown.began).toMatchObject({ status: 'FATAL', code: 'PROVIDER_FATAL' });
    served.gate.answerFor = ({ method }) => (method === 'POST' ? problem(403) : undefined);
    const forbidden = await openPage({ targetingKey: 'web-3' });
    expect(forbidden.began).toMatchObject({ status: 'FATAL', code: 'PROVIDER_FATAL' });
  });

  it('goes on with what it has when it asks too often, and asks again after Retry-After', async () => {
    const { details, events } = await openPage({ targetingKey: 'web-4' }, { pollInterval: POLL_MS });
    served.gate.answerFor = ({ method }) =>
      method === 'POST' ? problem(429, { 'retry-after': '2' }) : undefined;
    const since = served.gate.passed.length;
    await expect.poll(() => bulkStatuses(since), { timeout: 10_000 }).toEqual([429]);
    served.gate.answerFor = () => undefined;
    const last = async () => (await events()).at(-1)?.type;
    await expect.poll(last, { timeout: 10_000 }).toBe('PROVIDER_STALE');
    expect(await details('Boolean', 'flag', false)).toMatchObject({ value: true, variant: 'on' });
    await expect.poll(() => bulkStatuses(since).slice(0, 2), { timeout: 10_000 }).toEqual([429, 304]);
    const [refused, next] = served.gate.passed.slice(since).filter(({ method }) => method === 'POST');
    expect(next!.atMs - refused!.atMs).toBeGreaterThanOrEqual(2_000);
  });
});

describe('the server SDK', () => {
  let domains = 0;

  /** A client with a provider of its own. */
  async function clientOf(options: Partial<ConstructorParameters<typeof OFREPProvider>[0]> = {}) {
    domains += 1;
    const headers: [string, string][] = [['Authorization', `Bearer ${served.keys.secret}`]];
    const provider = new OFREPProvider({ baseUrl: served.gate.url, headers, ...options });
    await OpenFeature.setProviderAndWait(`clients-${domains}`, provider);
    return OpenFeature.getClient(`clients-${domains}`);
  }

  it('evaluates by X-API-Key, and sees a change at the next evaluation', async () => {
    const client = await clientOf({ headers: [['X-API-Key', served.keys.secret]] });
    expect(await client.getNumberDetails('number', 0, { targetingKey: 'node-1' })).toMatchObject({
      value: 4.5,
      reason: 'SPLIT',
      variant: 'on',
    });
    const { get, put } = definitionsClient(served.gate.url, served.keys.secret);
    await put('experiment/number', experiment(5), (await get('experiment/number')).tag);
    expect(await client.getNumberValue('number', 0, { targetingKey: 'node-1' })).toBe(5);
  });

  const malformed = ((request: Request) =>
    fetch(request.url, { method: 'POST', headers: request.headers, body: '{"context": ' })) as typeof fetch;

  it.each<[string, string, EvaluationContext, typeof fetch | undefined]>([
    ['FLAG_NOT_FOUND', 'nothing', { targetingKey: 'node-2' }, undefined],
    ['TARGETING_KEY_MISSING', 'flag', { country: 'DE' }, undefined],
    ['INVALID_CONTEXT', 'flag', { targetingKey: 'x'.repeat(300) }, undefined],
    ['PARSE_ERROR', 'flag', { targetingKey: 'node-2' }, malformed],
    ['TYPE_MISMATCH', 'text', { targetingKey: 'node-2' }, undefined],
  ])('says %s', async (errorCode, flag, context, fetchImplementation) => {
    const client = await clientOf(fetchImplementation === undefined ? {} : { fetchImplementation });
    expect(await client.getBooleanDetails(flag, true, context)).toMatchObject({
      value: true,
      reason: 'ERROR',
      errorCode,
    });
  });

  it('falls back to the code’s default with a key that is not known, or that may not', async () => {
    const unknown = await clientOf({ headers: [['Authorization', 'Bearer sk_nobody']] });
    const context = { targetingKey: 'node-3' };
    expect(await unknown.getBooleanDetails('flag', false, context)).toMatchObject({
      value: false,
      errorCode: 'GENERAL',
    });
    served.gate.answerFor = () => problem(403);
    const forbidden = await clientOf();
    expect(await forbidden.getBooleanDetails('flag', false, context)).toMatchObject({
      value: false,
      errorCode: 'GENERAL',
    });
  });

  it('asks nothing more until Retry-After when it asks too often', async () => {
    const client = await clientOf();
    const context = { targetingKey: 'node-4' };
    served.gate.answerFor = () => problem(429, { 'retry-after': '1' });
    const since = served.gate.passed.length;
    const refused = await client.getBooleanDetails('flag', false, context);
    expect(refused).toMatchObject({ value: false, errorCode: 'GENERAL' });
    expect(refused.errorMessage).toContain('rate limit');
    served.gate.answerFor = () => undefined;
    const paused = await client.getBooleanDetails('flag', false, context);
    expect(paused.errorMessage).toContain('paused due to TooManyRequests');
    expect(served.gate.passed).toHaveLength(since + 1);
    await expect
      .poll(() => client.getBooleanValue('flag', false, context), { timeout: 5_000, interval: 100 })
      .toBe(true);
  });
});
