// The page snippet where somebody has said no, or not yet yes: it sends and keeps nothing.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Gate } from './support/gate.ts';
import { type Message, type SnippetOptions, taken } from './support/snippet-page.ts';
import { openSnippetStage, quiet, type SnippetStage, SOON } from './support/snippet-stage.ts';

let stage: SnippetStage;
let gate: Gate;

beforeAll(async () => {
  stage = await openSnippetStage();
  ({ gate } = stage);
});
afterEach(() => stage.closePages());
afterAll(() => stage?.close());

const open = (options?: SnippetOptions) => stage.open(options);
const now = (): number => stage.now();
const posts = (since: number) => stage.posts(since);
const eventsTaken = (since: number) => stage.eventsTaken(since);

const nothing = { identity: null, queue: [], cookie: '', names: 0 };
const waitingOf = (queue: readonly Message[]) => queue.map(({ event }) => event);

describe('nothing is sent and nothing kept', () => {
  it.each([
    ['Do Not Track', 'doNotTrack', "'1'"],
    ['Global Privacy Control', 'globalPrivacyControl', 'true'],
  ])('where the browser says %s, not even what was kept before', async (_name, property, value) => {
    const { context, kept, page } = await open();
    await expect.poll(kept, SOON).not.toEqual(nothing);
    await page.close({ runBeforeUnload: true });
    const initially = `Object.defineProperty(Navigator.prototype, '${property}', { get: () => ${value} })`;
    await quiet();
    const since = now();
    const before = `<script>(flywheel = window.flywheel || []).push(['identify', 'u'], ['consent', true])</script>`;
    const body = '<button>Buy</button>';
    const silent = await open({ context, initially, before, body });
    await silent.call('consent', true);
    await silent.call('track', 'Order Completed');
    await silent.page.locator('button').click();
    await silent.page.evaluate(`history.pushState({}, '', '/offers')`);
    expect(await silent.kept()).toEqual(nothing);
    await silent.page.close({ runBeforeUnload: true });
    await quiet();
    expect(posts(since)).toEqual([]);
  });

  it('before consent where it is required; then what was held comes, and the next page need not ask', async () => {
    const since = now();
    const required = { attributes: 'data-consent="required"', body: '<button>Buy</button>' };
    const silent = await open(required);
    await silent.call('identify', 'nobody');
    await silent.page.locator('button').click();
    await quiet();
    expect(await silent.kept()).toEqual(nothing);
    await silent.page.goto('about:blank');
    await quiet();
    expect(posts(since)).toEqual([]);

    const asked = await open({ ...required, context: silent.context });
    await asked.call('identify', 'consenting');
    await asked.call('consent', true);
    await expect.poll(() => taken(gate, since).map(({ type }) => type), SOON).toEqual(['page', 'identify']);
    const { anonymousId } = taken(gate, since)[0]!;
    const later = now();
    await open({ ...required, context: silent.context });
    const view = () => taken(gate, later).find(({ type }) => type === 'page');
    await expect.poll(view, SOON).toMatchObject({ anonymousId, userId: 'consenting' });
  });

  // Each tab was a visitor of its own for what it had held, and forgot whom it had been told.
  it('before consent in two tabs; then both are one visitor, whoever was named in either', async () => {
    const since = now();
    const attributes = 'data-consent="required"';
    const asked = await open({ attributes });
    const tab = await open({ attributes, context: asked.context });
    await asked.call('track', 'in the first');
    await tab.call('track', 'before a reset');
    await tab.call('reset');
    await tab.call('track', 'in the second');
    await tab.call('alias', 'u1');
    await tab.call('identify', 'u1');
    await asked.call('consent', true);
    const found = (name: string) =>
      taken(gate, since).find(({ type, event }) => type === name || event === name);
    await expect.poll(() => found('identify'), SOON).toMatchObject({ userId: 'u1' });
    await expect.poll(() => found('in the first'), SOON).toBeDefined();
    await tab.call('track', 'later');
    await expect.poll(() => found('later'), SOON).toMatchObject({ userId: 'u1' });
    const { anonymousId } = found('in the first')!;
    for (const name of ['in the second', 'alias', 'identify', 'later'])
      expect([name, found(name)!.anonymousId]).toEqual([name, anonymousId]);
    expect(found('alias')!.previousId).toBe(anonymousId);
    // Whoever sat there before is not who said yes.
    expect(found('before a reset')!.anonymousId).not.toBe(anonymousId);
    const next = await open({ attributes, context: asked.context });
    await next.call('track', 'on the next page');
    await expect.poll(() => found('on the next page'), SOON).toMatchObject({ anonymousId, userId: 'u1' });
  });

  it.each([
    ['required', 'data-consent="required"', nothing],
    ['not required', '', { ...nothing, identity: '{"c":0}', names: 1 }],
  ])(
    'after it was taken back where it is %s: id and queue are forgotten',
    async (_name, attributes, left) => {
      const { context, page, call, kept } = await open({ attributes });
      await call('consent', true);
      await call('identify', 'leaving');
      await expect.poll(async () => (await kept()).identity, SOON).toContain('leaving');
      await quiet();
      await context.setOffline(true);
      await call('track', 'never');
      expect(waitingOf((await kept()).queue)).toContain('never');
      await call('consent', false);
      await call('track', 'never either');
      expect(await kept()).toEqual(left);
      await context.setOffline(false);
      const since = now();
      await page.goto('about:blank');
      const next = await open({ context, attributes });
      await next.call('track', 'nor this');
      await quiet();
      expect(await next.kept()).toEqual(left);
      expect(posts(since)).toEqual([]);
      await next.call('consent', true);
      await next.call('track', 'again');
      await expect.poll(() => eventsTaken(since), SOON).toContain('again');
      expect(taken(gate, since).find(({ event }) => event === 'again')!.userId).toBeUndefined();
    },
  );
});
