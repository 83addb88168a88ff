// The clock of a partition whose watermark stands: W₀ + now − A₀, written at the log's end through the outbox and applied as a
// maximum. Anchored on a real record, never on another clock, or its own skew would feed it.
import type { OutboxRecord } from './batch.ts';
import { futureMaxMs } from './decode.ts';
import type { Head } from './state.ts';
import { sourceOf, type Work } from './work.ts';

/**
 * What a clock that goes further ahead of its host leaves to the skew between that host and the broker: beyond `futureMaxMs` of
 * the broker's time each clock would be rejected, and the partition would stand.
 */
const SKEW_MAX_MS = 60_000;

export function clockRecord(work: Work, anchor: NonNullable<Head['anchor']>, nowMs: number): OutboxRecord {
  const anchored = anchor.watermarkMs + Math.max(0, nowMs - anchor.appendMs);
  const taken = Math.min(anchored, nowMs + futureMaxMs - SKEW_MAX_MS);
  const time = Math.max(work.head.watermarkMs, taken);
  return {
    to: work.id.topic === 'spend' ? 'spend' : 'events',
    partition: work.id.partition,
    key: null,
    value: JSON.stringify({ kind: 'clock', time }),
    source: sourceOf(work, work.head.ordinal),
  };
}

/**
 * Partitions whose watermark stands tell the time together, at multiples of `clockMs`: between these there are moments at which
 * nothing of any idle partition is on its way, and who waits for such a moment sees one. It has stood for half a period before a
 * clock, since `risenMs`: records that do not move it put none off.
 */
export function isClockDue(nowMs: number, risenMs: number, clockMs: number): boolean {
  return Math.floor(nowMs / clockMs) > Math.floor((risenMs + clockMs / 2) / clockMs);
}
