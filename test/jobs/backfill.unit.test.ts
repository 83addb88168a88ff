// One funnel's past must not hold up another's, whatever stands still or is refused; and nothing is written again for it.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { funnel, readDocument, settings } from '../../domain/definition.ts';
import { type BackfillPorts, keepBackfilled } from '../../jobs/backfill.ts';
import type { BackfillProgress } from '../../platform/backfill-progress.ts';
import { namespaceOf } from '../../platform/namespace.ts';
import { PlatformError } from '../../platform/platform-error.ts';

const START_MS = Date.UTC(2026, 0, 1);
const PARTITIONS = 12;
const END = 10;
const keys = ['u:a', 'u:b', 'u:big', 'u:c'];

beforeEach(() => void vi.useFakeTimers({ now: START_MS }));
afterEach(() => void vi.useRealTimers());

/** Funnels `one` and `two`, both with a past of the same four buyers. */
function world() {
  const stored = new Map<string, string>();
  const written: string[] = [];
  const warnings: string[] = [];
  const offsets = new Array<number>(PARTITIONS).fill(END);
  /** Whether the events of before are still on their way to ClickHouse, which has the funnel's record. */
  const undelivered = { isLeft: false };
  const refuses = new Set<string>();
  /** Whether ClickHouse takes questions and answers none. */
  const silent = { isSo: false };
  const funnelOf = (id: string) => ({
    ...{ id, revision: 1, hash: '' },
    document: readDocument('funnel', { name: id, steps: ['view', 'order'], windowMs: 1_000 }),
  });
  const funnels = ['one', 'two'].map(funnelOf);
  let told: (change: { type: string }) => void = () => {};
  /** What happens when the past is read or written next, or a buyer's rows are looked at. */
  const next: Record<'read' | 'write' | 'look', (value: string) => void> = {
    read() {},
    write() {},
    look() {},
  };
  const row = {
    offset: 1,
    timeMs: START_MS,
    appendMs: START_MS,
    messageId: 'm',
    behaviour: 'view',
    country: '',
    industry: '',
    channel: '',
  };
  const ports = {
    namespace: namespaceOf('x'),
    generation: 1,
    redis: {
      hgetall: async () => Object.fromEntries(stored),
      async hset(_key: string, field: string, value: string) {
        next.write(value);
        stored.set(field, value);
      },
      hkeys: async () => (undelivered.isLeft ? ['0'] : []),
      hget: async (key: string, field: string) =>
        field === 'seq' ? '0' : String(offsets[Number(/\.(\d+)\./.exec(key)![1])]),
    },
    admin: { watermarks: async () => offsets.map(() => ({ low: 0, high: END })) },
    definitions: {
      find: (type: string, id: string) =>
        type === 'funnel' ? funnels.find((each) => each.id === id) : undefined,
      list: () => [...funnels],
      onChange(listener: typeof told) {
        told = listener;
        return () => {};
      },
    },
    producer: {
      async sendBatch(messages: readonly { key: string; value: string }[]) {
        const taken = messages.filter(({ key }) => !refuses.has(key));
        written.push(...taken.map(({ key, value }) => `${JSON.parse(value).funnel} ${key}`));
        if (taken.length < messages.length) throw new PlatformError('KAFKA_TOO_LARGE', 'it is too large');
        return [];
      },
    },
    reader: {
      bounds: async () => new Array(PARTITIONS).fill(100),
      any: async () => !undelivered.isLeft,
      total: async () => keys.length,
      keys: async (_bounds: unknown, after: string) => keys.filter((key) => key > after).slice(0, 3),
      async pasts(_bounds: unknown, asked: readonly string[], signal: AbortSignal) {
        next.read('');
        if (silent.isSo)
          await new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason));
          });
        const found = asked.map((key) => ({
          key,
          get rows() {
            next.look(key);
            return [row];
          },
          changes: [],
        }));
        return { keys: found, visitors: [], merged: new Set() };
      },
    },
    metrics: { backfilled() {}, showBackfills() {} },
    failpoint: () => {},
    nowMs: () => Date.now(),
    warn: (message: string) => void warnings.push(message),
  } as unknown as BackfillPorts;
  const progressOf = (funnel: string): BackfillProgress => JSON.parse(stored.get(`${funnel}@1`)!);
  const stop = new AbortController();
  const over = keepBackfilled(ports, stop.signal);
  const end = async (): Promise<void> => {
    stop.abort();
    await over;
  };
  const add = (id: string): void => {
    funnels.push(funnelOf(id));
    told({ type: 'funnel' });
  };
  return { written, warnings, offsets, undelivered, silent, refuses, funnels, next, add, progressOf, end };
}

const recordsOf = (funnel: string, some = keys): string[] => some.map((key) => `${funnel} ${key}`);

it('a partition that is paused once a past is written holds up no other funnel, and the past is not written again', async () => {
  const { written, offsets, progressOf, end } = world();
  offsets[3] = END - 5;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(written.sort()).toEqual([...recordsOf('one'), ...recordsOf('two')]);
  for (const funnel of ['one', 'two']) {
    const detail = expect.stringContaining('partition 3 has not applied the records of its past yet');
    expect(progressOf(funnel)).toMatchObject({ status: 'waiting', keysDone: 4, records: 4, detail });
  }
  offsets[3] = END;
  await vi.advanceTimersByTimeAsync(5_000);
  for (const funnel of ['one', 'two'])
    expect(progressOf(funnel)).toMatchObject({ status: 'done', detail: '' });
  expect(written).toHaveLength(8);
  await end();
});

// It was taken for nobody's, and never computed.
it('a past whose events come to ClickHouse behind the funnel is waited for', async () => {
  const { written, undelivered, progressOf, end } = world();
  undelivered.isLeft = true;
  await vi.advanceTimersByTimeAsync(60_000);
  for (const funnel of ['one', 'two']) expect(progressOf(funnel)).toMatchObject({ status: 'waiting' });
  undelivered.isLeft = false;
  await vi.advanceTimersByTimeAsync(30_000);
  for (const funnel of ['one', 'two'])
    expect(progressOf(funnel)).toMatchObject({ status: 'done', records: 4 });
  expect(written).toHaveLength(8);
  await end();
});

it('a record that Kafka refuses holds up no other; it is said, and tried again by itself until it is taken', async () => {
  const { written, warnings, refuses, progressOf, end } = world();
  refuses.add('u:big');
  const others = keys.filter((key) => key !== 'u:big');
  await vi.advanceTimersByTimeAsync(150_000);
  expect(written.sort()).toEqual([...recordsOf('one', others), ...recordsOf('two', others)]);
  for (const funnel of ['one', 'two']) {
    const detail = 'Kafka refuses the record of u:big; tried again every 60 s, the others are written';
    expect(progressOf(funnel)).toMatchObject({ status: 'failed', keysDone: 4, records: 3, detail });
  }
  // At first, and twice in two and a half minutes.
  expect(warnings.filter((text) => text.includes('u:big in funnel one'))).toHaveLength(3);
  refuses.clear();
  await vi.advanceTimersByTimeAsync(65_000);
  for (const funnel of ['one', 'two'])
    expect(progressOf(funnel)).toMatchObject({ status: 'done', records: 4, refused: [], detail: '' });
  expect(written).toHaveLength(8);
  await end();
});

// It woke nobody up, and waited for the look that is taken each minute.
it('a funnel that comes while others are computed has its turn at once', async () => {
  const { next, add, progressOf, end } = world();
  next.read = () => {
    next.read = () => {};
    add('three');
  };
  await vi.advanceTimersByTimeAsync(5_000);
  for (const funnel of ['one', 'two', 'three']) expect(progressOf(funnel)).toMatchObject({ status: 'done' });
  await end();
});

// It ended the turn of all jobs.
it('a Redis that does not take that a funnel is stopped ends nothing, and is told again', async () => {
  const { offsets, warnings, funnels, next, progressOf, end } = world();
  offsets[3] = END - 5;
  await vi.advanceTimersByTimeAsync(60_000);
  funnels.shift();
  next.write = (value) => {
    if (!value.includes('stopped')) return;
    next.write = () => {};
    throw new Error('Redis is away');
  };
  await vi.advanceTimersByTimeAsync(10_000);
  expect(warnings).toEqual([expect.stringContaining('funnel one@1 is stopped cannot be said')]);
  expect(progressOf('one')).toMatchObject({ status: 'stopped' });
  await end();
});

it('what a visitor’s owner sends on of the longest past fits into a message of `events` as it is', () => {
  const most = 20_000;
  const longest = 'requestedAQuotationForASample123';
  const takes = (maxBehavioursPerBuyer: number) => settings.safeParse({ maxBehavioursPerBuyer }).success;
  expect([takes(most), takes(most + 1)]).toEqual([true, false]);
  const names = (name: string) => funnel.safeParse({ name: '', steps: [name, 'order'], windowMs: 1 }).success;
  expect([names(longest), names(`${longest}4`)]).toEqual([true, false]);
  const behaviours = Array.from({ length: most }, () => [START_MS, longest]);
  // Beside them stand three keys, a link and numbers.
  expect(Buffer.byteLength(JSON.stringify(behaviours))).toBeLessThan(1_048_576 - 16_384);
});

it('between two buyers the loop has its turn: what keeps jobs the leader does not wait for a whole piece', async () => {
  const { next, end } = world();
  const order: string[] = [];
  next.look = (key) => {
    order.push(key);
    setImmediate(() => order.push('turn'));
  };
  await vi.advanceTimersByTimeAsync(1_000);
  expect(order.slice(0, 6)).toEqual(['u:a', 'turn', 'u:b', 'turn', 'u:big', 'turn']);
  await end();
});

// For a minute no other process could lead, and no webhook was sent.
it('a turn that ends waits for no ClickHouse that does not answer, and calls nothing failed that it has called off', async () => {
  const { silent, warnings, progressOf, end } = world();
  silent.isSo = true;
  await vi.advanceTimersByTimeAsync(5_000);
  expect(progressOf('one')).toMatchObject({ status: 'running', keysDone: 0 });
  let ended = false;
  void end().then(() => {
    ended = true;
  });
  await vi.advanceTimersByTimeAsync(0);
  expect(ended).toBe(true);
  expect([progressOf('one').status, warnings]).toEqual(['running', []]);
});
