// The live debugger over a real `stream` and `serve`: what each record came to, within a second; nothing is published
// while nobody looks, and no reader slows the stream.
import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { flywheelCommandLine } from '../../ops/local/flywheel-process.ts';
import { ensureApiKeys } from '../../platform/api-keys.ts';
import { liveChannel, liveInterestsKey } from '../../platform/keys.ts';
import { duplicateOf, type RedisClient } from '../../platform/redis.ts';
import { type Child, endChildren, startChild } from './support/child.ts';
import { type LiveViewer, openLiveViewer } from './support/live-viewer.ts';
import { openStage, type Stage } from './support/stage.ts';

const SHOWN_WITHIN_MS = 1_500;
const MINUTE_MS = 60_000;

let stage: Stage;
let keys: { write: string; secret: string };
let serve: Child;
let url: string;
let listener: RedisClient;
let published = 0;
const viewers: LiveViewer[] = [];

beforeAll(async () => {
  stage = await openStage('live');
  keys = await ensureApiKeys({
    plainFile: path.join(stage.dir, 'keys.json'),
    hashedFile: path.join(stage.dir, 'keys.hashed.json'),
  });
  // What it opens to Redis has a name: the parts are shared with other tests, whose listeners are not to be cut off with its own.
  const redisUrl = `${stage.environment.REDIS_URL}?connectionName=${stage.namespace.name}`;
  serve = startChild('serve', { ...stage.environment, REDIS_URL: redisUrl });
  const stream = startChild('stream', stage.environment);
  const [ready] = await Promise.all([serve.ready, stream.ready]);
  url = String(ready.url);
  listener = duplicateOf(stage.redis);
  listener.on('message', () => {
    published += 1;
  });
  await listener.subscribe(liveChannel(stage.namespace));
});

afterEach(async () => {
  for (const viewer of viewers.splice(0)) viewer.close();
  // Nobody looks any more, at once: else the interest would linger into the next test.
  await stage.redis.del(liveInterestsKey(stage.namespace));
});

afterAll(async () => {
  listener?.disconnect();
  await endChildren();
  await stage?.close();
});

async function view(
  query: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<LiveViewer> {
  const viewer = await openLiveViewer(url, keys.secret, query, headers);
  viewers.push(viewer);
  expect(viewer.status).toBe(200);
  await viewer.until(() => true, 'ready');
  return viewer;
}

/** Breaks the subscriptions of connections that have this name. */
async function endListeners(name: string): Promise<void> {
  const list = String(await stage.redis.call('CLIENT', 'LIST', 'TYPE', 'pubsub'));
  const ids = list
    .split('\n')
    .filter((client) => client.includes(` name=${name} `))
    .map((client) => /^id=(\d+)/.exec(client)![1]!);
  expect(ids).not.toEqual([]);
  for (const id of ids) await stage.redis.call('CLIENT', 'KILL', 'ID', id);
}

async function collect(message: object, key = keys.write): Promise<Response> {
  return fetch(`${url}/v1/track`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(message),
  });
}

const inquiry = {
  event: 'Inquiry Sent',
  properties: {
    category: 'machinery',
    quantity: 500,
    message: 'Please quote 500 pumps, CIF Hamburg, by May.',
  },
  context: { location: { country: 'DE' } },
};

describe('each record shows, with the right reason', () => {
  it('an applied one, with what it changed', async () => {
    const viewer = await view({ key: 'u:live-applied' });
    await collect({ userId: 'live-applied', messageId: 'applied-1', ...inquiry });
    const shown = await viewer.until((event) => event.messageId === 'applied-1', 'event', SHOWN_WITHIN_MS);
    expect(shown).toMatchObject({
      topic: 'events',
      kind: 'track',
      key: 'u:live-applied',
      person: 'u:live-applied',
      event: 'Inquiry Sent',
      behaviour: 'inquiry',
      verdict: 'applied',
      reason: null,
      changes: {
        newBuyer: true,
        attributes: [{ name: 'country', from: '', to: 'DE' }],
        stages: expect.arrayContaining([{ from: '', to: 'new', reason: 'first' }]),
        opportunities: expect.arrayContaining([
          expect.objectContaining({ change: 'opened', subject: expect.stringContaining('machinery') }),
        ]),
        counted: { visitors: 1, opportunities: 1 },
      },
    });
    expect(shown.id).toBe(`events:1:${shown.partition}:${shown.offset}`);
    expect(Date.parse(shown.time)).toBeGreaterThan(Date.now() - MINUTE_MS);
  });

  it('a funnel step with before and after', async () => {
    const viewer = await view({ key: 'u:live-funnel' });
    const view_ = { event: 'Product Viewed', properties: { category: 'pumps' } };
    await collect({ userId: 'live-funnel', messageId: 'funnel-1', ...view_ });
    await collect({ userId: 'live-funnel', messageId: 'funnel-2', ...inquiry });
    const shown = await viewer.until((event) => event.messageId === 'funnel-2', 'event', SHOWN_WITHIN_MS);
    expect(shown.changes.funnels).toContainEqual({
      funnel: 'purchase',
      revision: 1,
      from: 1,
      to: 2,
      steps: ['inquiry'],
    });
  });

  it('a duplicate: of what', async () => {
    const viewer = await view({ key: 'u:live-twice' });
    await collect({ userId: 'live-twice', messageId: 'twice-1', ...inquiry });
    await collect({ userId: 'live-twice', messageId: 'twice-1', ...inquiry });
    const first = await viewer.until((event) => event.verdict === 'applied');
    const shown = await viewer.until((event) => event.verdict === 'duplicate', 'event', SHOWN_WITHIN_MS);
    expect(shown).toMatchObject({ messageId: 'twice-1', reason: { code: 'duplicate' }, changes: {} });
    expect(shown.reason.detail).toContain(`twice-1 was applied before, with the event time ${first.time}`);
  });

  it('a late one: how far behind which watermark', async () => {
    const viewer = await view({ key: 'u:live-late' });
    await collect({ userId: 'live-late', messageId: 'late-0', ...inquiry });
    const timestamp = new Date(Date.now() - 30 * MINUTE_MS).toISOString();
    await collect({ userId: 'live-late', messageId: 'late-1', ...inquiry, timestamp });
    const shown = await viewer.until((event) => event.verdict === 'late', 'event', SHOWN_WITHIN_MS);
    expect(shown).toMatchObject({ messageId: 'late-1', reason: { code: 'late' }, changes: {} });
    const behind = (Date.parse(shown.watermark) - Date.parse(timestamp)) / 1_000;
    expect(behind).toBeGreaterThan(29 * 60);
    expect(shown.reason.detail).toContain(`${behind.toFixed(1)} s behind the watermark ${shown.watermark}`);
    expect(shown.reason.detail).toContain('600.0 s are allowed');
  });

  it('one that nothing maps says so', async () => {
    const viewer = await view({ key: 'u:live-unmapped' });
    await collect({ userId: 'live-unmapped', messageId: 'unmapped-1', event: 'Sneezed' });
    const shown = await viewer.until((event) => event.messageId === 'unmapped-1');
    expect(shown).toMatchObject({ verdict: 'applied', behaviour: '', reason: { code: 'unmapped' } });
    expect(shown.reason.detail).toContain('"Sneezed"');
  });

  it('one that collect turned away, and one that the stream could not take', async () => {
    const viewer = await view({ verdict: 'rejected' });
    expect((await collect({ event: 'nobody did this', messageId: 'nobody-1' })).status).toBe(400);
    const turned = await viewer.until((event) => event.messageId === 'nobody-1', 'event', SHOWN_WITHIN_MS);
    expect(turned).toMatchObject({
      verdict: 'rejected',
      reason: { code: 'missing_id', detail: expect.stringContaining('anonymousId') },
      origin: { topic: 'collect', route: '/v1/track' },
    });
    const source = turned.source;
    expect(source).not.toBe('');
    const value = JSON.stringify({
      kind: 'track',
      userId: 'live-bad',
      messageId: 'bad-1',
      source: 'planted',
    });
    await stage.producer.send(stage.namespace.topics.events, 3, 'u:live-bad', value);
    const refused = await viewer.until((event) => event.messageId === 'bad-1', 'event', 3_000);
    expect(refused).toMatchObject({
      key: 'u:live-bad',
      source: 'planted',
      reason: { code: 'invalid' },
      origin: { topic: 'events', partition: 3 },
    });
    await stage.untilDrained();
    const rows = await stage.rows<{ source: string }>('SELECT source FROM rejects FINAL ORDER BY source');
    expect(rows.map((row) => row.source).sort()).toEqual(['planted', source].sort());
  });
});

describe('filters, resuming, ends', () => {
  it('shows only what was asked for', async () => {
    const bySource = await view({ source: 'nobody-has-this-key' });
    const byVerdict = await view({ verdict: 'late' });
    const all = await view({});
    await collect({ userId: 'live-filter', messageId: 'filter-1', ...inquiry });
    const shown = await all.until((event) => event.messageId === 'filter-1');
    const own = await view({ source: shown.source });
    await collect({ userId: 'live-filter', messageId: 'filter-2', ...inquiry });
    await own.until((event) => event.messageId === 'filter-2');
    expect([bySource.data('event'), byVerdict.data('event')]).toEqual([[], []]);
  });

  it('shows what has a time that no date can be, without one, and serve lives on', async () => {
    const viewer = await view({ verdict: 'rejected' });
    for (const [index, timestamp] of [9e18, -9e18, 1e300, 4e12 + 0.5].entries())
      await collect({ userId: 'live-absurd', messageId: `absurd-${index}`, ...inquiry, timestamp });
    await viewer.until((event) => event.messageId === 'absurd-3');
    const shown = viewer.data('event').filter(({ key }) => key === 'u:live-absurd');
    expect(shown.map(({ time }) => time)).toEqual([null, null, null, null]);
    await view({});
  });

  it('goes on behind Last-Event-ID, or says that it cannot', async () => {
    const viewer = await view({ key: 'u:live-again' });
    await collect({ userId: 'live-again', messageId: 'again-1', ...inquiry });
    await viewer.until((event) => event.messageId === 'again-1');
    viewer.close();
    await collect({ userId: 'live-again', messageId: 'again-2', ...inquiry });
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const last = viewer.seen.findLast((event) => event.id !== undefined)!.id!;
    const again = await view({ key: 'u:live-again' }, { 'last-event-id': last });
    expect(again.data('open')).toEqual([{ watching: { key: 'u:live-again' }, resumed: true }]);
    expect(again.data('event').map((event) => event.messageId)).toEqual(['again-2']);
    const lost = await view({}, { 'last-event-id': 'events:1:0:999999' });
    expect(lost.data('open')).toEqual([
      { watching: {}, resumed: false, note: expect.stringContaining('not held') },
    ]);
  });

  it('tells of a connection to Redis that broke, and when it shows everything again', async () => {
    const viewer = await view({ key: 'u:live-gap' });
    await collect({ userId: 'live-gap', messageId: 'gap-1', ...inquiry });
    await viewer.until((event) => event.messageId === 'gap-1');
    const last = viewer.seen.findLast((event) => event.id !== undefined)!.id!;
    await endListeners(stage.namespace.name);
    await viewer.until(({ count, by }) => count === null && by === 'connection', 'dropped');
    await vi.waitFor(() => expect(viewer.data('ready')).toHaveLength(2), 10_000);
    await collect({ userId: 'live-gap', messageId: 'gap-2', ...inquiry });
    await viewer.until((event) => event.messageId === 'gap-2');
    const again = await view({ key: 'u:live-gap' }, { 'last-event-id': last });
    expect(again.data('open')).toMatchObject([{ resumed: false }]);
  });

  it('says what of it is not known here', async () => {
    const viewer = await view({ key: 'u:live-nobody', source: 'nobody', seconds: '1' });
    await viewer.ended;
    const [{ unknown }] = viewer.data('open');
    expect(unknown).toEqual([
      expect.stringMatching(/^no key is named nobody; there are .*\w/),
      'nothing has come of u:live-nobody yet',
    ]);
  });

  it('ends after limit and after seconds', async () => {
    const viewer = await view({ key: 'u:live-limit', limit: '1', seconds: '30' });
    await collect({ userId: 'live-limit', messageId: 'limit-1', ...inquiry });
    await collect({ userId: 'live-limit', messageId: 'limit-2', ...inquiry });
    await viewer.ended;
    expect(viewer.data('event').map((event) => event.messageId)).toEqual(['limit-1']);
    const short = await view({ seconds: '1' });
    await short.ended;
  });

  it('a write key sees nothing; wrong filters are told', async () => {
    const ask = async (query: string, key: string) =>
      (await fetch(`${url}/v1/events/live?${query}`, { headers: { authorization: `Bearer ${key}` } })).status;
    expect(await ask('seconds=1', keys.write)).toBe(403);
    expect(await ask('verdict=odd', keys.secret)).toBe(400);
    expect(await ask('seconds=0', keys.secret)).toBe(400);
  });
});

describe('what it costs', () => {
  it('nobody looks, or for something else: nothing is published', async () => {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const before = published;
    await collect({ userId: 'live-unseen', messageId: 'unseen-1', ...inquiry });
    await stage.untilDrained();
    expect(published).toBe(before);
    const viewer = await view({ key: 'u:somebody-else' });
    await collect({ userId: 'live-unseen', messageId: 'unseen-2', ...inquiry });
    await stage.untilDrained();
    expect(published).toBe(before);
    await collect({ userId: 'somebody-else', messageId: 'seen-1', ...inquiry });
    await viewer.until((event) => event.messageId === 'seen-1');
    await vi.waitFor(() => expect(published).toBeGreaterThan(before));
  });

  it('a reader who does not read slows nobody, and is told what was dropped', async () => {
    const { hostname, port } = new URL(url);
    const slow = connect(Number(port), hostname);
    slow.pause();
    slow.write(
      `GET /v1/events/live HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${keys.secret}\r\nconnection: close\r\n\r\n`,
    );
    const quick = await view({ key: 'u:live-burst-last' });
    const bulk = 'x'.repeat(200);
    const burst = async (round: number) => {
      const batch = Array.from({ length: 900 }, (_, index) => ({
        type: 'track',
        userId: `live-burst-${bulk}-${index}`,
        messageId: `burst-${bulk}-${round}-${index}`,
        event: `Product Viewed ${bulk.slice(0, 200)}`,
      }));
      const answer = await fetch(`${url}/v1/batch`, {
        method: 'POST',
        headers: { authorization: `Bearer ${keys.write}`, 'content-type': 'application/json' },
        body: JSON.stringify({ batch }),
      });
      expect(answer.status).toBe(200);
    };
    for (let round = 0; round < 12; round += 1) {
      await burst(round);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
    await collect({ userId: 'live-burst-last', messageId: 'last-1', ...inquiry });
    await quick.until((event) => event.messageId === 'last-1', 'event', SHOWN_WITHIN_MS);
    await stage.untilDrained();
    let text = '';
    slow.on('data', (chunk) => {
      text += chunk.toString();
    });
    slow.resume();
    const untilMs = performance.now() + 10_000;
    while (!text.includes('"by":"reader"') && performance.now() < untilMs)
      await new Promise((resolve) => setTimeout(resolve, 20));
    expect(text).toMatch(/event: dropped\r?\ndata: \{"count":\d+,"by":"reader"/);
    slow.destroy();
  });
});

describe('flywheel tail', () => {
  it('prints what happens and ends with Ctrl-C', async () => {
    const [program, ...args] = flywheelCommandLine('tail');
    const child = spawn(
      program!,
      [...args, '--key', 'u:live-tail', '--keys-file', path.join(stage.dir, 'keys.json')],
      {
        env: { PATH: process.env.PATH, FLYWHEEL_URL: url, ...stage.environment },
      },
    );
    let output = '';
    let errors = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (errors += chunk));
    const untilSaid = async (text: string) => {
      const untilMs = performance.now() + 20_000;
      while (!(output + errors).includes(text)) {
        if (performance.now() > untilMs) throw new Error(`no ${text} in ${output}${errors}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    await untilSaid('watching');
    await collect({ userId: 'live-tail', messageId: 'tail-1', ...inquiry });
    await untilSaid('Inquiry Sent');
    expect(output).toContain('applied');
    expect(output).toContain('u:live-tail');
    expect(output).not.toContain('\u001b[');
    const ended = new Promise((resolve) => child.once('close', (code) => resolve(code)));
    child.kill('SIGINT');
    expect(await ended).toBe(0);
  });
});

it('a shutdown ends the viewers in order', async () => {
  const viewer = await view({});
  const unused = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => {});
  const startedMs = performance.now();
  const ended = serve.stop();
  await viewer.ended;
  expect(performance.now() - startedMs).toBeLessThan(1_000);
  expect(await ended).toEqual({ code: 0, signal: null });
  unused.destroy();
});
