// Rolling windows: counts by cell in minutes (held for an hour), hours (25) and days. The owner keeps them in memory,
// a commit writes absolute values of what changed, and ClickHouse gets the latest value of each hour and day.
import type { Settings } from '../domain/definition.ts';
import type { CountEffect } from '../domain/effect.ts';
import type { Definitions, FunnelInForce } from '../domain/in-force.ts';
import { windowName } from '../platform/keys.ts';

export type Grain = 'm' | 'h' | 'd';

export const grainMs: Record<Grain, number> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Cells that found no seat are counted together. */
export const otherCell = 'other||';

export interface Window {
  readonly name: string;
  readonly series: string;
  readonly revision: number;
  readonly grain: Grain;
  readonly bucket: number;
  readonly cells: Map<string, number[]>;
  /** Cells that the next commit writes. */
  readonly uncommitted: Set<string>;
  /** Cells whose latest value ClickHouse does not have yet. */
  readonly unflushed: Set<string>;
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

export interface WindowChanges {
  readonly written: { name: string; fields: [cell: string, value: string][] }[];
  readonly added: string[];
  readonly deleted: string[];
}

export interface Windows {
  /** False if the hour or day is no longer held: then the count is an adjustment. */
  count(effect: CountEffect, definitions: Definitions, nowMs: number): boolean;
  /** Closes what is no longer held; returns the last values of hours and days that ClickHouse lacks. */
  expire(nowMs: number, definitions: Definitions, version: () => bigint): Aggregate[];
  /** What the next commit writes; calling it says that it is written. */
  changes(): WindowChanges;
  /** Latest values that ClickHouse lacks, as of a committed position; calling it says that they are on their way. */
  flush(version: bigint): Aggregate[];
  hasUnflushed(): boolean;
  /** How many are held. */
  readonly size: number;
  load(name: string, fields: Record<string, string>): void;
}

/** The last one is what ClickHouse has. */
const grainsOf = (series: string): readonly Grain[] => (series === 'northstar' ? ['d'] : ['m', 'h']);

/** The beginning of the hour or day that ClickHouse counts this time in. */
export function bucketStartMs(series: string, timeMs: number): number {
  const lengthMs = grainMs[grainsOf(series).at(-1)!];
  return Math.floor(timeMs / lengthMs) * lengthMs;
}

function columnsOf(series: string, definitions: Definitions): number {
  if (series === 'northstar') return 3;
  const funnel = definitions.funnels.find((candidate: FunnelInForce) => candidate.series === series);
  return funnel?.document.steps.length ?? 1;
}

function heldUntilMs(window: Window, definitions: Definitions): number {
  const { latenessMs, minuteRetentionMs, hourRetentionMs, dayRetentionMs } = definitions.settings;
  const retentionMs = { m: minuteRetentionMs, h: hourRetentionMs, d: dayRetentionMs }[window.grain];
  return (window.bucket + 1) * grainMs[window.grain] + retentionMs + latenessMs;
}

function aggregateOf(window: Window, cell: string, version: bigint): Aggregate {
  const { series, revision, grain, bucket } = window;
  return {
    series,
    revision,
    startMs: bucket * grainMs[grain],
    cell,
    values: [...window.cells.get(cell)!],
    version,
  };
}

function newWindow(
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
    uncommitted: new Set(),
    unflushed: new Set(),
    persisted,
  };
}

/** `<series>:<revision>:<grain><bucket>`, read back. */
function parseName(name: string): Window {
  const [, series, revision, grain, bucket] = /^(.+):(\d+):([mhd])(\d+)$/.exec(name) ?? [];
  if (series === undefined) throw new Error(`the stored window ${JSON.stringify(name)} has no name of ours`);
  return newWindow(series, Number(revision), grain as Grain, Number(bucket), true);
}

/** Windows of one series and revision by grain and bucket, so that a count finds its own without building a name. */
type SeriesWindows = Record<Grain, Map<number, Window>>;

export function createWindows(): Windows {
  const bySeries = new Map<string, SeriesWindows>();
  /** Windows by the watermark at which they are no longer held. */
  const byExpiry = new Map<number, Window[]>();
  let settings: Settings | undefined;
  let nextExpiryMs = Number.POSITIVE_INFINITY;
  let changed = new Set<Window>();
  let unflushed = new Set<Window>();
  let deleted: string[] = [];

  function seriesOf(series: string, revision: number): SeriesWindows {
    const name = `${series}:${revision}`;
    let own = bySeries.get(name);
    if (own === undefined) {
      own = { m: new Map(), h: new Map(), d: new Map() };
      bySeries.set(name, own);
    }
    return own;
  }

  function schedule(window: Window, untilMs: number): void {
    const others = byExpiry.get(untilMs);
    if (others === undefined) byExpiry.set(untilMs, [window]);
    else others.push(window);
    if (untilMs < nextExpiryMs) nextExpiryMs = untilMs;
  }

  /** Another retention or lateness moves every expiry. */
  function follow(definitions: Definitions): void {
    if (settings === definitions.settings) return;
    settings = definitions.settings;
    const all = [...byExpiry.values()].flat();
    byExpiry.clear();
    nextExpiryMs = Number.POSITIVE_INFINITY;
    for (const window of all) schedule(window, heldUntilMs(window, definitions));
  }

  function mark(window: Window, cell: string): void {
    window.uncommitted.add(cell);
    changed.add(window);
    if (window.grain === 'm') return;
    window.unflushed.add(cell);
    unflushed.add(window);
  }

  function windowAt(
    grain: Grain,
    effect: CountEffect,
    definitions: Definitions,
    nowMs: number,
  ): Window | undefined {
    const bucket = Math.floor(effect.timeMs / grainMs[grain]);
    const own = seriesOf(effect.series, effect.revision)[grain];
    const known = own.get(bucket);
    if (known !== undefined) return known;
    const window = newWindow(effect.series, effect.revision, grain, bucket, false);
    const untilMs = heldUntilMs(window, definitions);
    if (untilMs <= nowMs) return undefined;
    own.set(bucket, window);
    schedule(window, untilMs);
    return window;
  }

  function countIn(grain: Grain, effect: CountEffect, definitions: Definitions, nowMs: number): boolean {
    const window = windowAt(grain, effect, definitions, nowMs);
    if (window === undefined) return false;
    const seated =
      window.cells.has(effect.cell) || window.cells.size < definitions.settings.maxCellsPerWindow;
    const cell = seated ? effect.cell : otherCell;
    let values = window.cells.get(cell);
    if (values === undefined) {
      values = new Array<number>(columnsOf(effect.series, definitions)).fill(0);
      window.cells.set(cell, values);
    }
    values[effect.column] = (values[effect.column] ?? 0) + effect.amount;
    mark(window, cell);
    return true;
  }

  function close(window: Window, version: () => bigint, closed: Aggregate[]): void {
    const name = `${window.series}:${window.revision}`;
    bySeries.get(name)?.[window.grain].delete(window.bucket);
    changed.delete(window);
    unflushed.delete(window);
    if (window.persisted) deleted.push(window.name);
    for (const cell of window.unflushed) closed.push(aggregateOf(window, cell, version()));
  }

  function expire(nowMs: number, definitions: Definitions, version: () => bigint): Aggregate[] {
    follow(definitions);
    if (nowMs < nextExpiryMs) return [];
    const closed: Aggregate[] = [];
    nextExpiryMs = Number.POSITIVE_INFINITY;
    for (const [untilMs, windows] of byExpiry) {
      if (untilMs > nowMs) {
        nextExpiryMs = Math.min(nextExpiryMs, untilMs);
        continue;
      }
      byExpiry.delete(untilMs);
      for (const window of windows) close(window, version, closed);
    }
    return closed;
  }

  function changes(): WindowChanges {
    const written: WindowChanges['written'] = [];
    const added: string[] = [];
    for (const window of changed) {
      if (!window.persisted) added.push(window.name);
      window.persisted = true;
      const fields = [...window.uncommitted].map((cell): [string, string] => [
        cell,
        window.cells.get(cell)!.join(','),
      ]);
      written.push({ name: window.name, fields });
      window.uncommitted.clear();
    }
    const result = { written, added, deleted };
    changed = new Set();
    deleted = [];
    return result;
  }

  function flush(version: bigint): Aggregate[] {
    const latest: Aggregate[] = [];
    for (const window of unflushed) {
      for (const cell of window.unflushed) latest.push(aggregateOf(window, cell, version));
      window.unflushed.clear();
    }
    unflushed = new Set();
    return latest;
  }

  function load(name: string, fields: Record<string, string>): void {
    const window = parseName(name);
    for (const [cell, value] of Object.entries(fields)) {
      window.cells.set(cell, value.split(',').map(Number));
      if (window.grain !== 'm') window.unflushed.add(cell);
    }
    seriesOf(window.series, window.revision)[window.grain].set(window.bucket, window);
    if (window.unflushed.size > 0) unflushed.add(window);
    // When it expires is known once the settings in force are.
    settings = undefined;
    schedule(window, Number.POSITIVE_INFINITY);
  }

  return {
    count(effect, definitions, nowMs) {
      follow(definitions);
      let isHeld = true;
      for (const grain of grainsOf(effect.series)) isHeld = countIn(grain, effect, definitions, nowMs);
      return isHeld;
    },
    expire,
    changes,
    flush,
    hasUnflushed: () => unflushed.size > 0,
    get size() {
      return [...byExpiry.values()].reduce((sum, windows) => sum + windows.length, 0);
    },
    load,
  };
}
