// What the benchmarks are to reach, and what of it a result misses. What is asked is whether a goal is reached: of nothing seen a figure
// is no number, and reaches none.
import type { LatencyBenchResult } from './bench/latency.ts';
import type { MemoryBenchResult } from './bench/memory.ts';
import type { StreamBenchResult } from './bench/stream.ts';
import type { RouteResult, ServeBenchResult } from './serve/bench.ts';

/** The whole pipeline ÷ consume and parse alone, events a second; below the least it is called unfinished. */
const STREAM_RATIO_GOAL = 0.5;
const STREAM_RATIO_LEAST = 0.35;
/** Redis' `used_memory` at its highest, for a million buyers with ten events each. */
const REDIS_BYTES_MAX = 1_500_000_000;
/** From append to visible in Redis, of so many buyers at most; of more it is only measured. */
const VISIBLE_P99_MS_MAX = 250;
const VISIBLE_BUYERS_MAX = 50_000;
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

export function missedByLatency({
  buyers,
  visibleMs,
}: Pick<LatencyBenchResult, 'buyers' | 'visibleMs'>): string[] {
  if (buyers > VISIBLE_BUYERS_MAX || visibleMs.p99 <= VISIBLE_P99_MS_MAX) return [];
  return [`latency: p99 ${Math.round(visibleMs.p99)} ms (goal ${VISIBLE_P99_MS_MAX} ms)`];
}

export function missedByMemory({ redisUsedBytes }: Pick<MemoryBenchResult, 'redisUsedBytes'>): string[] {
  if (redisUsedBytes.peak < REDIS_BYTES_MAX) return [];
  return [
    `memory: ${Math.round(redisUsedBytes.peak / 1e6)} MB of Redis (goal: under ${REDIS_BYTES_MAX / 1e6} MB)`,
  ];
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
