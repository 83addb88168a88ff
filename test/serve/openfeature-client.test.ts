// OpenFeature's own server SDK and OFREP provider against a listening `serve`: any OpenFeature client works.
import { OFREPProvider } from '@openfeature/ofrep-provider';
import { ErrorCode, OpenFeature } from '@openfeature/server-sdk';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Answering, answering } from './answering.ts';

let here: Answering;
const client = OpenFeature.getClient('flywheel-test');

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
  here = await answering('openfeature');
  here.definitions.set('experiment', 'flag', experiment(true));
  here.definitions.set('experiment', 'text', experiment('blue'));
  here.definitions.set('experiment', 'number', experiment(4.5));
  here.definitions.set('experiment', 'form', experiment({ fields: 4 }));
  here.definitions.set('experiment', 'stopped', experiment(true, { status: 'stopped' }));
  const baseUrl = await here.app.listen({ host: '127.0.0.1', port: 0 });
  const provider = new OFREPProvider({ baseUrl, headers: [['Authorization', 'Bearer secret-key']] });
  await OpenFeature.setProviderAndWait('flywheel-test', provider);
});
afterAll(async () => {
  await OpenFeature.close();
  await here?.close();
});

const context = { targetingKey: 'buyer-1', country: 'DE' };

it('evaluates each type of flag, with reason, variant and metadata', async () => {
  const flag = await client.getBooleanDetails('flag', false, context);
  expect(flag).toMatchObject({ value: true, reason: 'SPLIT', variant: 'on' });
  expect(flag.flagMetadata).toMatchObject({ revision: 1, detail: 'split' });
  expect(await client.getStringValue('text', 'red', context)).toBe('blue');
  expect(await client.getNumberValue('number', 0, context)).toBe(4.5);
  expect(await client.getObjectValue('form', { fields: 9 }, context)).toEqual({ fields: 4 });
});

it('leaves the code its default where the variation says so', async () => {
  expect(await client.getBooleanValue('stopped', false, context)).toBe(false);
  expect(await client.getBooleanValue('stopped', true, context)).toBe(true);
});

it('tells what went wrong by OpenFeature’s codes', async () => {
  const unknown = await client.getBooleanDetails('nothing', true, context);
  expect([unknown.value, unknown.errorCode]).toEqual([true, ErrorCode.FLAG_NOT_FOUND]);
  const nobody = await client.getBooleanDetails('flag', false, { country: 'DE' });
  expect([nobody.value, nobody.errorCode]).toEqual([false, ErrorCode.TARGETING_KEY_MISSING]);
  const wrongType = await client.getBooleanDetails('text', true, context);
  expect([wrongType.value, wrongType.errorCode]).toEqual([true, ErrorCode.TYPE_MISMATCH]);
});
