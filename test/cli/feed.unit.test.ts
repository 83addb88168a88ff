// The feeder against a server of its own: order in every lane, waiting when told to, going on after a kill.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BATCH_ITEMS_MAX, LANE_ITEMS_MAX, nextBatch } from '../../cli/feed/batch.ts';
import { feed } from '../../cli/feed/feed.ts';
import { createFeedLane } from '../../cli/feed/lane.ts';
import { FeedError, type Target } from '../../cli/feed/post.ts';
import { type FeedReport, newReport, readReport, reportFile, writeReport } from '../../cli/feed/report.ts';
import { runFeed } from '../../cli/feed/run.ts';
import { type Source, simulatedSource } from '../../cli/feed/sources.ts';
import { readConfig } from '../../platform/config.ts';
import { buyerPartition } from '../../platform/keys.ts';
import type { FeedItem, FeedMessage } from '../../simulate/feed.ts';

const endMs = Date.UTC(2026, 4, 20);

function message(number: number, key = `u:${number % 50}`): FeedMessage {
  const at = new Date(endMs + number).toISOString();
  return {
    to: 'events',
    key,
    arrivalMs: endMs + number,
    message: {
      type: 'track',
      messageId: `m${number}`,
      userId: key.slice(2),
      event: 'E',
      timestamp: at,
      receivedAt: at,
    },
  };
}

interface Received {
  readonly path: string;
  readonly authorization: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever was sent.
  readonly body: any;
}

interface Reply {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body: unknown;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text;
}

/** A marketplace's spend alone is 300 requests in one lane. */
const TIMEOUT_MS = 120_000;

describe('the feeder', { timeout: TIMEOUT_MS }, () => {
  let server: Server;
  let dir: string;
  let url: string;
  let received: Received[];
  /** What the server says; null hangs up. */
  let reply: (received: Received) => Reply | null;
  let open: Map<number, number>;
  let openMost: number;

  beforeEach(async () => {
    dir = await mkdtemp(path.join(tmpdir(), 'feed-'));
    received = [];
    open = new Map();
    openMost = 0;
    reply = ({ path: route, body }) => {
      if (route === '/readyz') return { status: 200, body: { namespace: 'default' } };
      const given = body.batch ?? body.rows ?? body.notices ?? [];
      return { status: 200, body: { success: true, accepted: given.length, rejected: [] } };
    };
    server = createServer((request, response) => {
      void (async () => {
        const text = await bodyOf(request);
        const body: unknown = text === '' ? null : JSON.parse(text);
        const one: Received = { path: request.url!, authorization: request.headers.authorization, body };
        const [first] = (body as { batch?: { userId: string }[] } | null)?.batch ?? [];
        const partition = first === undefined ? -1 : buyerPartition(`u:${first.userId}`);
        open.set(partition, (open.get(partition) ?? 0) + 1);
        openMost = Math.max(openMost, open.get(partition)!);
        await new Promise((resolve) => setTimeout(resolve, 2));
        const said = reply(one);
        open.set(partition, open.get(partition)! - 1);
        if (said === null) return request.socket.destroy();
        received.push(one);
        response.writeHead(said.status, { 'content-type': 'application/json', ...said.headers });
        return response.end(JSON.stringify(said.body));
      })();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await rm(dir, { recursive: true });
  });

  const report = (): FeedReport =>
    newReport({
      id: 'x',
      namespace: 'default',
      format: 'test',
      file: null,
      logId: null,
      startedAt: new Date(0).toISOString(),
      seed: null,
      endMs: null,
      untilMs: null,
    });
  const sourceOf = (items: readonly FeedItem[]): Source => ({ items, definitions: [], shareOf: () => 0 });
  const send = async (
    items: readonly FeedItem[],
    into = report(),
    extra: { acknowledgedFile?: string; speed?: number } = {},
  ): Promise<FeedReport> => {
    const onRetry = (): void => {
      into.retries += 1;
    };
    const target: Target = { url, key: 'sk', signal: new AbortController().signal, onRetry };
    const { speed = 'max', ...rest } = extra;
    await feed({
      source: sourceOf(items),
      target,
      speed,
      untilRoom: async () => {},
      report: into,
      onProgress: () => {},
      onAnswer: () => {},
      ...rest,
    });
    return into;
  };
  /** Message ids by partition, in the order of arrival at the server. */
  const arrived = (): Map<number, string[]> => {
    const lanes = new Map<number, string[]>();
    for (const { body } of received) {
      for (const { messageId, userId } of body?.batch ?? []) {
        const partition = buyerPartition(`u:${userId}`);
        lanes.set(partition, [...(lanes.get(partition) ?? []), messageId]);
      }
    }
    return lanes;
  };
  const inOrder = (items: readonly FeedMessage[]): Map<number, string[]> => {
    const lanes = new Map<number, string[]>();
    for (const { key, message: said } of items) {
      const partition = buyerPartition(key);
      lanes.set(partition, [...(lanes.get(partition) ?? []), said.messageId as string]);
    }
    return lanes;
  };
  const many = Array.from({ length: 12_000 }, (_, number) => message(number));

  it('keeps the order of every partition, one request at a time, over refusals and broken connections', async () => {
    let turn = 0;
    const well = reply;
    reply = (one) => {
      turn += 1;
      if (turn % 5 === 0) return { status: 503, headers: { 'retry-after': '0' }, body: {} };
      if (turn % 7 === 0) return null;
      if (turn % 11 === 0) return { status: 429, body: { detail: 'busy' } };
      return well(one);
    };
    const counted = await send(many);
    const accepted = received.filter(({ body }) => body.batch !== undefined);
    expect(accepted.every(({ authorization }) => authorization === 'Bearer sk')).toBe(true);
    expect(counted.events).toMatchObject({ sent: 12_000, accepted: 12_000, rejected: 0 });
    expect(counted.retries).toBeGreaterThan(3);
    expect(openMost).toBe(1);
    // what was refused arrives again in its place: without the refused ones, the order is that of the source
    const firsts = new Map([...arrived()].map(([lane, ids]) => [lane, [...new Set(ids)]]));
    expect(firsts).toEqual(inOrder(many));
  });

  it('counts what is turned away by its reason, and knows the ids that are in the log', async () => {
    reply = ({ body }) => {
      const rejected = body.batch.flatMap(({ messageId }: { messageId: string }, index: number) =>
        messageId.endsWith('7') ? [{ index, reason: 'invalid', detail: 'no' }] : [],
      );
      const accepted = body.batch.length - rejected.length;
      return { status: accepted === 0 ? 400 : 200, body: { accepted, rejected } };
    };
    const acknowledgedFile = path.join(dir, 'acknowledged');
    const counted = await send(many.slice(0, 1_000), report(), { acknowledgedFile });
    expect(counted.events).toMatchObject({
      sent: 1_000,
      accepted: 900,
      rejected: 100,
      byKind: { track: 900 },
    });
    expect(counted.rejectedByReason).toEqual({ invalid: 100 });
    expect(counted.atLeast).toMatchObject({ events: 900, rejects: 100 });
    const ids = (await readFile(acknowledgedFile, 'utf8')).trim().split('\n');
    expect(ids).toHaveLength(900);
    expect(new Set(ids).size).toBe(900);
    expect(ids.some((id) => id.endsWith('7'))).toBe(false);
  });

  it('stops at what it cannot go on after, and says why', async () => {
    reply = () => ({ status: 401, body: { detail: 'The key is not known here.' } });
    await expect(send(many.slice(0, 600))).rejects.toThrow(
      '/v1/batch answered 401: The key is not known here.',
    );
  });

  it('goes on where a killed one was: what its report counts is not sent again', async () => {
    const first = await send(many.slice(0, 5_000));
    received = [];
    const second = await send(many, first);
    expect(second.events.sent).toBe(12_000);
    expect([...arrived().values()].flat()).toHaveLength(7_000);
    expect(arrived()).toEqual(inOrder(many.slice(5_000)));
  });

  it('keeps to the pace that it is given', async () => {
    const items = Array.from({ length: 30 }, (_, index) => message(index * 20, 'u:one'));
    const startedAt = performance.now();
    await send(items, report(), { speed: 2 });
    const tookMs = performance.now() - startedAt;
    expect(tookMs).toBeGreaterThan(275);
    expect(received.length).toBeGreaterThan(3);
  });

  const configOf = () => readConfig({ FLYWHEEL_DIR: dir });
  const simulate = (extra: Partial<Parameters<typeof runFeed>[0]> = {}) =>
    runFeed({ config: configOf(), url, secretKey: 'sk', format: 'simulate', buyers: 60, endMs, ...extra });

  it('feeds a marketplace whole, ends it with the clock, and does not feed it twice', async () => {
    const done = await simulate();
    expect(done.state).toBe('finished');
    const source = [...(simulatedSource('flywheel', endMs, 60).items as Iterable<FeedItem>)];
    expect(done.events.sent + done.spend.sent).toBe(source.length);
    expect(done.atLeast.spend).toBe(done.spend.sent);
    expect(received.at(-1)).toMatchObject({ path: '/v1/clock', body: { time: endMs } });
    const routes = new Set(received.map((one) => one.path));
    expect(routes).toEqual(new Set(['/readyz', '/v1/batch', '/v1/spend', '/v1/notices', '/v1/clock']));
    expect(await readReport(reportFile(dir, done.id))).toEqual(done);
    received = [];
    expect(await simulate({ endMs: endMs + 5_000 })).toEqual(done);
    expect(received).toEqual([]);
    // into another log it is another feed
    expect((await simulate({ logId: 'new', buyers: 20 })).logId).toBe('new');
    expect(received.length).toBeGreaterThan(3);
  });

  it('keeps the end of a marketplace that was begun before', async () => {
    const begun = await simulate({ buyers: 20 });
    const running: FeedReport = { ...begun, state: 'running', finishedAt: null };
    await writeReport(reportFile(dir, begun.id), running);
    received = [];
    const done = await simulate({ buyers: 20, endMs: endMs + 3_600_000 });
    expect(done).toMatchObject({ state: 'finished', endMs, untilMs: endMs });
    expect(received.map((one) => one.path)).toEqual(['/readyz', '/v1/clock']);
  });

  // A feed was known by its file's name: what another file of that name had sent was left out of the next one.
  describe('of two files of one name', () => {
    const rows = 3_000;
    const csv = (first: number): string =>
      [
        'customer_id,date,n_cds,amount',
        ...Array.from({ length: rows }, (_, row) => `${first + row},1997-01-01,1,9.99`),
      ].join('\n');
    const written = async (month: string, first: number): Promise<string> => {
      await mkdir(path.join(dir, month));
      const file = path.join(dir, month, 'events.csv');
      await writeFile(file, csv(first));
      return file;
    };
    const replay = (file: string, extra: Partial<Parameters<typeof runFeed>[0]> = {}) =>
      runFeed({ config: configOf(), url, secretKey: 'sk', format: 'cdnow', file, ...extra });
    const sent = (): { messageId: string; userId: string }[] =>
      received.flatMap(({ body }) => body?.batch ?? []);
    /** A server that turns the feed away after so many requests. */
    const endingAfter = (requests: number): void => {
      const well = reply;
      reply = (one) => (received.length > requests ? { status: 401, body: { detail: 'enough' } } : well(one));
    };

    it('feeds both whole, the first finished or cut off, by ids of their own', async () => {
      const [october, november] = [await written('october', 1), await written('november', 10_001)];
      const well = reply;
      endingAfter(4);
      await expect(replay(october)).rejects.toThrow('enough');
      reply = well;
      const second = await replay(november);
      const first = await replay(october);
      for (const { state, file, events } of [first, second])
        expect({ state, file, accepted: events.accepted }).toEqual({
          state: 'finished',
          file: 'events.csv',
          accepted: rows,
        });
      expect(new Set(sent().map(({ userId }) => userId)).size).toBe(2 * rows);
      received = [];
      expect([await replay(october), await replay(november)]).toEqual([first, second]);
      expect(received).toEqual([]);
    });

    it('gives rows of another content other ids, and the same content the same', async () => {
      const [october, november] = [await written('october', 1), await written('november', 10_001)];
      await replay(october);
      const first = sent().map(({ messageId }) => messageId);
      await replay(november);
      expect(new Set(sent().map(({ messageId }) => messageId)).size).toBe(2 * rows);
      received = [];
      await replay(await written('copy', 1), { again: true });
      expect(
        sent()
          .map(({ messageId }) => messageId)
          .sort(),
      ).toEqual(first.sort());
    });

    it('lets a finished feed of before rest, and does not go on with one that names no content', async () => {
      const october = await written('october', 1);
      const { buyers: _b, date: _d, currency: _c, content: _, ...kept } = await replay(october);
      const older = { ...kept, id: 'default-cdnow-events.csv' };
      await rm(reportFile(dir, kept.id));
      await writeReport(reportFile(dir, older.id), older);
      received = [];
      expect(await replay(october)).toEqual(older);
      expect(received).toEqual([]);
      await writeReport(reportFile(dir, older.id), { ...older, state: 'running', finishedAt: null });
      await expect(replay(october)).rejects.toThrow(/unfinished feed by a version that did not keep/);
      expect(received).toEqual([]);
      expect((await replay(october, { again: true })).events.accepted).toBe(rows);
    });
  });

  // Begun with 60 buyers and gone on with 90, it sent neither marketplace whole and said that it had finished.
  it('goes on with what it began with, and refuses anything else', async () => {
    const begun = await simulate();
    const file = reportFile(dir, begun.id);
    await writeReport(file, { ...begun, state: 'running', finishedAt: null });
    received = [];
    const other = simulate({ buyers: 90, seed: 'other', untilMs: endMs + 1 });
    await expect(other).rejects.toMatchObject({ code: 'FEED_OTHER_SOURCE' });
    await expect(other).rejects.toThrow(
      /--seed was flywheel and is other, --buyers was 60 and is 90, --until was .* --again/,
    );
    expect(received).toEqual([]);
    // what is not said is as it was begun
    expect(await simulate({ buyers: undefined })).toMatchObject({ state: 'finished', buyers: 60 });
    expect(received.map((one) => one.path)).toEqual(['/readyz', '/v1/clock']);
    await expect(simulate({ buyers: 90 })).rejects.toThrow(/finished/);
    // a report of before does not say how many there were
    const { buyers: _, ...older } = begun;
    await writeReport(file, { ...older, state: 'running', finishedAt: null });
    expect((await simulate()).state).toBe('finished');
  });

  it('refuses a serve of another namespace, and what is no serve at all', async () => {
    const config = { ...configOf(), namespace: 'rees46' };
    const wrong = simulate({ config });
    await expect(wrong).rejects.toThrow(FeedError);
    await expect(wrong).rejects.toThrow(/works on the namespace default, this feed is for rees46/);
    reply = () => ({ status: 404, body: {} });
    await expect(simulate()).rejects.toThrow(/is no flywheel serve/);
    const unknown = simulate({ format: 'elsewhere', file: 'x.csv' });
    await expect(unknown).rejects.toThrow(FeedError);
  });

  it('ends at once when it is told to', async () => {
    const stopping = new AbortController();
    reply = ({ path: route }) => {
      if (route !== '/readyz') stopping.abort();
      return { status: 200, body: { namespace: 'default' } };
    };
    await expect(simulate({ signal: stopping.signal, buyers: 2_000 })).rejects.toThrow(/abort/i);
    expect(received.length).toBeLessThan(40);
  });
});

describe('a batch', () => {
  it('holds one route, so many items and about so many bytes', () => {
    const messages = Array.from({ length: 900 }, (_, number) => message(number));
    expect(nextBatch(messages).items).toHaveLength(BATCH_ITEMS_MAX);
    const large = messages.map((one) => ({
      ...one,
      message: { ...one.message, properties: { text: 'x'.repeat(9_000) } },
    }));
    const batch = nextBatch(large);
    expect(batch.items.length).toBeGreaterThan(40);
    expect(Buffer.byteLength(batch.body)).toBeLessThan(520_000);
    expect(nextBatch([{ ...large[0]!, message: { text: 'x'.repeat(600_000) } }]).items).toHaveLength(1);
  });
});

describe('a lane', () => {
  it('takes no more than it may hold while a request is under way', async () => {
    let release: () => void = () => {};
    let sent = 0;
    const lane = createFeedLane({
      fill: true,
      send: async (batch) => {
        await new Promise<void>((resolve) => {
          release = resolve;
        });
        sent += batch.items.length;
      },
    });
    let pushed = 0;
    const pushing = (async () => {
      for (; pushed < 5_000; pushed += 1) await lane.push(message(pushed));
    })();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(pushed).toBeLessThanOrEqual(LANE_ITEMS_MAX + BATCH_ITEMS_MAX);
    const releasing = setInterval(() => release(), 1);
    await pushing;
    await lane.end();
    clearInterval(releasing);
    expect(sent).toBe(5_000);
  });
});
