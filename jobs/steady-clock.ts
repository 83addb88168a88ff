// How long until something is due, by a clock that nobody sets: a host may come up a day ahead and be put right an hour later.

/** Less is not told from the grain of the two clocks, and would change the order of what is due together. */
const STEP_MS_MIN = 100;

export interface Clocks {
  nowMs(): number;
  monotonicMs(): number;
}

/**
 * From a time of the wall clock, as it goes now, to that of the monotonic one. What waits by it waits as long as was meant, though the
 * wall clock is set meanwhile (and longer by as long as the machine is suspended).
 */
export function steadyTime({ nowMs, monotonicMs }: Clocks): (wallMs: number) => number {
  let apartMs = nowMs() - monotonicMs();
  return (wallMs) => {
    const latestMs = nowMs() - monotonicMs();
    if (Math.abs(latestMs - apartMs) >= STEP_MS_MIN) apartMs = latestMs;
    return wallMs - apartMs;
  };
}
