// One window: the counts of a series by cell in a minute, an hour or a day, and what of them is still to be written where.
import type { Definitions, FunnelInForce } from '../domain/in-force.ts';
import { windowName } from '../platform/keys.ts';

export type Grain = 'm' | 'h' | 'd';

export const grainMs: Record<Grain, number> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Cells that found no seat are counted together. */
export const otherCell = 'other||';

/** One segment's counts in a window; it knows itself whether it waits, so that a count looks up nothing but its cell. */
export interface Cell {
  readonly name: string;
  readonly values: number[];
  isUncommitted: boolean;
  isUnflushed: boolean;
}

export interface Window {
  readonly name: string;
  readonly series: string;
  readonly revision: number;
  readonly grain: Grain;
  readonly bucket: number;
  readonly cells: Map<string, Cell>;
  /** Cells that the next commit writes. */
  uncommitted: Cell[];
  /** Cells whose latest value ClickHouse does not have yet, nor is it on its way. */
  unflushed: Cell[];
  /** Cells of which a value is on its way, which a crash would lose. */
  flushing: Cell[];
  /** Cells whose latest value ClickHouse refused: they wait until it is tried again, whatever is counted in them meanwhile. */
  refused: Cell[];
  persisted: boolean;
}

/** The latest value of one cell of an hour or a day, for ClickHouse. */
export interface Aggregate {
  readonly series: string;
  readonly revision: number;
  readonly startMs: number;
  readonly cell: string;
  readonly values: readonly number[];
  readonly version: bigint;
}

/** The last one is what ClickHouse has. */
export const grainsOf = (series: string): readonly Grain[] => (series === 'northstar' ? ['d'] : ['m', 'h']);

/** The beginning of the hour or day that ClickHouse counts this time in. */
export function bucketStartMs(series: string, timeMs: number): number {
  const lengthMs = grainMs[grainsOf(series).at(-1)!];
  return Math.floor(timeMs / lengthMs) * lengthMs;
}

export function columnsOf(series: string, definitions: Definitions): number {
  if (series === 'northstar') return 3;
  const funnel = definitions.funnels.find((candidate: FunnelInForce) => candidate.series === series);
  return funnel?.document.steps.length ?? 1;
}

export function heldUntilMs(window: Window, definitions: Definitions): number {
  const { latenessMs, minuteRetentionMs, hourRetentionMs, dayRetentionMs } = definitions.settings;
  const retentionMs = { m: minuteRetentionMs, h: hourRetentionMs, d: dayRetentionMs }[window.grain];
  return (window.bucket + 1) * grainMs[window.grain] + retentionMs + latenessMs;
}

/** Whether earlier settings have closed it. */
export function isClosed({ bucket, grain }: Window, { floors }: Definitions): boolean {
  const closedMs = { m: floors.minuteMs, h: floors.hourMs, d: floors.dayMs }[grain];
  return (bucket + 1) * grainMs[grain] <= closedMs;
}

export function aggregateOf(window: Window, { name: cell, values }: Cell, version: bigint): Aggregate {
  const { series, revision, grain, bucket } = window;
  return {
    series,
    revision,
    startMs: bucket * grainMs[grain],
    cell,
    values: [...values],
    version,
  };
}

export function newWindow(
  series: string,
  revision: number,
  grain: Grain,
  bucket: number,
  persisted: boolean,
): Window {
  const name = windowName(series, revision, grain, bucket);
  return {
    name,
    series,
    revision,
    grain,
    bucket,
    cells: new Map(),
    uncommitted: [],
    unflushed: [],
    flushing: [],
    refused: [],
    persisted,
  };
}

/** `<series>:<revision>:<grain><bucket>`, read back. */
export function parseName(name: string): Window {
  const [, series, revision, grain, bucket] = /^(.+):(\d+):([mhd])(\d+)$/.exec(name) ?? [];
  if (series === undefined) throw new Error(`the stored window ${JSON.stringify(name)} has no name of ours`);
  return newWindow(series, Number(revision), grain as Grain, Number(bucket), true);
}
