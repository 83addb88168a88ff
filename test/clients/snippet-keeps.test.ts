// What the page snippet keeps in the browser: through refusals, outages and closing pages everything until it has arrived.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Gate } from './support/gate.ts';
import { type Message, type SnippetOptions, type SnippetPage, taken } from './support/snippet-page.ts';
import { openSnippetStage, quiet, type SnippetStage, SOON } from './support/snippet-stage.ts';

let stage: SnippetStage;
let gate: Gate;

beforeAll(async () => {
  stage = await openSnippetStage();
  ({ gate } = stage);
});
afterEach(async () => {
  stage.kafkaIsUp = true;
  gate.losesAnswers = false;
  await stage.closePages();
});
afterAll(() => stage?.close());

const open = (options?: SnippetOptions) => stage.open(options);
const now = (): number => stage.now();
const posts = (since: number) => stage.posts(since);
const eventsTaken = (since: number) => stage.eventsTaken(since);

const waitingOf = (queue: readonly Message[]) => queue.map(({ event }) => event);

describe('what has not arrived', () => {
  it('waits as long as Retry-After says when serve refuses', async () => {
    const { call } = await open();
    stage.kafkaIsUp = false;
    const since = now();
    await call('track', 'refused');
    await expect.poll(() => posts(since).map(({ status }) => status), SOON).toEqual([503]);
    await call('track', 'meanwhile');
    stage.kafkaIsUp = true;
    await expect.poll(() => eventsTaken(since), SOON).toEqual(['refused', 'meanwhile']);
    const [refused, next] = posts(since);
    expect(next!.atMs - refused!.atMs).toBeGreaterThanOrEqual(5_000);
  });

  it('is tried again, later each time, while nothing listens', async () => {
    const { page, call } = await open();
    await expect.poll(() => taken(gate, 0).length, SOON).toBeGreaterThan(0);
    const failedAt: number[] = [];
    page.on('requestfailed', () => failedAt.push(performance.now()));
    const since = now();
    await gate.goAway();
    await call('track', 'away');
    await expect.poll(() => failedAt.length, SOON).toBe(2);
    await gate.comeBack();
    await expect.poll(() => eventsTaken(since), SOON).toEqual(['away']);
    expect(failedAt[1]! - failedAt[0]!).toBeGreaterThanOrEqual(950);
  });

  // It waited out a back-off that nobody had asked for, up to two minutes, and was not sent as the page closed either.
  describe('for want of an answer is sent at once', () => {
    /** The first failure already holds up for a minute. */
    const initially = 'Math.random = () => 60';
    /** The page has read the answer to its first message. */
    const isTaken = async ({ kept }: SnippetPage, since: number): Promise<boolean> =>
      posts(since).length === 1 && (await kept()).queue?.length === 0;
    const failed = async ({ page, call }: SnippetPage): Promise<void> => {
      const failure = page.waitForEvent('requestfailed');
      await call('track', 'failed');
      await failure;
    };

    it('where there is a network again', async () => {
      const since = now();
      const opened = await open({ initially });
      await expect.poll(() => isTaken(opened, since), SOON).toBe(true);
      await opened.context.setOffline(true);
      await failed(opened);
      await opened.context.setOffline(false);
      await expect.poll(() => eventsTaken(since), SOON).toEqual(['failed']);
    });

    it('where the page is left or looked at, and what comes then is not held up', async () => {
      const since = now();
      const opened = await open({ initially });
      await expect.poll(() => isTaken(opened, since), SOON).toBe(true);
      await gate.goAway();
      await failed(opened);
      await gate.comeBack();
      await opened.page.evaluate(`dispatchEvent(new Event('visibilitychange'))`);
      await expect.poll(() => eventsTaken(since), SOON).toEqual(['failed']);
      await opened.call('track', 'next');
      await expect.poll(() => eventsTaken(since), SOON).toEqual(['failed', 'next']);
    });

    it('but what was answered with Retry-After waits', async () => {
      const { page, call } = await open();
      stage.kafkaIsUp = false;
      const since = now();
      const refusals = () => posts(since).filter(({ status }) => status === 503);
      await call('track', 'refused');
      await expect.poll(() => refusals().length, SOON).toBe(1);
      await page.evaluate(`dispatchEvent(new Event('online')), dispatchEvent(new Event('visibilitychange'))`);
      await expect.poll(() => refusals().length, SOON).toBe(2);
      const [first, second] = refusals();
      expect(second!.atMs - first!.atMs).toBeGreaterThanOrEqual(5_000);
    });
  });

  it('is kept offline over pages, the newest 200, and comes in batches when there is a network', async () => {
    const { context, page, kept } = await open();
    await expect.poll(kept, SOON).toMatchObject({ identity: expect.any(String) });
    await context.setOffline(true);
    const since = now();
    await page.evaluate(`for (let i = 0; i < 250; i += 1) flywheel.track('offline-' + i)`);
    expect((await kept()).queue).toHaveLength(200);
    await page.goto('about:blank');
    await context.setOffline(false);
    const next = await open({ context });
    await expect.poll(async () => (await next.kept()).queue, SOON).toEqual([]);
    // What pages say by themselves (that they are viewed, that they have loaded) has pushed some out.
    const newest = Array.from({ length: 250 }, (_none, index) => `offline-${index}`);
    const arrived = eventsTaken(since);
    expect(arrived.length).toBeGreaterThan(195);
    expect(arrived).toEqual(newest.slice(-arrived.length));
    for (const { body } of posts(since)) {
      expect(JSON.parse(body.toString()).batch.length).toBeLessThanOrEqual(20);
    }
  });

  it('is sent as the page closes, and again by the next page if no answer came', async () => {
    const { context, page, call } = await open();
    gate.losesAnswers = true;
    const since = now();
    await call('track', 'closing');
    await page.close({ runBeforeUnload: true });
    const lost = () =>
      posts(since).filter(({ status, body }) => status === 'lost' && body.includes('closing'));
    await expect.poll(() => lost().length, SOON).toBeGreaterThan(0);
    expect(eventsTaken(since)).toEqual([]);
    gate.losesAnswers = false;
    await open({ context });
    await expect.poll(() => eventsTaken(since), SOON).toEqual(['closing']);
    const ids = posts(since)
      .flatMap(({ body }) => JSON.parse(body.toString()).batch)
      .filter(({ event }) => event === 'closing')
      .map(({ messageId }) => messageId);
    expect(ids.length).toBeGreaterThan(1);
    expect(new Set(ids).size).toBe(1);
  });

  it('is cut into bodies that may be on their way when a page closes, and the browser refuses none', async () => {
    const since = now();
    // Chromium refuses what is more than 64 KB together.
    const initially = `const real = fetch;
      window.refused = 0;
      window.fetch = (...given) => real(...given).catch((error) => { window.refused += 1; throw error; });`;
    const { page } = await open({ initially });
    await page.evaluate(
      `for (let i = 0; i < 6; i += 1) flywheel.track('wide-' + i, { text: '宽'.repeat(9000) })`,
    );
    await expect.poll(() => eventsTaken(since).length, SOON).toBe(6);
    expect(posts(since).filter(({ body }) => body.length > 30_000)).toEqual([]);
    expect(await page.evaluate('refused')).toBe(0);
  });

  it('of two pages at a time is not lost when one is closed', async () => {
    const [first, since] = [await open(), now()];
    const second = await open({ context: first.context });
    await first.context.setOffline(true);
    await Promise.all([first.call('track', 'first'), second.call('track', 'second')]);
    await first.page.close();
    // The browser tells other pages of a change some time after it.
    const waiting = async () => waitingOf((await second.kept()).queue);
    await expect.poll(waiting, SOON).toEqual(expect.arrayContaining(['first', 'second']));
    await first.context.setOffline(false);
    const third = await open({ context: first.context });
    await expect.poll(() => eventsTaken(since).sort(), SOON).toEqual(['first', 'second']);
    await expect.poll(async () => (await third.kept()).queue, SOON).toEqual([]);
  });
});

// Nothing had an id, and serve took none of it.
it.each(['1', '"text"', '[]'])(
  'who it is is kept where the site had %s under the same name',
  async (entry) => {
    const since = now();
    const { context } = await open({ initially: `localStorage.flywheel = ${JSON.stringify(entry)}` });
    const visitors = () =>
      taken(gate, since).flatMap(({ type, anonymousId }) => (type === 'page' ? [anonymousId] : []));
    await expect.poll(() => visitors().length, SOON).toBe(1);
    await open({ context });
    await expect.poll(() => visitors().length, SOON).toBe(2);
    const [first, second] = visitors();
    expect([first, second]).toEqual([expect.any(String), first]);
  },
);

describe('where localStorage is full', () => {
  /** To the last character: what replaces something shorter does not fit either. */
  const fill = `for (let size = 2 ** 23; size >= 1; size /= 2)
    for (let name = 0; ; name += 1) try {
      localStorage.setItem(\`fill-\${size}-\${name}\`, 'x'.repeat(size));
    } catch { break; }`;
  const empty = `Object.keys(localStorage).filter((name) => name.startsWith('fill-')).forEach((name) => localStorage.removeItem(name))`;

  // The cookie had the new one, and the next page read the older, from before there was no room.
  it('a cookie keeps who it is, and nothing older is read; where there is room again, the cookie is gone', async () => {
    const since = now();
    const { context, page, call, kept } = await open();
    await expect.poll(async () => (await kept()).identity, SOON).toEqual(expect.any(String));
    await page.evaluate(fill);
    await call('identify', 'user-42');
    expect(await kept()).toMatchObject({ identity: null, cookie: expect.stringContaining('user-42') });
    const view = (from: number) => () => taken(gate, from).find(({ type }) => type === 'page');
    await expect.poll(view(since), SOON).toBeDefined();
    const { anonymousId } = view(since)()!;
    const later = now();
    const next = await open({ context });
    await expect.poll(view(later), SOON).toMatchObject({ anonymousId, userId: 'user-42' });
    await page.evaluate(empty);
    await next.call('identify', 'user-43');
    expect(await next.kept()).toMatchObject({
      identity: expect.stringContaining('user-43'),
      cookie: '',
    });
  });

  it('a cookie keeps what was said to consent, and other tabs hear of it', async () => {
    const { context, page, call, kept } = await open();
    await call('consent', false);
    const tab = await open({ context });
    await page.evaluate(fill);
    // Told after the page's own listener, which stood first. The browser takes its time.
    await tab.page.evaluate(
      `void (heard = new Promise((resolve) => addEventListener('storage', ({ key }) => key === 'flywheel' && resolve())))`,
    );
    const since = now();
    await call('identify', 'consenting');
    await call('consent', true);
    await tab.page.evaluate('heard');
    expect(await kept()).toMatchObject({ identity: null, cookie: expect.stringContaining('consenting') });
    await tab.call('track', 'in another tab');
    const next = await open({ context });
    await next.call('track', 'on the next page');
    const events = ['in another tab', 'on the next page'];
    await expect.poll(() => eventsTaken(since).sort(), SOON).toEqual(events);
    for (const { event, userId } of taken(gate, since))
      if (events.includes(event!)) expect([event, userId]).toEqual([event, 'consenting']);
    await next.call('consent', false);
    expect(await next.kept()).toMatchObject({ queue: [], identity: '{"c":0}', cookie: '' });
  });

  // No event tells of a cookie: the other tab went on as whoever it knew, and after a no as well.
  it('what a cookie says since is heard by other tabs with their next event', async () => {
    const { context, page, call } = await open();
    await call('identify', 'before');
    const tab = await open({ context });
    await page.evaluate(fill);
    // What fills has a name itself, and leaves a few characters where that does not fit.
    await call('identify', 'somebody whose name needs room');
    await expect.poll(async () => (await tab.kept()).identity, SOON).toBeNull();
    await call('identify', 'in the cookie alone');
    const since = now();
    await tab.call('track', 'whose');
    const whose = () => taken(gate, since).find(({ event }) => event === 'whose');
    await expect.poll(whose, SOON).toMatchObject({ userId: 'in the cookie alone' });
    // Not a character is free for the no either.
    await page.evaluate(fill);
    await call('consent', false);
    const later = now();
    await tab.call('track', 'never');
    await quiet();
    expect(eventsTaken(later)).toEqual([]);
  });
});
