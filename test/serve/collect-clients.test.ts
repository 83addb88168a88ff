// Collect against real Kafka, from those who really send: Segment's own client, requests that were captured of others, browsers.
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { Analytics } from '@segment/analytics-node';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { buyerKeyOf, segmentRecord } from '../../domain/buyer-record.ts';
import { buyerPartition } from '../../platform/keys.ts';
import { besideCheckout } from '../simulate/shared-data.ts';
import { post, readData, readMessages, serveInNamespace, type TestServing } from './serving.ts';

let serving: TestServing;

beforeAll(async () => {
  serving = await serveInNamespace('collect-clients', {
    kafkaBrokers: inject('kafkaBrokers'),
    redisUrl: inject('redisUrl'),
    clickhouseUrl: inject('clickhouseUrl'),
  });
});

afterAll(async () => {
  await serving.close();
});

describe('real clients', () => {
  it('@segment/analytics-node delivers every kind', async () => {
    const client = new Analytics({
      writeKey: serving.keys.write,
      host: serving.url,
      maxRetries: 0,
      flushAt: 20,
    });
    const errors: unknown[] = [];
    client.on('error', (error) => errors.push(error));
    const userId = 'segment-client';
    client.identify({ userId, traits: { country: 'DE' } });
    client.track({ userId, event: 'Order Completed', properties: { revenue: 12.5 } });
    client.page({ userId, name: 'Home' });
    client.screen({ userId, name: 'Main' });
    client.group({ userId, groupId: 'g1', traits: { plan: 'pro' } });
    client.alias({ userId, previousId: 'anonymous-before' });
    await client.closeAndFlush({ timeout: 10_000 });
    expect(errors).toEqual([]);
    const logged = (await readData(serving, 'events')).filter((one) => one.value.userId === userId);
    const kinds = logged.sort((a, b) => a.offset - b.offset).map((one) => one.value.kind);
    expect(kinds).toEqual(['identify', 'track', 'page', 'screen', 'group', 'alias']);
    for (const { value } of logged) segmentRecord.parse(value);
  });

  const captures = besideCheckout('conformance/segment-captures.json');
  it.skipIf(captures === null)('whose requests were captured are taken byte for byte', async () => {
    const requests = JSON.parse(readFileSync(captures!, 'utf8'));
    expect(requests.length).toBeGreaterThan(0);
    for (const request of requests) {
      const text = JSON.stringify(request.body).replaceAll(
        /"writeKey":"[^"]*"/g,
        `"writeKey":"${serving.keys.write}"`,
      );
      const { 'content-encoding': encoding, 'content-type': type } = request.headers;
      const answer = await post(serving, request.url, serving.keys.write, encoding ? gzipSync(text) : text, {
        'content-type': type,
        'user-agent': request.headers['user-agent'],
        ...(encoding ? { 'content-encoding': encoding } : {}),
      });
      const messages = request.body.batch ?? [request.body];
      expect(answer.body, request.lib).toEqual({ success: true, accepted: messages.length, rejected: [] });
      const logged = await readMessages(
        serving,
        messages.map((one: { messageId: string }) => one.messageId),
      );
      expect(logged).toHaveLength(messages.length);
      for (const { value, key, partition } of logged) {
        expect(key).toBe(buyerKeyOf(value));
        expect(partition).toBe(buyerPartition(key!));
        segmentRecord.parse(value);
      }
    }
  });

  it('browsers may send the key in the body alone, from any site', async () => {
    const body = JSON.stringify({
      type: 'track',
      messageId: 'from-browser',
      event: 'Product Viewed',
      userId: null,
      anonymousId: 'x',
      writeKey: serving.keys.write,
    });
    const answer = await post(serving, '/v1/t', null, body, { 'content-type': 'text/plain' });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('access-control-allow-origin')).toBe('*');
    expect((await readMessages(serving, ['from-browser']))[0]!.key).toBe('a:x');
    const preflight = await fetch(`${serving.url}/v1/t`, { method: 'OPTIONS' });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-headers')).toContain('authorization');
  });
});
