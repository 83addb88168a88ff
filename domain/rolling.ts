// Rolling counts: which windows of a partition a rolling answer covers, and the sum over partitions, each at its own
// watermark. The answer says as of when, and whether the partitions are too far apart to be one picture.
import type { Segment } from './buyer.ts';
import type { Settings } from './definition.ts';

export const rollingWindows = {
  '5m': { windowMs: 300_000, grain: 'm', grainMs: 60_000 },
  '1h': { windowMs: 3_600_000, grain: 'm', grainMs: 60_000 },
  '24h': { windowMs: 86_400_000, grain: 'h', grainMs: 3_600_000 },
} as const;
export type RollingWindow = keyof typeof rollingWindows;

/** What one partition holds: cells by window, at its watermark; 0 before its first record. */
export interface PartitionCounts {
  readonly watermarkMs: number;
  /** Its owner has yet to read what stood in the log when it took over: one at 0 may have had records, and begun anew. */
  readonly isReading: boolean;
  /** `country|industry|channel` and the counts by column, as they stand in the windows that are covered. */
  readonly cells: readonly (readonly [cell: string, counts: readonly number[]])[];
}

export interface RollingCounts {
  /** The lowest watermark; null if no partition has had a record. */
  readonly asOfMs: number | null;
  /** How far the partitions' watermarks are apart. */
  readonly spreadMs: number;
  /** They are too far apart, or one has yet to come to its first record again. */
  readonly incomplete: boolean;
  /** Those that have had a record. */
  readonly partitions: number;
  readonly totals: readonly number[];
  /** By the segment's value, the largest first column first. Empty without `by`. */
  readonly segments: readonly { readonly value: string; readonly counts: readonly number[] }[];
}

/** First and last bucket whose end lies after watermark − window. */
export function coveredBuckets(window: RollingWindow, watermarkMs: number): { first: number; last: number } {
  const { windowMs, grainMs } = rollingWindows[window];
  return {
    first: Math.floor((watermarkMs - windowMs) / grainMs),
    last: Math.floor(watermarkMs / grainMs),
  };
}

type Retention = Pick<Settings, 'latenessMs' | 'minuteRetentionMs' | 'hourRetentionMs'>;

/** Whether by these settings a partition still holds all that the window covers: a minute or hour is held for so long after its end. */
export function isHeld(window: RollingWindow, settings: Retention): boolean {
  const { windowMs, grain } = rollingWindows[window];
  const retentionMs = { m: settings.minuteRetentionMs, h: settings.hourRetentionMs }[grain];
  return retentionMs + settings.latenessMs >= windowMs;
}

/** Settings, and the time, epoch ms, at which they came into force. */
export interface SettingsRevision {
  readonly atMs: number;
  readonly settings: Settings;
}

/**
 * Whether a partition holds all that the window covers as of a time: by the settings of then, and by all that were in force in the
 * window. What earlier ones have closed stays closed (time-floors.ts).
 * @param revisions the first one first
 */
export function wasHeld(
  window: RollingWindow,
  revisions: readonly SettingsRevision[],
  asOfMs: number,
): boolean {
  const fromMs = asOfMs - rollingWindows[window].windowMs;
  return revisions.every(({ settings }, index) => {
    const replaced = revisions[index + 1];
    return (replaced !== undefined && replaced.atMs <= fromMs) || isHeld(window, settings);
  });
}

/** The value of one dimension in a cell's name. What found no seat in its window is `other` in every dimension. */
export function dimensionOf(cell: string, by: keyof Segment): string {
  const [country = '', industry = '', channel = ''] = cell.split('|');
  if (country === 'other' && industry === '' && channel === '') return 'other';
  return { country, industry, channel }[by];
}

function addTo(totals: number[], counts: readonly number[]): void {
  for (let column = 0; column < totals.length; column += 1) totals[column]! += counts[column] ?? 0;
}

/** Sums the partitions' cells, in total and by one dimension of the segment. */
export function sumPartitions(
  partitions: readonly PartitionCounts[],
  columns: number,
  latenessMs: number,
  by: keyof Segment | null,
): RollingCounts {
  const zeros = (): number[] => new Array<number>(columns).fill(0);
  const totals = zeros();
  const segments = new Map<string, number[]>();
  const live = partitions.filter((partition) => partition.watermarkMs > 0);
  const begunAnew = partitions.some(({ watermarkMs, isReading }) => watermarkMs === 0 && isReading);
  for (const { cells } of live) {
    for (const [cell, counts] of cells) {
      addTo(totals, counts);
      if (by === null) continue;
      const value = dimensionOf(cell, by);
      const own = segments.get(value) ?? zeros();
      addTo(own, counts);
      segments.set(value, own);
    }
  }
  const watermarks = live.map((partition) => partition.watermarkMs);
  const asOfMs = watermarks.length === 0 ? null : Math.min(...watermarks);
  const spreadMs = asOfMs === null ? 0 : Math.max(...watermarks) - asOfMs;
  return {
    asOfMs,
    spreadMs,
    incomplete: begunAnew || spreadMs > latenessMs,
    partitions: live.length,
    totals,
    segments: [...segments]
      .map(([value, counts]) => ({ value, counts }))
      .sort((a, b) => b.counts[0]! - a.counts[0]! || (a.value < b.value ? -1 : 1)),
  };
}
