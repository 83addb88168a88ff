// What the benchmarks of the stream call a rate: all of the work, and the rate that was reached.
import { expect, it } from 'vitest';
import { assertReached } from '../../loadtest/bench/latency.ts';
import { timeUntilDrained } from '../../loadtest/bench/stream.ts';
import type { PartitionProgress } from '../../platform/progress.ts';

const progress = (applied: number, undelivered: number, flushed: boolean): PartitionProgress[] => [
  { topic: 'events', partition: 0, offset: applied, high: 100, undelivered, flushed, paused: false },
];

it('the clock stops when all is delivered, and the count of CPU seconds when the latest values are flushed, too', async () => {
  const looks = [
    progress(0, 0, true),
    progress(40, 2, false),
    progress(100, 0, false),
    progress(100, 0, false),
    progress(100, 0, true),
  ];
  let used = 0;
  let look = 0;
  const timed = await timeUntilDrained(
    async () => looks[look++]!,
    async () => (used += 1),
    100,
  );
  expect(look).toBe(5);
  expect(timed.cpuSeconds).toBe(3);
  expect(timed.seconds).toBeGreaterThan(0);
  expect(timed.flushedAfterSeconds).toBeGreaterThan(0);
});

it('a lot that was under way again has not been delivered before', async () => {
  const looks = [
    progress(40, 2, false),
    progress(100, 0, false),
    progress(100, 1, false),
    progress(100, 0, true),
  ];
  let look = 0;
  const timed = await timeUntilDrained(
    async () => looks[look++]!,
    async () => 0,
    100,
  );
  expect(timed.flushedAfterSeconds).toBe(0);
});

it('a rate that was not reached is none that was measured', () => {
  expect(() => assertReached(95.1, 100)).not.toThrow();
  expect(() => assertReached(94.3, 100)).toThrow(
    '100 events a second were asked for, and only 94 were written to the log: ask for fewer',
  );
});
