// The Segment spec's clients for servers, unmodified and with only address and key set: what they send arrives once,
// whether `serve` refuses, is away, or its answers are lost.
import { gunzipSync } from 'node:zlib';
import Rudder from '@rudderstack/rudder-sdk-node';
import { Analytics } from '@segment/analytics-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openServed, type Served } from './support/served.ts';

let served: Served;
let segment: Analytics;
let rudder: Rudder;
const errors: unknown[] = [];

beforeAll(async () => {
  served = await openServed('segment-node');
  segment = new Analytics({ writeKey: served.keys.write, host: served.gate.url });
  segment.on('error', (error) => errors.push(error));
  rudder = new Rudder(served.keys.write, { dataPlaneUrl: served.gate.url, logLevel: 'none' as 'info' });
});
afterAll(async () => {
  await segment?.closeAndFlush({ timeout: 1_000 });
  await served?.close();
});

/** Both clients queue: this is what their owners call at the end of a job. */
function flushBoth(): Promise<unknown> {
  return Promise.all([segment.flush(), rudder.flush()]);
}

function trackBoth(event: string, mark: string): void {
  segment.track({ userId: `${mark}-segment`, event, properties: { mark, price: 12.5 } });
  rudder.track({ userId: `${mark}-rudder`, event, properties: { mark, price: 12.5 } });
}

/** The batches that have reached the gate since, with what became of them. */
function posts(since: number): { agent: string; status: number | null }[] {
  return served.gate.passed
    .slice(since)
    .map(({ headers, status }) => ({ agent: headers['user-agent']!.split('/')[0]!, status }));
}

async function untilBothGot(status: number | null, since: number): Promise<void> {
  const agents = (): Set<string> =>
    new Set(
      posts(since)
        .filter((one) => one.status === status)
        .map((one) => one.agent),
    );
  await expect.poll(() => agents().size, { timeout: 15_000, interval: 50 }).toBe(2);
}

describe('analytics-node and rudder-sdk-node', () => {
  it('send every kind, with who did it and everything that was said', async () => {
    for (const [name, client] of [
      ['segment', segment],
      ['rudder', rudder],
    ] as const) {
      const userId = `kinds-${name}`;
      client.identify({ userId, traits: { country: 'DE', level: 'gold' } });
      client.track({ userId, event: 'Product Viewed', properties: { category: 'pumps', price: 12.5 } });
      client.page({ userId, name: 'Home', properties: { path: '/' } });
      client.screen({ anonymousId: `kinds-${name}-device`, name: 'Main' });
      client.group({ userId, groupId: 'g1', traits: { plan: 'pro' } });
      client.alias({ userId, previousId: `kinds-${name}-device` });
    }
    await flushBoth();
    const rows = await served.appliedOnce('kinds-', 12);
    for (const name of ['segment', 'rudder']) {
      const own = rows.filter((row) => `${row.userId}${row.anonymousId}`.startsWith(`kinds-${name}`));
      const by = Object.fromEntries(own.map((row) => [row.kind, row]));
      expect(by.identify!.record).toMatchObject({ traits: { country: 'DE', level: 'gold' } });
      expect(by.track).toMatchObject({ userId: `kinds-${name}`, event: 'Product Viewed', behaviour: 'view' });
      expect(by.track!.record).toMatchObject({ properties: { category: 'pumps', price: 12.5 } });
      expect(by.page).toMatchObject({ event: 'Home', behaviour: 'visit' });
      expect(by.screen).toMatchObject({ anonymousId: `kinds-${name}-device`, userId: '', event: 'Main' });
      expect(by.group!.record).toMatchObject({ groupId: 'g1', traits: { plan: 'pro' } });
      expect(by.alias!.record).toMatchObject({ previousId: `kinds-${name}-device` });
    }
    const packed = served.gate.passed.filter(({ headers }) => headers['content-encoding'] === 'gzip');
    expect(packed.length).toBeGreaterThan(0);
    expect(JSON.parse(gunzipSync(packed[0]!.body).toString()).batch[0].userId).toBe('kinds-rudder');
    expect(errors).toEqual([]);
  });

  it('keep what serve refuses while Kafka is away, and bring it when it is back', async () => {
    await served.refuse();
    const since = served.gate.passed.length;
    trackBoth('Order Completed', 'refused');
    const flushed = flushBoth();
    await untilBothGot(503, since);
    await served.accept();
    await flushed;
    const rows = await served.appliedOnce('refused-', 2);
    expect(rows.map((row) => row.behaviour)).toEqual(['order', 'order']);
    expect(rows[0]!.record).toMatchObject({ properties: { mark: 'refused', price: 12.5 } });
    expect(errors).toEqual([]);
  });

  it('keep what they have while nothing listens', async () => {
    await served.gate.goAway();
    trackBoth('Order Completed', 'away');
    const flushed = flushBoth();
    await new Promise((resolve) => setTimeout(resolve, 400));
    await served.gate.comeBack();
    await flushed;
    await served.appliedOnce('away-', 2);
    expect(errors).toEqual([]);
  });

  it('send again what they got no answer for, and it counts once', async () => {
    served.gate.losesAnswers = true;
    const since = served.gate.passed.length;
    trackBoth('Order Completed', 'unanswered');
    const flushed = flushBoth();
    await untilBothGot(null, since);
    served.gate.losesAnswers = false;
    await flushed;
    await served.appliedOnce('unanswered-', 2);
    const verdicts = (await served.rows('unanswered-')).map((row) => row.verdict);
    expect(verdicts.filter((verdict) => verdict === 'duplicate').length).toBeGreaterThanOrEqual(2);
    expect(errors).toEqual([]);
  });
});
