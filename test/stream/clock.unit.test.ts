// When an idle partition tells the time: together with the others, so that there are moments at which nothing is on its way.
import { describe, expect, it } from 'vitest';
import { isClockDue } from '../../stream/clock.ts';

const CLOCK_MS = 5_000;
const TICK_MS = 1_000;

/** The moments at which a partition that ticks at `phaseMs` writes its clock, when nothing else happens in it. */
function clocksOf(phaseMs: number, lastRecordMs: number, untilMs: number): number[] {
  const clocks: number[] = [];
  let activeMs = lastRecordMs;
  for (let nowMs = lastRecordMs + phaseMs; nowMs < untilMs; nowMs += TICK_MS) {
    if (!isClockDue(nowMs, activeMs, CLOCK_MS)) continue;
    clocks.push(nowMs);
    // Its own record comes back to it a little later.
    activeMs = nowMs + 100;
  }
  return clocks;
}

describe('the clock of idle partitions', () => {
  it('is told once in each period, by all within one tick', () => {
    const startMs = 1_000_000_000_000;
    const all = Array.from({ length: 16 }, (_, partition) =>
      clocksOf(1 + partition * 61, startMs + partition * 317, startMs + 60_000),
    );
    for (const clocks of all) {
      expect(clocks.length).toBeGreaterThanOrEqual(10);
      const pauses = clocks.slice(1).map((clock, index) => clock - clocks[index]!);
      expect(new Set(pauses)).toEqual(new Set([CLOCK_MS]));
    }
    // The rest of each period nobody writes.
    expect(Math.max(...all.flat().map((clock) => clock % CLOCK_MS))).toBeLessThan(TICK_MS);
  });

  it('waits for half a period of silence at least, and for no more than a period and a half', () => {
    const [first] = clocksOf(TICK_MS, 4_900, 60_000);
    expect(first! - 4_900).toBeGreaterThanOrEqual(CLOCK_MS / 2);
    for (let lastRecordMs = 0; lastRecordMs < CLOCK_MS; lastRecordMs += 50) {
      const [clock] = clocksOf(TICK_MS, lastRecordMs, 60_000);
      expect(clock! - lastRecordMs).toBeGreaterThanOrEqual(CLOCK_MS / 2);
      expect(clock! - lastRecordMs).toBeLessThanOrEqual(1.5 * CLOCK_MS + TICK_MS);
    }
  });
});
