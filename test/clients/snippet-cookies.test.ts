// The page snippet where localStorage is closed: a cookie keeps who it is, and no event tells other tabs of a cookie.
import type { Frame } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WRITE } from '../serve/without-parts.ts';
import { type Message, type SnippetOptions, taken } from './support/snippet-page.ts';
import { COOKIES_ALONE, openSnippetStage, quiet, type SnippetStage, SOON } from './support/snippet-stage.ts';

let stage: SnippetStage;

beforeAll(async () => {
  stage = await openSnippetStage();
});
afterEach(() => stage.closePages());
afterAll(() => stage?.close());

const open = (options?: SnippetOptions) => stage.open({ initially: COOKIES_ALONE, ...options });
const now = (): number => stage.now();
const eventOf = (since: number, name: string) => (): Message | undefined =>
  taken(stage.gate, since).find(({ event }) => event === name);
const viewSince = (since: number) => (): Message | undefined =>
  taken(stage.gate, since).find(({ type }) => type === 'page');

it('keeps who it is over pages, and what waits lasts as long as the page', async () => {
  const since = now();
  /** But for how long a page took to load, which it says some time after. */
  const said = (): Message[] => taken(stage.gate, since).filter(({ event }) => event !== '$load');
  const { context, call, kept } = await open();
  await call('identify', 'cookie-user');
  await expect.poll(() => said().length, SOON).toBe(2);
  expect((await kept()).cookie).toContain('flywheel=');
  await open({ context });
  await expect.poll(() => said().length, SOON).toBe(3);
  const [first, , again] = said();
  expect(again).toMatchObject({ anonymousId: first!.anonymousId, userId: 'cookie-user' });
  await call('consent', false);
  expect((await kept()).cookie).toBe(`flywheel=${encodeURIComponent('{"c":0}')}`);
});

// It was written when it changed alone: who came every day was forgotten a year after the first.
it('lives on from each page that is opened, which writes it once', async () => {
  const { context, page, kept } = await open();
  const livesForDays = async (): Promise<number> =>
    ((await context.cookies())[0]!.expires - Date.now() / 1_000) / 86_400;
  await expect.poll(async () => (await kept()).cookie, SOON).toContain('flywheel=');
  const shorten = (): Promise<unknown> =>
    page.evaluate(`document.cookie = document.cookie + ';path=/;max-age=600'`);
  await shorten();
  expect(await livesForDays()).toBeLessThan(1);
  const since = now();
  const next = await open({ context });
  await expect.poll(viewSince(since), SOON).toBeDefined();
  expect(await livesForDays()).toBeGreaterThan(364);
  await shorten();
  await next.call('track', 'later');
  await expect.poll(eventOf(since, 'later'), SOON).toBeDefined();
  expect(await livesForDays()).toBeLessThan(1);
});

// The site's own `old_flywheel`, which stands first, was taken for ours: a new visitor on each page.
it("takes no other cookie for its own, whatever the other's name ends with", async () => {
  const initially = `document.cookie = 'old_flywheel=abc;path=/'; ${COOKIES_ALONE}`;
  const since = now();
  const { context, kept } = await open({ initially });
  await expect.poll(viewSince(since), SOON).toBeDefined();
  expect((await kept()).cookie).toMatch(/^old_flywheel=abc; flywheel=/);
  const later = now();
  await open({ context, initially });
  await expect.poll(viewSince(later), SOON).toMatchObject({ anonymousId: viewSince(since)()!.anonymousId });
});

// What was gone from the cookie lived on in other tabs, which wrote it back.
describe('what another tab has taken back', () => {
  it('is gone: after its reset nobody goes on as who sat there before', async () => {
    const { context, call, kept } = await open();
    await call('identify', 'alice');
    const tab = await open({ context });
    const since = now();
    await call('reset');
    await tab.call('track', 'in another tab');
    expect((await kept()).cookie).not.toContain('alice');
    await call('track', 'after the reset');
    await expect.poll(eventOf(since, 'after the reset'), SOON).toBeDefined();
    await expect.poll(eventOf(since, 'in another tab'), SOON).toBeDefined();
    const [one, other] = ['in another tab', 'after the reset'].map((name) => eventOf(since, name)()!);
    expect([one!.userId, other!.userId]).toEqual([undefined, undefined]);
    expect(one!.anonymousId).toBe(other!.anonymousId);
  });

  it.each([
    ['required', 'data-consent="required"', ''],
    ['not required', '', `flywheel=${encodeURIComponent('{"c":0}')}`],
  ])(
    'is a consent that was %s: what waits is not sent, and nothing is written back',
    async (_name, attributes, left) => {
      const { context, call, kept } = await open({ attributes });
      await call('consent', true);
      const tab = await open({ context, attributes });
      await tab.call('track', 'allowed');
      await quiet();
      await context.setOffline(true);
      await tab.call('track', 'waiting');
      const since = now();
      await call('consent', false);
      await tab.call('track', 'never');
      await context.setOffline(false);
      await quiet();
      await quiet();
      expect(stage.eventsTaken(since)).toEqual([]);
      expect((await kept()).cookie).toBe(left);
      await tab.call('consent', true);
      await tab.call('track', 'again');
      await expect.poll(eventOf(since, 'again'), SOON).toBeDefined();
      expect(eventOf(since, 'waiting')()).toBeUndefined();
      expect(eventOf(since, 'never')()).toBeUndefined();
    },
  );

  it('is a consent that the tab hears of when it is left or looked at, without an event of its own', async () => {
    const attributes = 'data-consent="required"';
    const { context, call } = await open({ attributes });
    await call('consent', true);
    const tab = await open({ context, attributes });
    await quiet();
    const since = now();
    await tab.call('track', 'waiting');
    await call('consent', false);
    await tab.page.close({ runBeforeUnload: true });
    await quiet();
    expect(stage.eventsTaken(since)).toEqual([]);
  });
});

// The setter of `document.cookie` threw before anything was sent; with a no it took `flywheel` from the page.
describe('in a frame that may keep nothing at all', () => {
  const framed = async (initially?: string): Promise<Frame> => {
    const line = `<script async src='${stage.gate.url}/v1/flywheel.js' data-write-key='${WRITE}'></script>`;
    const body = `<iframe sandbox="allow-scripts" srcdoc="${line}"></iframe>`;
    const { page } = await stage.open({ body, ...(initially === undefined ? {} : { initially }) });
    const frame = page.frames()[1]!;
    await frame.waitForFunction('window.flywheel');
    return frame;
  };

  it('what happens there is sent, for one visitor as long as the page', async () => {
    const since = now();
    const frame = await framed();
    await frame.evaluate(`flywheel.track('in a frame')`);
    await expect.poll(eventOf(since, 'in a frame'), SOON).toBeDefined();
    const said = taken(stage.gate, since).filter(({ context }) => context.page.url === 'about:srcdoc');
    expect(said.map(({ type }) => type)).toEqual(['page', 'track']);
    expect(said[0]!.anonymousId).toBe(said[1]!.anonymousId);
  });

  it("after a no the page's own calls do nothing, and stop nothing", async () => {
    const since = now();
    const frame = await framed(
      `Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', { get: () => true })`,
    );
    expect(await frame.evaluate(`flywheel.track('never'), 'gone on'`)).toBe('gone on');
    await quiet();
    expect(stage.posts(since)).toEqual([]);
  });
});

it('a no stays one as long as the page where the site then clears what it keeps', async () => {
  const { page, call } = await open();
  const since = now();
  await call('consent', false);
  await page.evaluate(`document.cookie = 'flywheel=;path=/;max-age=0'`);
  await call('track', 'never');
  await quiet();
  expect(stage.eventsTaken(since)).toEqual([]);
});
