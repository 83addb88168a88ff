// A bench waits until what was measured before has left nothing to do, and not for ever.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { untilQuiet } from '../../loadtest/quiet.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Two cores, which were at work for these parts of the time between looks; the last goes on. */
async function waitedFor(shares: readonly number[]) {
  let [looks, busyMs, allMs] = [0, 0, 0];
  const waiting = untilQuiet(() => {
    if (looks > 0) busyMs += 4_000 * shares[Math.min(looks, shares.length) - 1]!;
    if (looks > 0) allMs += 4_000;
    looks += 1;
    return { busyMs, allMs };
  });
  await vi.advanceTimersByTimeAsync(120_000);
  return waiting;
}

it('begins when the cores have been at rest for a look', async () => {
  expect(await waitedFor([0.05])).toEqual({ waitedMs: 2_000, busyShare: 0.05 });
  expect(await waitedFor([0.9, 0.3, 0.02])).toEqual({ waitedMs: 6_000, busyShare: 0.02 });
});

it('begins after a minute all the same, and says that it is not quiet', async () => {
  expect(await waitedFor([0.5])).toEqual({ waitedMs: 60_000, busyShare: 0.5 });
});
