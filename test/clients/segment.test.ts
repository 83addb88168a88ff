// The Segment spec's clients, unmodified and with only address and key set: what they send arrives once, whether `serve`
// refuses, is away, or its answers are lost.
import { gunzipSync } from 'node:zlib';
import Rudder from '@rudderstack/rudder-sdk-node';
import { Analytics } from '@segment/analytics-node';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openBrowser, openSite, type Site } from './support/browser.ts';
import { openSegmentPage, type SegmentPage } from './support/segment-page.ts';
import { openServed, type Served } from './support/served.ts';

let served: Served;
let browser: Browser;
let site: Site;
let segment: Analytics;
let rudder: Rudder;
let next: SegmentPage;
const errors: unknown[] = [];

beforeAll(async () => {
  [served, browser, site] = await Promise.all([openServed('segment'), openBrowser(), openSite()]);
  segment = new Analytics({ writeKey: served.keys.write, host: served.gate.url });
  segment.on('error', (error) => errors.push(error));
  rudder = new Rudder(served.keys.write, { dataPlaneUrl: served.gate.url, logLevel: 'none' });
  next = await openPage();
});
afterAll(async () => {
  await segment?.closeAndFlush({ timeout: 1_000 });
  await browser?.close();
  await site?.close();
  await served?.close();
});

function openPage(deliveryStrategy?: unknown): Promise<SegmentPage> {
  const settings = { writeKey: served.keys.write, url: served.gate.url };
  return openSegmentPage(browser, site, deliveryStrategy ? { ...settings, deliveryStrategy } : settings);
}

/** Clients for servers queue: this is what their owners call at the end of a job. */
function flushBoth(): Promise<unknown> {
  return Promise.all([segment.flush(), rudder.flush()]);
}

/** An order by each of the three clients; resolves when the servers' clients say that theirs have arrived. */
async function order(mark: string): Promise<unknown> {
  const properties = { mark, price: 12.5 };
  segment.track({ userId: `${mark}-segment`, event: 'Order Completed', properties });
  rudder.track({ userId: `${mark}-rudder`, event: 'Order Completed', properties });
  await next.begin('track', 'Order Completed', { ...properties, mark: `${mark}-next` });
  return flushBoth();
}

const clientOf = (agent = ''): string => (agent.startsWith('Mozilla') ? 'browser' : agent.split('/')[0]!);

/** Resolves when this has become of a message of each client. */
async function untilAllGot(status: number | 'lost', since: number): Promise<void> {
  const clients = (): string[] => {
    const posts = served.gate.passed
      .slice(since)
      .filter((one) => one.method === 'POST' && one.status === status);
    return [...new Set(posts.map(({ headers }) => clientOf(headers['user-agent'])))];
  };
  await expect.poll(() => clients().length, { timeout: 15_000, interval: 50 }).toBe(3);
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
    const rows = await served.applied('kinds-', 12);
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
    // What rudder-sdk-node sends is packed.
    const packed = served.gate.passed.filter(({ headers }) => headers['content-encoding'] === 'gzip');
    expect(packed.length).toBeGreaterThan(0);
    expect(JSON.parse(gunzipSync(packed[0]!.body).toString()).batch[0].userId).toBe('kinds-rudder');
    expect(errors).toEqual([]);
  });
});

describe('analytics-next in Chromium', () => {
  it('sends every kind from a page of another origin, first without and then with a user', async () => {
    const page = await openPage();
    await page.call('page', 'Home', { mark: 'browser-kinds' });
    await page.call('track', 'Product Viewed', { mark: 'browser-kinds', category: 'pumps' });
    await page.call('alias', 'browser-kinds-user');
    await page.call('identify', 'browser-kinds-user', { country: 'DE' });
    await page.call('group', 'g1', { mark: 'browser-kinds' });
    await page.call('track', 'Order Completed', { mark: 'browser-kinds' });
    const rows = await served.applied('browser-kinds', 6);
    expect(rows.map((row) => row.kind)).toEqual(['page', 'track', 'alias', 'identify', 'group', 'track']);
    expect(rows.map((row) => row.userId)).toEqual(['', '', ...Array(4).fill('browser-kinds-user')]);
    const [anonymousId, ...others] = new Set(rows.map((row) => row.anonymousId));
    expect(anonymousId).toMatch(/^[0-9a-f-]{36}$/);
    expect(others).toEqual([]);
    expect(rows[2]!.record).toMatchObject({ previousId: anonymousId });
    expect(rows[1]!.record).toMatchObject({
      properties: { category: 'pumps' },
      context: { page: { title: 'Pumps', path: expect.stringContaining('/segment-') } },
    });
    const preflight = served.gate.passed.find(({ method }) => method === 'OPTIONS');
    expect(preflight?.headers['access-control-request-headers']).toContain('authorization');
    await page.context.close();
  });

  it('keeps what is done offline over a reload, and sends it when there is a network', async () => {
    const { context, page, begin } = await openPage();
    await context.setOffline(true);
    for (const number of [1, 2, 3]) await begin('track', 'Product Viewed', { mark: 'offline-', number });
    const address = page.url();
    await page.goto('about:blank');
    expect(await served.rows('offline-')).toEqual([]);
    await context.setOffline(false);
    await page.goto(address);
    const rows = await served.applied('offline-', 3);
    const numbers = rows.map((row) => (row.record.properties as { number: number }).number);
    expect(numbers.sort()).toEqual([1, 2, 3]);
    await context.close();
  });

  it('that collects batches sends them as the page closes, and as it is left', async () => {
    const batching = { strategy: 'batching', config: { size: 100, timeout: 60_000 } };
    const [closed, left] = [await openPage(batching), await openPage(batching)];
    for (const number of [1, 2, 3]) {
      await closed.begin('track', 'Product Viewed', { mark: 'closing-closed', number });
      await left.begin('track', 'Product Viewed', { mark: 'closing-left', number });
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await served.rows('closing-')).toEqual([]);
    await closed.page.close({ runBeforeUnload: true });
    await left.page.goto('about:blank');
    await served.applied('closing-', 6);
    const batches = served.gate.passed.filter(({ body }) => body.includes('closing-'));
    expect(batches.map(({ url, status }) => [url, status])).toEqual([
      ['/v1/b', 200],
      ['/v1/b', 200],
    ]);
    await Promise.all([closed.context.close(), left.context.close()]);
  });
});

describe('each of the three clients', () => {
  it('keeps what serve refuses while Kafka is away, and brings it when it is back', async () => {
    await served.refuse();
    const since = served.gate.passed.length;
    const ordered = order('refused');
    await untilAllGot(503, since);
    await served.accept();
    await ordered;
    const rows = await served.applied('"refused', 3);
    expect(rows.map((row) => row.behaviour)).toEqual(['order', 'order', 'order']);
    expect(rows[0]!.record).toMatchObject({ properties: { price: 12.5 } });
    const retries = served.gate.passed.filter(
      ({ headers }) =>
        headers['x-retry-count'] !== undefined && clientOf(headers['user-agent']) === 'browser',
    );
    expect(retries.length).toBeGreaterThan(0);
    expect(errors).toEqual([]);
  });

  it('keeps what it has while nothing listens', async () => {
    await served.gate.goAway();
    const ordered = order('away');
    await new Promise((resolve) => setTimeout(resolve, 400));
    await served.gate.comeBack();
    await ordered;
    await served.applied('"away', 3);
    expect(errors).toEqual([]);
  });

  it('sends again what it got no answer for, and it counts once', async () => {
    served.gate.losesAnswers = true;
    const since = served.gate.passed.length;
    const ordered = order('unanswered');
    await untilAllGot('lost', since);
    served.gate.losesAnswers = false;
    await ordered;
    const repeats = async () =>
      (await served.rows('"unanswered')).filter((row) => row.verdict === 'duplicate');
    await expect.poll(async () => (await repeats()).length, { timeout: 20_000 }).toBeGreaterThanOrEqual(3);
    await served.applied('"unanswered', 3);
    expect(errors).toEqual([]);
  });
});

it('nothing of all that is applied twice', () => served.expectNoDoubles());
