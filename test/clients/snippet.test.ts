// The page snippet in Chromium, on pages of another origin: what it sends, what it keeps through outages, and that it sends
// and keeps nothing where somebody has said no.
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openBrowser, openSite, type Site } from './support/browser.ts';
import { openServed, type Served } from './support/served.ts';
import { type Message, openSnippetPage, type SnippetOptions, taken } from './support/snippet-page.ts';

const GZIPPED_BYTES_MAX = 3 * 1_024;
const SOON = { timeout: 10_000, interval: 50 };
let served: Served;
let browser: Browser;
let site: Site;

beforeAll(async () => {
  [served, browser, site] = await Promise.all([openServed('snippet'), openBrowser(), openSite()]);
});
afterEach(async () => {
  served.gate.answerFor = () => undefined;
  await Promise.all(browser.contexts().map((context) => context.close()));
});
afterAll(async () => {
  await browser?.close();
  await site?.close();
  await served?.close();
});

const open = (options?: SnippetOptions) => openSnippetPage(browser, site, served, options);
const now = (): number => served.gate.passed.length;

/** Resolves with what was taken since, once it is at least so many, of a type or an event. */
async function arrived(since: number, what: string, count = 1): Promise<Message[]> {
  const found = (): Message[] =>
    taken(served.gate, since).filter(({ type, event }) => type === what || event === what);
  await expect.poll(() => found().length, SOON).toBeGreaterThanOrEqual(count);
  return found();
}

/** What was taken since, without how long a page took: that comes two seconds late, perhaps from the page of the test before. */
const said = (since: number): Message[] => taken(served.gate, since).filter(({ event }) => event !== '$load');

/** Long enough for anything that waits to be sent. */
const quiet = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1_200));

describe('the script', () => {
  it('has at most 3 KB, is cached, and may be loaded by any page', async () => {
    const script = `${served.gate.url}/v1/flywheel.js`;
    const answer = await fetch(script);
    const text = await answer.text();
    expect(gzipSync(text).length).toBeLessThanOrEqual(GZIPPED_BYTES_MAX);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-type': 'text/javascript; charset=utf-8',
      'cache-control': expect.stringMatching(/^public, max-age=\d+/),
      'access-control-allow-origin': '*',
      'cross-origin-resource-policy': 'cross-origin',
    });
    const known = await fetch(script, { headers: { 'if-none-match': answer.headers.get('etag')! } });
    expect([known.status, await known.text()]).toEqual([304, '']);
  });

  it('works as the README has it', async () => {
    const since = now();
    const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
    const [, html] = /```html\n([\s\S]*?)```/.exec(readme)!;
    const own = html!.replace('http://127.0.0.1:18080', served.gate.url).replace('wk_…', served.keys.write);
    site.pages.set('/readme', `<!doctype html>${own}`);
    const page = await browser.newPage();
    await page.goto(`${site.url}/readme`);
    await arrived(since, 'page');
    expect(said(since).map(({ type, event, userId }) => [event ?? type, userId])).toEqual([
      ['identify', 'buyer-42'],
      ['Product Viewed', 'buyer-42'],
      ['page', 'buyer-42'],
    ]);
  });

  it('takes the calls that were made before it was there, and then those of its own', async () => {
    const since = now();
    const before = `<script>(flywheel = window.flywheel || []).push(['identify', 'early-user', { level: 'gold' }]);
      flywheel.push(['track', 'Product Viewed', { category: 'pumps' }])</script>`;
    const { call, page } = await open({ before });
    await call('push', ['page', 'Second', { tab: 'offers' }]);
    await call('group', 'g1', { plan: 'pro' });
    await call('alias', 'later-user');
    await call('reset');
    await call('track', 'Order Completed', { revenue: 5 });
    await arrived(since, 'Order Completed');
    const messages = said(since);
    const names = messages.map(({ type, event, name }) => event ?? name ?? type);
    expect(names).toEqual([
      'identify',
      'Product Viewed',
      'page',
      'Second',
      'group',
      'alias',
      'Order Completed',
    ]);
    const [identify, viewed, visit, second, group, alias, order] = messages;
    expect(identify).toMatchObject({ userId: 'early-user', traits: { level: 'gold' } });
    expect(viewed).toMatchObject({ userId: 'early-user', properties: { category: 'pumps' } });
    expect(visit).toMatchObject({ properties: { title: 'Pumps', url: page.url() } });
    expect(second!.properties).toMatchObject({ tab: 'offers', url: page.url() });
    expect(group).toMatchObject({ groupId: 'g1', traits: { plan: 'pro' } });
    expect(alias).toMatchObject({ previousId: 'early-user', userId: 'later-user' });
    expect(order!.userId).toBeUndefined();
    expect(order!.anonymousId).not.toBe(alias!.anonymousId);
  });

  it('that is in a page twice is there once, and a call with a fault stops nothing', async () => {
    const since = now();
    const { page, call } = await open();
    await page.addScriptTag({ url: `${served.gate.url}/v1/flywheel.js` });
    await page.evaluate(`{ const cycle = {}; cycle.cycle = cycle; flywheel.track('cycle', cycle); }`);
    await call('track', 'large', { text: 'x'.repeat(40_000) });
    await call('track', 'fine');
    await arrived(since, 'fine');
    expect(said(since).map(({ type }) => type)).toEqual(['page', 'track']);
  });
});

describe('by itself it sends', () => {
  it('page views, those of the History API too, with the campaign and for the same visitor', async () => {
    const since = now();
    const { page, context, address } = await open();
    await page.evaluate(`history.pushState({}, '', '/offers?utm_medium=mail&utm_campaign=spring')`);
    await arrived(since, 'page', 2);
    await page.evaluate(`history.replaceState({}, '', location.href); location.hash = 'part'`);
    await page.goBack();
    await page.goBack();
    await arrived(since, 'page', 3);
    await open({ context });
    const views = await arrived(since, 'page', 4);
    expect(views.map(({ properties }) => new URL(properties.url).pathname)).toEqual([
      new URL(address).pathname,
      '/offers',
      new URL(address).pathname,
      expect.stringContaining('/snippet-'),
    ]);
    expect(views[1]).toMatchObject({
      properties: { referrer: address },
      context: { campaign: { medium: 'mail', name: 'spring' } },
    });
    expect(new Set(views.map(({ anonymousId }) => anonymousId)).size).toBe(1);
  });

  it('clicks with a path that finds the element, and nothing that somebody typed', async () => {
    const since = now();
    const body = `
      <nav><a class="css-1x2y link" href="/offers?token=secret#part">Our   offers</a></nav>
      <section><p>One</p><p class="lead">Two <b>bold</b></p></section>
      <form id="inquiry"><input name="a" value="typed-text"><input type="password" value="typed-password">
      <textarea>typed-area</textarea><button type="button">${'Send '.repeat(40)}</button></form>
      <div contenteditable>typed-editable</div>
      <div role="button" id="card"><span contenteditable>typed-title</span></div><label>Name <input value="typed-label"></label>
      <div data-fw-ignore><button id="ignored">Not this</button></div>
      <script>document.querySelector('a').addEventListener('click', (event) => event.preventDefault())</script>`;
    const { page } = await open({ body });
    const clicked = [
      'nav a',
      'p.lead b',
      '#inquiry button',
      '[name=a]',
      '[type=password]',
      'textarea',
      'div[contenteditable]',
      '#card span',
      'label',
      '#ignored',
    ];
    for (const selector of clicked) await page.locator(selector).click();
    // A click on a label is one on its input, too.
    const clicks = await arrived(since, '$click', 10);
    const paths = clicks.map(({ properties }) => properties.path as string);
    const found: string[] = await page.evaluate(
      `${JSON.stringify(paths)}.map((path) => document.querySelector(path).outerHTML.slice(0, 14))`,
    );
    expect(found.slice(0, 4)).toEqual(['<a class="css-', '<b>bold</b>', '<button type="', '<input name="a']);
    expect(paths[2]).toBe('#inquiry>button');
    expect(paths[0]).toBe('html>body>nav>a.link');
    expect(clicks[0]!.properties).toMatchObject({ text: 'Our offers', href: `${site.url}/offers` });
    expect(clicks[2]!.properties.text).toHaveLength(80);
    expect(JSON.stringify(clicks)).not.toMatch(/typed|secret|Not this/);
    expect(clicks).toHaveLength(10);
  });

  // The address there is an object: our own error was told in its stead, and stood in the page's console.
  it('clicks on links within SVG', async () => {
    const since = now();
    const body = `<svg><a href="#germany"><rect width="20" height="20"/></a></svg>`;
    const { page } = await open({ body });
    await page.locator('rect').click();
    const [click] = await arrived(since, '$click');
    expect(click!.properties).toMatchObject({ path: 'html>body>svg>a' });
    expect(said(since).map(({ type, event }) => event ?? type)).toEqual(['page', '$click']);
  });

  it('errors, cut and not more than ten a page', async () => {
    const since = now();
    const { page } = await open();
    await page.evaluate(`setTimeout(() => { throw new Error('broken ' + 'x'.repeat(5000)); })`);
    await page.evaluate(`void Promise.reject(new TypeError('refused'))`);
    await page.evaluate(
      `for (let i = 0; i < 20; i += 1) setTimeout(() => { throw new Error('again ' + i); })`,
    );
    const errors = await arrived(since, '$error', 10);
    await quiet();
    expect(taken(served.gate, since).filter(({ event }) => event === '$error')).toHaveLength(10);
    const [broken, refused] = errors.map(({ properties }) => properties);
    expect(broken.message).toMatch(/^Uncaught Error: broken x+$/);
    expect([broken.message.length, broken.stack.length]).toEqual([256, 1_024]);
    expect(refused).toMatchObject({ message: 'refused', rejection: true });
  });

  it('how long the page took to load', async () => {
    const since = now();
    const { address } = await open({ body: '<h1>Pumps</h1>' });
    // The page of the test before may tell of itself meanwhile; it was blank, and so had nothing to paint.
    const own = () =>
      taken(served.gate, since).find(
        ({ event, context }) => event === '$load' && context.page.url === address,
      );
    await expect.poll(own, SOON).toBeDefined();
    const { firstByteMs, domReadyMs, loadMs, largestPaintMs } = own()!.properties;
    expect(firstByteMs).toBeGreaterThan(0);
    expect(domReadyMs).toBeGreaterThanOrEqual(firstByteMs);
    expect(loadMs).toBeGreaterThanOrEqual(domReadyMs);
    expect(largestPaintMs).toBeGreaterThan(0);
  });

  it('none of it as a behaviour by accident, and all of it once where it ends up', async () => {
    const before = `<script>(flywheel = window.flywheel || []).push(['identify', 'snippet-ends-up'])</script>`;
    const { page, call } = await open({ before, body: '<button>Buy</button>' });
    await page.locator('button').click();
    await page.evaluate(`new Promise((resolve) => {
      addEventListener('error', () => resolve());
      setTimeout(() => { throw new Error('broken'); });
    })`);
    await call('track', 'Order Completed', { revenue: 5 });
    await page.waitForFunction('performance.timing.loadEventEnd > 0');
    await page.close({ runBeforeUnload: true });
    const rows = await served.applied('snippet-ends-up', 6);
    await served.expectNoDoubles();
    const counted = rows.map(({ kind, event, behaviour }) => [event || kind, behaviour]);
    expect(Object.fromEntries(counted)).toEqual({
      identify: '',
      page: 'visit',
      $click: '',
      $error: '',
      'Order Completed': 'order',
      $load: '',
    });
  });
});
