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

/**
 * What a clock says. Where nothing else comes it goes on from the record that it is anchored on, also from one that was ahead of time.
 * Beside records (`isBusy`) it is never ahead of its host: a busy partition that one record has put ahead waits until the time has come
 * up to it, or no record would ever raise the watermark again, and nothing end that: undefined, where it would move nothing.
 */
export function clockTimeMs(
  { watermarkMs }: Head,
  anchor: NonNullable<Head['anchor']>,
  nowMs: number,
  isBusy: boolean,
): number | undefined {
  const anchored = anchor.watermarkMs + Math.max(0, nowMs - anchor.appendMs);
  const timeMs = Math.min(anchored, isBusy ? nowMs : nowMs + futureMaxMs - SKEW_MAX_MS);
  if (isBusy && timeMs <= watermarkMs) return undefined;
  return Math.max(watermarkMs, timeMs);
}

export function clockRecord(work: Work, timeMs: number): OutboxRecord {
  return {
    to: work.id.topic === 'spend' ? 'spend' : 'events',
    partition: work.id.partition,
    key: null,
    value: JSON.stringify({ kind: 'clock', time: timeMs }),
    source: sourceOf(work, work.head.ordinal),
  };
}

/**
 * Partitions whose watermark stands tell the time together, at multiples of `clockMs`: between these there are moments at which
 * nothing of any idle partition is on its way, and who waits for such a moment sees one. Half a period goes before a clock, from `sinceMs`.
 */
export function isClockDue(nowMs: number, sinceMs: number, clockMs: number): boolean {
  return Math.floor(nowMs / clockMs) > Math.floor((sinceMs + clockMs / 2) / clockMs);
}
