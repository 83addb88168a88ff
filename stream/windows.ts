// Rolling windows: counts by cell in minutes (held for an hour), hours (25) and days. The owner keeps them in memory,
// a commit writes absolute values of what changed, and ClickHouse gets the latest value of each hour and day.
import type { Settings } from '../domain/definition.ts';
import type { CountEffect } from '../domain/effect.ts';
import type { Definitions } from '../domain/in-force.ts';
import {
  type Aggregate,
  aggregateOf,
  type Cell,
  columnsOf,
  type Grain,
  grainMs,
  grainsOf,
  heldUntilMs,
  isClosed,
  newWindow,
  otherCell,
  parseName,
  type Window,
} from './window.ts';

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
  /**
   * Latest values that ClickHouse lacks, as of a committed position; calling it says that they are on their way. Not again
   * before `flushed`.
   */
  flush(version: bigint): Aggregate[];
  /**
   * They have arrived, but for those that were refused, which `flush` leaves out until they are to be tried again. Until then a
   * window that closes brings its last values once more: no outbox keeps what is on its way, or was refused.
   */
  flushed(refused: readonly Aggregate[]): void;
  /** One cell of them, each time another: whether those like it would be taken now. */
  tryOneRefused(): void;
  tryRefusedAgain(): void;
  hasRefused(): boolean;
  hasUnflushed(): boolean;
  /** How many are held. */
  readonly size: number;
  load(name: string, fields: Record<string, string>): void;
}

/** Windows of one series and revision by grain and bucket, so that a count finds its own without building a name. */
type SeriesWindows = Record<Grain, Map<number, Window>>;

export function createWindows(): Windows {
  const bySeries = new Map<string, Map<number, SeriesWindows>>();
  /** Windows by the watermark at which they are no longer held. */
  const byExpiry = new Map<number, Window[]>();
  let settings: Settings | undefined;
  let nextExpiryMs = Number.POSITIVE_INFINITY;
  let changed = new Set<Window>();
  let unflushed = new Set<Window>();
  let flushing = new Set<Window>();
  let refused = new Set<Window>();
  let deleted: string[] = [];

  function seriesOf(series: string, revision: number): SeriesWindows {
    let revisions = bySeries.get(series);
    if (revisions === undefined) {
      revisions = new Map();
      bySeries.set(series, revisions);
    }
    let own = revisions.get(revision);
    if (own === undefined) {
      own = { m: new Map(), h: new Map(), d: new Map() };
      revisions.set(revision, own);
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

  function mark(window: Window, cell: Cell): void {
    if (!cell.isUncommitted) {
      cell.isUncommitted = true;
      if (window.uncommitted.push(cell) === 1) changed.add(window);
    }
    if (!cell.isUnflushed && window.grain !== 'm') {
      cell.isUnflushed = true;
      if (window.unflushed.push(cell) === 1) unflushed.add(window);
    }
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
    if (untilMs <= nowMs || isClosed(window, definitions)) return undefined;
    own.set(bucket, window);
    schedule(window, untilMs);
    return window;
  }

  /** A window's cells keep their seats for its life; who finds none is counted with the others that found none. */
  function seat(window: Window, { series, cell }: CountEffect, definitions: Definitions): Cell {
    const name = window.cells.size < definitions.settings.maxCellsPerWindow ? cell : otherCell;
    const seated = window.cells.get(name);
    if (seated !== undefined) return seated;
    const values = new Array<number>(columnsOf(series, definitions)).fill(0);
    const added = { name, values, isUncommitted: false, isUnflushed: false };
    window.cells.set(name, added);
    return added;
  }

  function countIn(grain: Grain, effect: CountEffect, definitions: Definitions, nowMs: number): boolean {
    const window = windowAt(grain, effect, definitions, nowMs);
    if (window === undefined) return false;
    const cell = window.cells.get(effect.cell) ?? seat(window, effect, definitions);
    cell.values[effect.column] = (cell.values[effect.column] ?? 0) + effect.amount;
    mark(window, cell);
    return true;
  }

  function close(window: Window, version: () => bigint, closed: Aggregate[]): void {
    seriesOf(window.series, window.revision)[window.grain].delete(window.bucket);
    changed.delete(window);
    unflushed.delete(window);
    flushing.delete(window);
    refused.delete(window);
    if (window.persisted) deleted.push(window.name);
    for (const cell of new Set([...window.flushing, ...window.unflushed, ...window.refused]))
      closed.push(aggregateOf(window, cell, version()));
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
      const fields = window.uncommitted.map((cell): [string, string] => [cell.name, cell.values.join(',')]);
      written.push({ name: window.name, fields });
      for (const cell of window.uncommitted) cell.isUncommitted = false;
      window.uncommitted = [];
    }
    const result = { written, added, deleted };
    changed = new Set();
    deleted = [];
    return result;
  }

  function flush(version: bigint): Aggregate[] {
    const latest: Aggregate[] = [];
    for (const window of unflushed) {
      for (const cell of window.unflushed) {
        latest.push(aggregateOf(window, cell, version));
        cell.isUnflushed = false;
      }
      window.flushing = window.unflushed;
      window.unflushed = [];
    }
    flushing = unflushed;
    unflushed = new Set();
    return latest;
  }

  /** Of a window that was closed meanwhile, an outbox has the last values. */
  function refuse({ series, revision, startMs, cell: name }: Aggregate): void {
    const grain = grainsOf(series).at(-1)!;
    const window = seriesOf(series, revision)[grain].get(Math.floor(startMs / grainMs[grain]));
    const cell = window?.cells.get(name);
    if (window === undefined || cell === undefined) return;
    window.unflushed = window.unflushed.filter((waiting) => waiting !== cell);
    cell.isUnflushed = true;
    window.refused.push(cell);
    refused.add(window);
  }

  function flushed(those: readonly Aggregate[]): void {
    for (const window of flushing) window.flushing = [];
    flushing = new Set();
    for (const aggregate of those) refuse(aggregate);
  }

  function tryOneRefused(): void {
    const [window] = refused;
    const cell = window?.refused.shift();
    if (window === undefined || cell === undefined) return;
    window.unflushed.push(cell);
    unflushed.add(window);
    // What of it is left stands behind the others.
    refused.delete(window);
    if (window.refused.length > 0) refused.add(window);
  }

  function tryRefusedAgain(): void {
    for (const window of refused) {
      window.unflushed.push(...window.refused);
      window.refused = [];
      unflushed.add(window);
    }
    refused = new Set();
  }

  function load(name: string, fields: Record<string, string>): void {
    const window = parseName(name);
    for (const [name, value] of Object.entries(fields)) {
      const isUnflushed = window.grain !== 'm';
      const cell = { name, values: value.split(',').map(Number), isUncommitted: false, isUnflushed };
      window.cells.set(name, cell);
      if (isUnflushed) window.unflushed.push(cell);
    }
    seriesOf(window.series, window.revision)[window.grain].set(window.bucket, window);
    if (window.unflushed.length > 0) unflushed.add(window);
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
    flushed,
    tryOneRefused,
    tryRefusedAgain,
    hasRefused: () => refused.size > 0,
    hasUnflushed: () => unflushed.size > 0 || refused.size > 0,
    get size() {
      return [...byExpiry.values()].reduce((sum, windows) => sum + windows.length, 0);
    },
    load,
  };
}
