// What the benchmarks are to reach, and what of it a result misses. What is asked is whether a goal is reached: of nothing seen a figure
// is no number, and reaches none.
import type { LatencyBenchResult } from './bench/latency.ts';
import type { MemoryBenchResult } from './bench/memory.ts';
import type { StreamBenchResult } from './bench/stream.ts';
import { REACHED_SHARE_MIN } from './measured.ts';
import type { RouteResult, ServeBenchResult } from './serve/bench.ts';

/** The whole pipeline ÷ consume and parse alone, events a second; below the least it is called unfinished. */
const STREAM_RATIO_GOAL = 0.5;
const STREAM_RATIO_LEAST = 0.35;
/** Redis' `used_memory` at its highest, for a million buyers with ten events each. */
const REDIS_BYTES_MAX = 1_500_000_000;
/** Of the `stream` process: resident at the end ÷ when half of the events were applied. */
const STREAM_GROWTH_MAX = 1.1;
/** From append to visible in Redis, at half of the stream's maximum rate, with so many buyers. */
const VISIBLE_P99_MS_MAX = 250;
const VISIBLE_BUYERS = 50_000;
/** Of an answer, at half of the highest rate; the scripts of k6 have it as their threshold. */
const ANSWER_P99_MS_MAX = 10;

const toThree = (share: number): string => share.toFixed(3);

export function missedByStream({ ratio }: Pick<StreamBenchResult, 'ratio'>): string[] {
  if (!(ratio >= STREAM_RATIO_LEAST))
    return [
      `stream: ratio ${toThree(ratio)}, below ${STREAM_RATIO_LEAST}, which is unfinished (goal ${STREAM_RATIO_GOAL})`,
    ];
  return ratio >= STREAM_RATIO_GOAL ? [] : [`stream: ratio ${toThree(ratio)} (goal ${STREAM_RATIO_GOAL})`];
}

/** A run with other buyers or at another rate says nothing of the goal, and has not reached it. */
export function missedByLatency({
  buyers,
  eventsPerSecond,
  maximumPerSecond,
  visibleMs,
}: Pick<LatencyBenchResult, 'buyers' | 'eventsPerSecond' | 'maximumPerSecond' | 'visibleMs'>): string[] {
  const missed: string[] = [];
  if (buyers !== VISIBLE_BUYERS)
    missed.push(`latency: measured with ${buyers} buyers (goal ${VISIBLE_BUYERS})`);
  if (maximumPerSecond === null)
    missed.push('latency: no maximum rate is known to measure at half of (run `bench stream` before)');
  else if (!(eventsPerSecond >= (REACHED_SHARE_MIN * maximumPerSecond) / 2))
    missed.push(
      `latency: measured at ${Math.round(eventsPerSecond)} events a second (goal: half of ${Math.round(maximumPerSecond)})`,
    );
  if (!(visibleMs.p99 <= VISIBLE_P99_MS_MAX))
    missed.push(`latency: p99 ${Math.round(visibleMs.p99)} ms (goal ${VISIBLE_P99_MS_MAX} ms)`);
  return missed;
}

/** How much larger the process is at the end than with half of the events applied; NaN if it was not looked at. */
function growthOf(samples: MemoryBenchResult['samples'], events: number): number {
  const half = samples.find((sample) => sample.events >= events / 2);
  return (samples.at(-1)?.streamBytes ?? Number.NaN) / (half?.streamBytes ?? Number.NaN);
}

export function missedByMemory({
  events,
  redisUsedBytes,
  appendOnlyRewrites,
  samples,
}: Pick<MemoryBenchResult, 'events' | 'redisUsedBytes' | 'appendOnlyRewrites' | 'samples'>): string[] {
  const missed: string[] = [];
  if (!(redisUsedBytes.peak < REDIS_BYTES_MAX))
    missed.push(
      `memory: ${Math.round(redisUsedBytes.peak / 1e6)} MB of Redis (goal: under ${REDIS_BYTES_MAX / 1e6} MB)`,
    );
  if (!(appendOnlyRewrites > 0))
    missed.push('memory: no rewrite of the append-only file fell into the measurement (goal: some)');
  const growth = growthOf(samples, events);
  if (!(growth <= STREAM_GROWTH_MAX))
    missed.push(
      `memory: stream grew to ${growth.toFixed(2)} of what it was after half of the events (goal: at most ${STREAM_GROWTH_MAX})`,
    );
  return missed;
}

function missedByRoute({ route, ratio, goal, half }: RouteResult): string[] {
  const missed: string[] = [];
  if (!(ratio >= goal)) missed.push(`${route}: ratio ${toThree(ratio)} (goal ${goal})`);
  if (!(half.p99Ms <= ANSWER_P99_MS_MAX))
    missed.push(
      `${route}: p99 ${half.p99Ms.toFixed(1)} ms at half of its rate (goal ${ANSWER_P99_MS_MAX} ms)`,
    );
  else if (!half.withinThresholds) missed.push(`${route}: a threshold of its script was crossed`);
  if (half.dropped !== 0) missed.push(`${route}: ${half.dropped} requests could not be begun in time`);
  return missed;
}

export function missedByServe({ routes }: Pick<ServeBenchResult, 'routes'>): string[] {
  return routes.flatMap(missedByRoute);
}
