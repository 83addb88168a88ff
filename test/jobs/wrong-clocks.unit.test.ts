// A host whose wall clock is wrong, and is set.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Delivery } from '../../domain/delivery.ts';
import { createBeginning } from '../../jobs/beginning.ts';
import { steadyTime } from '../../jobs/steady-clock.ts';
import { activeReceiver, deliveryOf, dispatching, manyTriggers } from './dispatching.ts';

const START_MS = 1_000_000;
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const PAUSE_MS = 300_000;
const triggers = manyTriggers(3);

beforeEach(() => void vi.useFakeTimers({ now: START_MS }));
afterEach(() => void vi.useRealTimers());

// They waited until then, though the clock was right again: for ever, where it had been years ahead.
it('what was queued by a clock that was ahead is sent at once, or after the pause that was meant', async () => {
  const { beginning, take } = createBeginning(() => false);
  const ahead = START_MS + DAY_MS;
  const queued = { status: 'queued', createdMs: ahead, atMs: ahead } as const;
  take(deliveryOf(triggers[0]!, { ...queued, dueMs: ahead }));
  take(deliveryOf(triggers[1]!, { ...queued, dueMs: ahead + PAUSE_MS }));
  take(deliveryOf(triggers[2]!, { ...queued, createdMs: 0, atMs: START_MS - 1, dueMs: ahead }));
  const { dispatcher, sent } = dispatching({});
  await dispatcher.resume(beginning);
  await vi.advanceTimersByTimeAsync(100);
  expect(sent).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(PAUSE_MS);
  expect(sent).toHaveLength(2);
  await vi.advanceTimersByTimeAsync(DAY_MS);
  expect(sent).toHaveLength(3);
});

// As long as the sender may take to begin, and then to be answered: a clock that was ahead makes it no shorter.
it('what was being sent by a clock that was ahead is waited for as any other', async () => {
  const { beginning, take } = createBeginning(() => false);
  const atMs = START_MS + DAY_MS;
  take(
    deliveryOf(triggers[0]!, { status: 'sending', attempt: 1, atMs, intentLifeMs: 10_000, timeoutMs: 5_000 }),
  );
  const { dispatcher, sent } = dispatching({});
  await dispatcher.resume(beginning);
  await vi.advanceTimersByTimeAsync(14_900);
  expect(sent).toEqual([]);
  await vi.advanceTimersByTimeAsync(200);
  expect(sent).toHaveLength(1);
});

describe.each([
  ['back', -HOUR_MS],
  ['forth', HOUR_MS],
])('a clock that is set %s by an hour', (_, stepMs) => {
  it('makes a pause neither longer nor shorter', async () => {
    let apartMs = 0;
    let status = 500;
    const statuses: string[] = [];
    const { dispatcher } = dispatching({
      nowMs: () => Date.now() + apartMs,
      receivers: () => [activeReceiver('crm', { retryAfterMs: [PAUSE_MS, PAUSE_MS] })],
      writer: {
        async write(records) {
          statuses.push(
            ...records.filter((each): each is Delivery => 'status' in each).map((each) => each.status),
          );
        },
      },
      sender: { send: async () => ({ status, detail: '' }), async close() {} },
    });
    await dispatcher.resume(createBeginning(() => false).beginning);
    await dispatcher.take(0, [{ offset: 0, trigger: triggers[0]! }]);
    await vi.advanceTimersByTimeAsync(100);
    expect(statuses).toEqual(['queued', 'sending', 'queued']);
    apartMs = stepMs;
    status = 200;
    await vi.advanceTimersByTimeAsync(PAUSE_MS - 1_000);
    expect(statuses).toHaveLength(3);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(statuses.slice(3)).toEqual(['sending', 'delivered']);
  });
});

it('times of one wall clock keep their order, whatever the grain of the two', () => {
  let now = START_MS;
  let monotonic = 0;
  const steady = steadyTime({ nowMs: () => Math.floor(now), monotonicMs: () => monotonic });
  const times = Array.from({ length: 50 }, () => {
    now += 0.3;
    monotonic += 0.3;
    return steady(START_MS);
  });
  expect(new Set(times).size).toBe(1);
});
