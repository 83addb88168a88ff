// One way out of the sink: lots in order, not too many of them, and nothing that waits for longer than it must.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Batch } from '../../stream/batch.ts';
import { newBatch } from '../../stream/batch.ts';
import { createLane, type LaneOptions } from '../../stream/lane.ts';

const EVERY_MS = 250;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A lane of batches that are as large as their offset says; `lots` are those that were worked on. */
function laneOf(options: Partial<LaneOptions> = {}) {
  const lots: number[][] = [];
  const lane = createLane({
    sizeOf: ({ from }) => from,
    most: 100,
    enough: 50,
    everyMs: EVERY_MS,
    work: async (batches) => void lots.push(batches.map(({ from }) => from)),
    ...options,
  });
  const arrived: number[] = [];
  const add = (size: number): void => {
    const batch: Batch = newBatch(size);
    void lane.add(batch).then(() => arrived.push(size));
  };
  return { lane, lots, arrived, add };
}

it('the first lot leaves at once, the next is what came within its time', async () => {
  const { lots, arrived, add } = laneOf();
  add(1);
  await vi.advanceTimersByTimeAsync(0);
  expect(lots).toEqual([[1]]);
  add(2);
  add(3);
  await vi.advanceTimersByTimeAsync(EVERY_MS - 1);
  expect(lots).toEqual([[1]]);
  await vi.advanceTimersByTimeAsync(1);
  expect(lots).toEqual([[1], [2, 3]]);
  expect(arrived).toEqual([1, 2, 3]);
});

it('enough of it does not wait, and a lot is never more than the most and one batch', async () => {
  const { lots, add } = laneOf();
  add(1);
  await vi.advanceTimersByTimeAsync(0);
  add(20);
  await vi.advanceTimersByTimeAsync(10);
  expect(lots).toEqual([[1]]);
  for (const size of [30, 60, 70]) add(size);
  await vi.advanceTimersByTimeAsync(0);
  expect(lots).toEqual([[1], [20, 30, 60], [70]]);
});

it('a batch without anything for it passes at once, before what waits', async () => {
  const { arrived, add } = laneOf({ work: () => new Promise(() => {}) });
  add(1);
  add(0);
  await vi.advanceTimersByTimeAsync(0);
  expect(arrived).toEqual([0]);
});

it('one lot is under way at a time, and who waits behind it keeps the order', async () => {
  const ends: (() => void)[] = [];
  const { arrived, add } = laneOf({ everyMs: 0, work: () => new Promise((resolve) => ends.push(resolve)) });
  add(1);
  await vi.advanceTimersByTimeAsync(0);
  add(2);
  add(3);
  await vi.advanceTimersByTimeAsync(EVERY_MS);
  expect(ends).toHaveLength(1);
  ends[0]!();
  await vi.advanceTimersByTimeAsync(0);
  expect(arrived).toEqual([1]);
  ends[1]!();
  await vi.advanceTimersByTimeAsync(0);
  expect(arrived).toEqual([1, 2, 3]);
});

it('nothing leaves a lane that is closed, and nothing is said to have arrived', async () => {
  const { lane, lots, arrived, add } = laneOf();
  add(1);
  await vi.advanceTimersByTimeAsync(0);
  add(2);
  lane.close();
  await vi.advanceTimersByTimeAsync(10 * EVERY_MS);
  expect(lots).toEqual([[1]]);
  expect(arrived).toEqual([1]);
});

it.each([
  [40, EVERY_MS],
  [200, 1_000],
  [1_000, 2_000],
])('what takes %i ms is begun again after %i ms', async (tookMs, apartMs) => {
  const begunMs: number[] = [];
  const { add } = laneOf({
    async work() {
      begunMs.push(performance.now());
      await new Promise((resolve) => setTimeout(resolve, tookMs));
    },
  });
  add(1);
  await vi.advanceTimersByTimeAsync(0);
  add(2);
  await vi.advanceTimersByTimeAsync(tookMs);
  add(3);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(begunMs[1]! - begunMs[0]!).toBe(apartMs);
});
