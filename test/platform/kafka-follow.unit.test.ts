// Who reads for as long as its process lives and has stopped: when that is told, and where it is opened again.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type FollowOptions, followPartition } from '../../platform/kafka-follow.ts';
import type { LogRecord, ReadOptions } from '../../platform/kafka-read.ts';

const LOOK_MS = 10_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const recordsAt = (...offsets: number[]) => offsets.map((offset) => ({ offset }) as LogRecord);

/** A log whose readers give what they are told to, and nothing else. */
function logOf(from: number) {
  const ending = new AbortController();
  const openings: number[] = [];
  const told: (string | null)[] = [];
  const got: number[] = [];
  const state = { end: from, asked: 0, isAway: false, closed: 0, refusesOpening: false };
  let fail: (error: Error) => void = () => {};
  let give: (records: LogRecord[]) => void = () => {};
  let reach: (offset: number) => void = () => {};
  async function* read({ from: opened, signal, onEnd }: ReadOptions) {
    openings.push(opened);
    if (state.refusesOpening) throw new Error('no Kafka');
    reach = (offset) => onEnd?.(offset);
    for (;;) {
      const records = await new Promise<LogRecord[] | null>((resolve, reject) => {
        give = resolve;
        fail = reject;
        if (signal?.aborted) resolve(null);
        signal?.addEventListener('abort', () => resolve(null));
      });
      if (records === null) return;
      yield records;
    }
  }
  const options: FollowOptions = {
    ...{ brokers: '', topic: 'deliveries', partition: 0, from, signal: ending.signal, read },
    onStall: (message) => void told.push(message),
    openAdmin: () => ({
      async readableEnd() {
        state.asked += 1;
        if (state.isAway) throw new Error('no Kafka');
        return state.end;
      },
      async close() {
        state.closed += 1;
      },
    }),
  };
  return {
    ...{ options, state, openings, told, got },
    give: (...offsets: number[]) => give(recordsAt(...offsets)),
    reach: (offset: number) => reach(offset),
    fail: () => fail(new Error('broken off')),
    async end() {
      ending.abort();
      await vi.advanceTimersByTimeAsync(0);
    },
  };
}

async function follow(log: ReturnType<typeof logOf>): Promise<void> {
  for await (const batch of followPartition(log.options)) log.got.push(...batch.map(({ offset }) => offset));
}

const looks = (count: number) => vi.advanceTimersByTimeAsync(count * LOOK_MS);

it('is told at the second look that finds the log ahead, and opened again where it stood; read on, that is told too', async () => {
  const log = logOf(5);
  const followed = follow(log);
  await looks(2);
  log.give(5, 6);
  await looks(2);
  log.state.end = 9;
  await looks(1);
  expect(log.told).toEqual([]);
  await looks(1);
  expect(log.told).toEqual([expect.stringContaining('nothing came of deliveries 0 from offset 7 on')]);
  expect(log.openings).toEqual([5, 7]);
  log.give(7, 8);
  await looks(5);
  expect(log.told.slice(1)).toEqual([null]);
  expect(log.got).toEqual([5, 6, 7, 8]);
  await log.end();
  await followed;
  expect(log.state.closed).toBe(1);
});

it('is not told of one at the end of its log, behind which there are markers of transactions alone', async () => {
  const log = logOf(5);
  const followed = follow(log);
  log.state.end = 8;
  log.reach(8);
  await looks(6);
  expect([log.told, log.openings]).toEqual([[], [5]]);
  expect(log.state.asked).toBeGreaterThan(2);
  await log.end();
  await followed;
});

it('asks Kafka nothing while it reads, and judges nobody while Kafka is away', async () => {
  const log = logOf(0);
  const followed = follow(log);
  for (let offset = 0; offset < 5; offset += 1) {
    log.state.end = 100;
    log.give(offset);
    await looks(1);
  }
  expect(log.state.asked).toBe(0);
  await looks(1);
  log.state.isAway = true;
  await looks(1);
  log.state.isAway = false;
  await looks(1);
  expect([log.told, log.openings]).toEqual([[], [0]]);
  await log.end();
  await followed;
});

it('does not take one for stopped that has a batch in hand for long', async () => {
  const log = logOf(0);
  let finish = (): void => {};
  const followed = (async () => {
    for await (const batch of followPartition(log.options)) {
      log.got.push(...batch.map(({ offset }) => offset));
      if (log.got.length === 1) await new Promise<void>((resolve) => (finish = resolve));
    }
  })();
  await looks(0);
  log.give(0);
  log.state.end = 50;
  await looks(10);
  expect([log.told, log.openings, log.state.asked]).toEqual([[], [0], 0]);
  finish();
  await log.end();
  await followed;
});

it('one that opening again does not help is told of again, but not at each look', async () => {
  const log = logOf(3);
  const followed = follow(log);
  log.state.end = 4;
  await looks(12);
  expect(log.told).toHaveLength(2);
  expect(log.openings).toEqual([3, 3, 3]);
  await log.end();
  await followed;
  expect(log.told.at(-1)).toBeNull();
});

// That it had ended was taken for that it had read on; the next one needs two looks to find that it stands still.
it('one that cannot be opened again has not read on, nor has the next until it reads', async () => {
  const log = logOf(7);
  const followed = expect(follow(log)).rejects.toThrow('no Kafka');
  await looks(1);
  log.state.end = 9;
  log.state.refusesOpening = true;
  await looks(2);
  await followed;
  expect(log.told).toEqual([expect.stringContaining('from offset 7 on')]);
  log.state.refusesOpening = false;
  const next = follow({ ...log, options: { ...log.options, isStalled: true } });
  await looks(1);
  expect(log.told).toHaveLength(1);
  log.give(7, 8);
  await looks(1);
  expect(log.told.slice(1)).toEqual([null]);
  await log.end();
  await next;
  expect(log.told).toHaveLength(2);
});

it('the next one reads on where Kafka says that the log goes no further', async () => {
  const log = logOf(7);
  const followed = follow({ ...log, options: { ...log.options, isStalled: true } });
  await looks(1);
  expect(log.told).toEqual([]);
  await looks(1);
  expect(log.told).toEqual([null]);
  await log.end();
  await followed;
});

it('the next one has not read on where nobody knows where the log ends, or it ends before', async () => {
  for (const end of [-1, 4]) {
    const log = logOf(7);
    log.state.end = end;
    const followed = follow({ ...log, options: { ...log.options, isStalled: true } });
    await looks(3);
    expect(log.told).toEqual([]);
    await log.end();
    await followed;
  }
});

it('tells nothing of one that has ended while Kafka was asked', async () => {
  const log = logOf(3);
  let answer = (): void => {};
  const openAdmin: FollowOptions['openAdmin'] = () => ({
    readableEnd: () => {
      log.state.asked += 1;
      return new Promise<number>((resolve) => (answer = () => resolve(9)));
    },
    close: async () => {},
  });
  const followed = expect(follow({ ...log, options: { ...log.options, openAdmin } })).rejects.toThrow(
    'broken off',
  );
  while (log.state.asked < 1) await looks(1);
  answer();
  await looks(1);
  expect(log.state.asked).toBe(2);
  log.fail();
  await followed;
  answer();
  await looks(1);
  expect(log.told).toEqual([]);
});
