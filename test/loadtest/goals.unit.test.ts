// A benchmark that misses a goal says which.
import { expect, it } from 'vitest';
import { missedByLatency, missedByMemory, missedByServe, missedByStream } from '../../loadtest/goals.ts';
import type { Paced, RouteResult } from '../../loadtest/serve/bench.ts';

it('stream: from 0.5 on all is well, below 0.35 it is unfinished', () => {
  expect(missedByStream({ ratio: 0.5 })).toEqual([]);
  expect(missedByStream({ ratio: 0.4 })).toEqual(['stream: ratio 0.400 (goal 0.5)']);
  expect(missedByStream({ ratio: 0.119 })).toEqual([
    'stream: ratio 0.119, below 0.35, which is unfinished (goal 0.5)',
  ]);
  expect(missedByStream({ ratio: Number.NaN })).toHaveLength(1);
});

it('latency: 250 ms at half of the maximum rate with 50,000 buyers, and nothing else reaches it', () => {
  const measured = {
    ...{ buyers: 50_000, eventsPerSecond: 10_000, maximumPerSecond: 20_000 },
    visibleMs: { p50: 1, p95: 2, p99: 250, max: 300 },
  };
  expect(missedByLatency(measured)).toEqual([]);
  expect(missedByLatency({ ...measured, eventsPerSecond: 9_500 })).toEqual([]);
  const late = { ...measured.visibleMs, p99: 251 };
  expect(missedByLatency({ ...measured, visibleMs: late })).toEqual(['latency: p99 251 ms (goal 250 ms)']);
  expect(missedByLatency({ ...measured, eventsPerSecond: 9_499 })).toEqual([
    'latency: measured at 9499 events a second (goal: half of 20000)',
  ]);
  expect(missedByLatency({ ...measured, maximumPerSecond: null })).toHaveLength(1);
  for (const buyers of [50, 50_001])
    expect(missedByLatency({ ...measured, buyers })).toEqual([
      `latency: measured with ${buyers} buyers (goal 50000)`,
    ]);
  const nothing = { ...measured.visibleMs, p99: Number.NaN };
  expect(missedByLatency({ ...measured, eventsPerSecond: Number.NaN, visibleMs: nothing })).toHaveLength(2);
});

const flat = [200, 600, 900, 950, 980].map((megabytes, index) => ({
  ...{ events: (index + 1) * 200, redisUsedBytes: 1, streamBytes: megabytes * 1e6 },
}));
const small = {
  ...{ events: 1_000, redisUsedBytes: { peak: 1_499_999_999, end: 1 }, appendOnlyRewrites: 1, samples: flat },
};

it('memory: under 1.5 GB of Redis at its highest, with its rewrites', () => {
  expect(missedByMemory(small)).toEqual([]);
  expect(missedByMemory({ ...small, redisUsedBytes: { peak: 1_600_000_000, end: 1 } })).toEqual([
    'memory: 1600 MB of Redis (goal: under 1500 MB)',
  ]);
  expect(missedByMemory({ ...small, redisUsedBytes: { peak: Number.NaN, end: 1 } })).toHaveLength(1);
  expect(missedByMemory({ ...small, appendOnlyRewrites: 0 })).toEqual([
    'memory: no rewrite of the append-only file fell into the measurement (goal: some)',
  ]);
});

it('memory: the processor is flat over the second half of the events', () => {
  const grown = flat.map((sample, index) => ({ ...sample, streamBytes: (index + 1) * 200e6 }));
  expect(missedByMemory({ ...small, samples: grown })).toEqual([
    'memory: stream grew to 1.67 of what it was after half of the events (goal: at most 1.1)',
  ]);
  expect(missedByMemory({ ...small, samples: [] })).toHaveLength(1);
});

const half: Paced = {
  requestsPerSecond: 100,
  cpuMicrosPerRequest: 1,
  p99Ms: 10,
  withinThresholds: true,
  dropped: 0,
};
const route: RouteResult = {
  route: 'bid',
  callers: 1,
  bare: half,
  full: half,
  ratio: 0.6,
  goal: 0.6,
  half,
  bareHalf: half,
};

it('serve: the ratio, the p99 at half of the rate, its thresholds, and that nothing was left out', () => {
  expect(missedByServe({ routes: [route] })).toEqual([]);
  expect(
    missedByServe({
      routes: [
        { ...route, ratio: 0.59 },
        { ...route, half: { ...half, p99Ms: 11.25, withinThresholds: false } },
        { ...route, half: { ...half, withinThresholds: false } },
        { ...route, half: { ...half, dropped: 3 } },
      ],
    }),
  ).toEqual([
    'bid: ratio 0.590 (goal 0.6)',
    'bid: p99 11.3 ms at half of its rate (goal 10 ms)',
    'bid: a threshold of its script was crossed',
    'bid: 3 requests could not be begun in time',
  ]);
});

it('serve: a route of which nothing was seen has missed its goals', () => {
  const nothing = Number.NaN;
  expect(
    missedByServe({ routes: [{ ...route, ratio: nothing, half: { ...half, p99Ms: nothing } }] }),
  ).toEqual(['bid: ratio NaN (goal 0.6)', 'bid: p99 NaN ms at half of its rate (goal 10 ms)']);
  expect(missedByServe({ routes: [{ ...route, half: { ...half, dropped: nothing } }] })).toHaveLength(1);
});
