// When an idle partition tells the time: together with the others, so that there are moments at which nothing is on its way.
import { describe, expect, it } from 'vitest';
import { clockRecord, clockTimeMs, isClockDue } from '../../stream/clock.ts';
import { decode, futureMaxMs } from '../../stream/decode.ts';
import type { Work } from '../../stream/work.ts';
import { buyersOf } from '../e2e/support/mixed-log.ts';
import { createPartition, definitionValue, PARTITION } from './support/partition.ts';

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

describe('what clocks go on from', () => {
  const HOUR_MS = 3_600_000;
  const startMs = Date.UTC(2024, 0, 1);
  const appendMs = startMs + 400 * 24 * HOUR_MS;
  const users = buyersOf(PARTITION, 10, 'n').filter((key) => key.startsWith('u:'));
  const visit = (user: number, timeMs: number, more: object = {}): string => {
    const about = { kind: 'track', event: 'view', messageId: `m${user}`, userId: users[user]!.slice(2) };
    return JSON.stringify({ ...about, timestamp: timeMs, receivedAt: timeMs, ...more });
  };

  // A commit fires two timers at most: the last record's own are more, or due at its very time.
  it.each([[[100]], [[1]], [[2, 3]]])('is the same however the log is cut: %j', (sizes) => {
    const partition = createPartition({ sizes, restarts: true }, appendMs);
    partition.run([
      definitionValue('settings', 'default', 1, { timersPerCommit: 2 }),
      definitionValue('behaviours', 'default', 1, {
        rules: [{ kind: 'track', event: 'view', behaviour: 'view' }],
      }),
      definitionValue('lifecycle', 'default', 1, { churnedAfterMs: HOUR_MS }),
      ...[0, 60_000, 60_000, 60_000].map((afterMs, user) => visit(user, startMs + afterMs)),
      visit(4, startMs + HOUR_MS),
      visit(5, startMs + HOUR_MS + 60_000),
    ]);
    expect(partition.head.anchor).toEqual({ watermarkMs: startMs + HOUR_MS + 60_000, appendMs });
  });

  it('is the last real record that raised the watermark: no clock, and nothing once that one was supplied', () => {
    const partition = createPartition({ sizes: [1], restarts: true }, appendMs);
    const anchorBehind = (value: string) => {
      partition.run([value]);
      return partition.head.anchor;
    };
    const real = { watermarkMs: startMs, appendMs };
    expect(anchorBehind(visit(0, startMs))).toEqual(real);
    expect(anchorBehind(JSON.stringify({ kind: 'clock', time: startMs + 5_000 }))).toEqual(real);
    expect(anchorBehind(visit(1, startMs + 6_000, { supplied: true }))).toBeNull();
    expect(anchorBehind(visit(2, startMs + 5_000))).toBeNull();
    expect(anchorBehind(visit(3, startMs + 7_000))).toEqual({ watermarkMs: startMs + 7_000, appendMs });
  });
});

describe('a clock after an anchor as far ahead as is taken', () => {
  const appendMs = Date.UTC(2026, 0, 1);
  const watermarkMs = appendMs + futureMaxMs;
  const id = { topic: 'events', generation: 1, partition: PARTITION };
  const work = { id, head: { watermarkMs, offset: 7, ordinal: 0 } } as unknown as Work;

  /** Of an owner whose host is ahead of the broker, so long after the anchor. */
  function toldBy(aheadMs: number, laterMs: number): { timeMs: number; kind: string } {
    const nowMs = appendMs + laterMs + aheadMs;
    const { value } = clockRecord(work, clockTimeMs(work.head, { watermarkMs, appendMs }, nowMs, false)!);
    const message = {
      partition: PARTITION,
      offset: 8,
      key: null,
      value: Buffer.from(value),
      size: value.length,
    };
    const { kind } = decode('events', { ...message, appendMs: appendMs + laterMs });
    return { timeMs: JSON.parse(value).time, kind };
  }

  it.each([0, 1, 1_000, 60_000])(
    'is taken from a host that is %i ms ahead of the broker, and time goes on',
    (aheadMs) => {
      for (const laterMs of [0, 5_000, 60_000, 3_600_000])
        expect(toldBy(aheadMs, laterMs).kind, `${laterMs} ms later`).toBe('clock');
      expect(toldBy(aheadMs, 0).timeMs).toBe(watermarkMs);
      expect(toldBy(aheadMs, 3_600_000).timeMs).toBe(appendMs + 3_600_000 + aheadMs + futureMaxMs - 60_000);
    },
  );

  it('says what the anchor says where that is not as far ahead', () => {
    const anchor = { watermarkMs: appendMs + 200_000, appendMs };
    const later = { ...work, head: { ...work.head, watermarkMs: anchor.watermarkMs } };
    expect(clockTimeMs(later.head, anchor, appendMs + 5_000, false)).toBe(appendMs + 205_000);
  });

  it('is never ahead of its host beside records, and says nothing until the time has come up to it', () => {
    const told = (laterMs: number) =>
      clockTimeMs(work.head, { watermarkMs, appendMs }, appendMs + laterMs, true);
    expect([0, 5_000, futureMaxMs].map(told)).toEqual([undefined, undefined, undefined]);
    expect(told(futureMaxMs + 1)).toBe(watermarkMs + 1);
    const behind = { watermarkMs: appendMs - 60_000, appendMs };
    expect(
      clockTimeMs({ ...work.head, watermarkMs: behind.watermarkMs }, behind, appendMs + 5_000, true),
    ).toBe(appendMs - 55_000);
  });
});
