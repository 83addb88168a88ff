// The viewers of one `serve`: the order of what each is told, and what is told of a gap.
import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { LiveEvent, LiveInterest } from '../../domain/live.ts';
import { namespaceOf } from '../../platform/namespace.ts';
import type { RedisClient } from '../../platform/redis.ts';
import { createLiveHub, INTEREST_LIFE_MS, type LiveHub, VIEWERS_MAX } from '../../serve/live/hub.ts';
import type { Viewer } from '../../serve/live/viewer.ts';

/** Above the time in which the stream asks who looks. */
const READY_WITHIN_MS = 1_000;

let connection: EventEmitter & { subscribe(): Promise<void>; disconnect(): void };
/** How a connection of its own comes about. */
let subscribing: () => Promise<void>;
/** How an announcement of who looks is answered. */
let answer: () => Promise<void>;
let announced: number;
/** When the last one was made. */
let announcedMs: number;
let hub: LiveHub;
/** Monotonic. */
let nowMs: number;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
  announced = 0;
  nowMs = 0;
  answer = async () => {};
  subscribing = async () => {};
  const redis = {
    duplicate() {
      const own = new EventEmitter();
      const disconnect = () => void own.emit('close');
      connection = Object.assign(own, { subscribe: () => subscribing(), disconnect });
      return connection;
    },
    eval() {
      announced += 1;
      announcedMs = nowMs;
      return answer();
    },
  } as unknown as RedisClient;
  const log = { info: () => {}, warn: () => {}, error: () => {} };
  const clock = { nowMs: () => 0, monotonicMs: () => nowMs };
  hub = createLiveHub({ redis, namespace: namespaceOf('live-hub'), log, clock });
});

afterEach(() => {
  hub.close();
  vi.useRealTimers();
});

function open(lastEventId?: string, interest: LiveInterest = {}): Promise<Viewer> {
  return hub.open({ interest, unknown: [], limit: 100, seconds: 60, lastEventId });
}

async function pass(ms: number): Promise<void> {
  for (const endMs = nowMs + ms; nowMs < endMs; ) {
    nowMs += 1_000;
    await vi.advanceTimersByTimeAsync(1_000);
  }
}

function publish(number: number, skipped = 0, more: Partial<LiveEvent> = {}): void {
  const event = { id: `events:1:0:${number}`, key: 'u:1', person: 'u:1', source: 's', verdict: 'applied' };
  const events = [{ ...event, timeMs: 1, receivedMs: 1, watermarkMs: 1, ...more } as LiveEvent];
  connection.emit('message', 'channel', JSON.stringify({ slot: '0', skipped, events }));
}

/** Names of the frames so far, with the number of each event, and of `open` whether it was resumed. */
function told(viewer: Viewer): string[] {
  const text = String(viewer.body.read() ?? '');
  return [...text.matchAll(/(?:id: events:1:0:(\d+)\n)?event: (\w+)\ndata: (.*)/g)].map(
    ([, id, name, data]) =>
      name === 'open' ? `open ${JSON.parse(data!).resumed}` : [name, id].filter(Boolean).join(' '),
  );
}

describe('a viewer who comes back', () => {
  it('is told `open` first and each event once, whatever comes while it is let in', async () => {
    const first = await open();
    publish(1);
    let letIn = (): void => {};
    answer = () =>
      new Promise((resolve) => {
        letIn = resolve;
      });
    const opening = open('events:1:0:1');
    await vi.advanceTimersByTimeAsync(0);
    publish(2);
    letIn();
    const again = await opening;
    publish(3);
    expect(told(first)).toEqual(['open null', 'event 1', 'event 2', 'event 3']);
    expect(told(again)).toEqual(['open true', 'event 2', 'event 3']);
  });

  // Only who was there was told of it: who came back was `resumed`, and believed to have seen all.
  it('is told how many the stream left out since, and not those of before', async () => {
    await open();
    publish(1, 7);
    publish(2, 3);
    publish(3);
    publish(4, 2);
    const dropped = async (lastEventId: string) => {
      const text = String((await open(lastEventId)).body.read());
      return [...text.matchAll(/event: dropped\ndata: (.*)/g)].map(([, data]) => JSON.parse(data!).count);
    };
    expect(await dropped('events:1:0:1')).toEqual([5]);
    expect(await dropped('events:1:0:2')).toEqual([2]);
    expect(await dropped('events:1:0:4')).toEqual([]);
    expect(told(await open('events:1:0:3'))).toEqual(['open true', 'dropped', 'event 4']);
  });

  // Another viewer kept the subscription, and with it what was held of a time in which nobody looked for this one.
  it('does not go on from where the stream had forgotten what it looks for', async () => {
    await open(undefined, { source: 'other' });
    const leaving = await open(undefined, { key: 'u:1' });
    publish(1);
    leaving.body.destroy();
    await pass(8_000);
    const soon = await open('events:1:0:1', { key: 'u:1' });
    expect(told(soon)).toEqual(['open true']);
    soon.body.destroy();
    await pass(40_000);
    expect(told(await open('events:1:0:1', { key: 'u:1' }))).toEqual(['open false']);
    // Known again, but not all the time since.
    expect(told(await open('events:1:0:1', { key: 'u:1' }))).toEqual(['open false']);
    publish(2);
    expect(told(await open('events:1:0:2', { key: 'u:1' }))).toEqual(['open true']);
  });

  it('does not go on as one that looks for something else', async () => {
    await open(undefined, { key: 'u:1' });
    publish(1);
    nowMs += 1;
    expect(told(await open('events:1:0:1', { source: 's' }))).toEqual(['open false']);
  });

  it('counts before it is let in: no more than the most come at once', async () => {
    const all = await Promise.allSettled(Array.from({ length: VIEWERS_MAX + 1 }, () => open()));
    expect(all.filter(({ status }) => status === 'rejected')).toHaveLength(1);
  });

  it('that is let in behind the close is ended', async () => {
    const opening = open();
    hub.close();
    const viewer = await opening;
    viewer.body.resume();
    await new Promise((resolve) => viewer.body.once('end', resolve));
  });
});

// Its connection lives as long as its kernel answers, and with it lived its place and the stream's work for it.
describe('a viewer who does not read', () => {
  const asking = { interest: {}, unknown: [], lastEventId: undefined };
  const large = { event: 'x'.repeat(1_000) };

  it.each([
    ['its time', { limit: 1_000_000, seconds: 1 }],
    ['as many events as it asked for', { limit: 500, seconds: 3_600 }],
  ])('gives its place up when %s is over', async (_name, ends) => {
    const still = await Promise.all(
      Array.from({ length: VIEWERS_MAX }, () => hub.open({ ...asking, ...ends })),
    );
    for (const viewer of still) viewer.body.read(0);
    for (let number = 0; number < 500; number += 1) publish(number, 0, large);
    await pass(5_000);
    await expect(open()).rejects.toMatchObject({ problem: { code: 'too_many_viewers' } });
    await pass(10_000);
    expect(still.every(({ body }) => body.destroyed)).toBe(true);
    expect(told(await open())).toEqual(['open null']);
  });

  it('and then goes on gets all that was queued, however slowly', async () => {
    const slow = await hub.open({ ...asking, limit: 500, seconds: 3_600 });
    for (let number = 0; number < 500; number += 1) publish(number, 0, large);
    let text = '';
    while (!slow.body.readableEnded) {
      await pass(8_000);
      text += String(slow.body.read() ?? '');
    }
    expect(text.match(/^id: /gm)).toHaveLength(500);
  });

  // The body asks for nothing more once it holds the rest: from then on it was cut off, whatever it took.
  it('and then goes on gets the end too, however little it takes at a time', async () => {
    const slow = await hub.open({ ...asking, limit: 20, seconds: 3_600 });
    for (let number = 0; number < 20; number += 1) publish(number, 0, large);
    let text = '';
    while (!slow.body.readableEnded && !slow.body.destroyed) {
      text += String(slow.body.read(Math.min(1_000, slow.body.readableLength)) ?? '');
      await pass(8_000);
    }
    expect(text.match(/^id: /gm)).toHaveLength(20);
  });

  it('and then stops is cut off, though it had taken some', async () => {
    const slow = await hub.open({ ...asking, limit: 20, seconds: 3_600 });
    for (let number = 0; number < 20; number += 1) publish(number, 0, large);
    slow.body.read(1_000);
    await pass(8_000);
    slow.body.read(1_000);
    await pass(11_000);
    expect(slow.body.destroyed).toBe(false);
    await pass(10_000);
    expect(slow.body.destroyed).toBe(true);
  });
});

describe('a connection to Redis that comes about late', () => {
  /** One whose viewer was gone before it listened, and was let go meanwhile. */
  async function late() {
    let listens = (): void => {};
    let fails = (_error: Error): void => {};
    subscribing = () =>
      new Promise((resolve, reject) => {
        listens = resolve;
        fails = reject;
      });
    answer = () => Promise.reject(new Error('away'));
    await expect(open()).rejects.toMatchObject({ problem: { status: 503 } });
    await pass(25_000);
    subscribing = async () => {};
    answer = async () => {};
    return { listens, fails };
  }

  // It was taken for one that had broken, and nobody was told `ready` any more.
  it('and is let go before is no gap', async () => {
    const { listens } = await late();
    listens();
    await pass(1_000);
    const viewer = await open();
    await pass(1_000);
    expect(told(viewer)).toEqual(['open null', 'ready']);
  });

  it.each(['listens', 'fails'] as const)(
    'does not take the place of the one that came for it: it %s',
    async (outcome) => {
      const ends = await late();
      const viewer = await open();
      await pass(1_000);
      ends[outcome](new Error('away'));
      await pass(1_000);
      expect(told(viewer)).toEqual(['open null', 'ready']);
      connection.emit('close');
      expect(told(viewer)).toEqual(['dropped']);
    },
  );

  it('is waited for while its viewer does', async () => {
    let listens = (): void => {};
    subscribing = () => new Promise((resolve) => (listens = resolve));
    const opening = open();
    await pass(25_000);
    // Else it would be told `ready`, and shown nothing.
    expect(nowMs - announcedMs).toBeLessThanOrEqual(INTEREST_LIFE_MS / 2);
    listens();
    const viewer = await opening;
    await pass(1_000);
    publish(1);
    expect(told(viewer)).toEqual(['open null', 'ready', 'event 1']);
    connection.emit('close');
    expect(told(viewer)).toEqual(['dropped']);
  });
});

describe('a connection to Redis that breaks', () => {
  it('is told at once, and `ready` when the stream knows again who looks', async () => {
    const viewer = await open();
    await vi.advanceTimersByTimeAsync(READY_WITHIN_MS);
    publish(1);
    connection.emit('close');
    expect(told(viewer)).toEqual(['open null', 'ready', 'event 1', 'dropped']);
    const before = announced;
    connection.emit('ready');
    expect(announced).toBe(before + 1);
    expect(told(viewer)).toEqual([]);
    await vi.advanceTimersByTimeAsync(READY_WITHIN_MS);
    expect(told(viewer)).toEqual(['ready']);
  });

  /** One that was ready, whose connection broke and came back to a Redis that does not hear who looks. */
  async function openUnheard() {
    const viewer = await open();
    await vi.advanceTimersByTimeAsync(READY_WITHIN_MS);
    connection.emit('close');
    answer = () => Promise.reject(new Error('away'));
    connection.emit('ready');
    await vi.advanceTimersByTimeAsync(READY_WITHIN_MS);
    return viewer;
  }

  it('is not ready before Redis has heard who looks', async () => {
    const viewer = await openUnheard();
    expect(told(viewer)).toEqual(['open null', 'ready', 'dropped']);
    answer = async () => {};
    await vi.advanceTimersByTimeAsync(6_000);
    expect(told(viewer)).toEqual(['ready']);
  });

  it('is told once, however often it is tried to connect in vain', async () => {
    const viewer = await open();
    for (let attempt = 0; attempt < 3; attempt += 1) connection.emit('close');
    expect(told(viewer)).toEqual(['open null', 'dropped']);
    connection.emit('ready');
    await vi.advanceTimersByTimeAsync(READY_WITHIN_MS);
    connection.emit('close');
    expect(told(viewer)).toEqual(['ready', 'dropped']);
  });

  // `ready` was said 750 ms after the opening, whatever had happened to the subscription.
  it('just after the opening: there is no `ready` before it is back, and then one', async () => {
    const viewer = await open();
    connection.emit('close');
    await vi.advanceTimersByTimeAsync(READY_WITHIN_MS);
    expect(told(viewer)).toEqual(['open null', 'dropped']);
    connection.emit('ready');
    await vi.advanceTimersByTimeAsync(READY_WITHIN_MS);
    expect(told(viewer)).toEqual(['ready']);
  });

  it('and is back before the first `ready`: it is said once, when the stream knows', async () => {
    const viewer = await open();
    connection.emit('close');
    await vi.advanceTimersByTimeAsync(700);
    connection.emit('ready');
    await vi.advanceTimersByTimeAsync(700);
    expect(told(viewer)).toEqual(['open null', 'dropped']);
    await vi.advanceTimersByTimeAsync(READY_WITHIN_MS);
    expect(told(viewer)).toEqual(['ready']);
  });

  // Redis takes who looks by another connection, which works.
  it('is told to who comes while it is away, and they get no `ready` before the others', async () => {
    const first = await open();
    await vi.advanceTimersByTimeAsync(READY_WITHIN_MS);
    connection.emit('close');
    const second = await open();
    await vi.advanceTimersByTimeAsync(READY_WITHIN_MS);
    expect(told(first)).toEqual(['open null', 'ready', 'dropped']);
    expect(told(second)).toEqual(['open null', 'dropped']);
    connection.emit('ready');
    await vi.advanceTimersByTimeAsync(READY_WITHIN_MS);
    expect([told(first), told(second)]).toEqual([['ready'], ['ready']]);
  });

  it('again before the stream was told who looks: the `ready` that was owed is not said in the new gap', async () => {
    const viewer = await openUnheard();
    answer = async () => {};
    connection.emit('close');
    await vi.advanceTimersByTimeAsync(12_000);
    expect(told(viewer)).toEqual(['open null', 'ready', 'dropped', 'dropped']);
    connection.emit('ready');
    await vi.advanceTimersByTimeAsync(READY_WITHIN_MS);
    expect(told(viewer)).toEqual(['ready']);
  });

  it('leaves a gap: what was held before it is not gone on from', async () => {
    await open();
    publish(1);
    connection.emit('close');
    connection.emit('ready');
    publish(3);
    expect(told(await open('events:1:0:1'))).toEqual(['open false']);
    expect(told(await open('events:1:0:3'))).toEqual(['open true']);
  });
});
