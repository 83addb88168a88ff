// Counts gathered into minutes, hours and days, cell by cell, with the seats given in the order of the log.

import type { EventsTopicRecord } from '../domain/record.ts';
import { windowName } from '../platform/keys.ts';
import type { Count } from './facts.ts';
import { type DefinitionHistory, type Epoch, funnelSpans } from './in-force.ts';
import { type Walk, watermarkWhen } from './watermark.ts';

export type Grain = 'm' | 'h' | 'd';

export const GRAIN_MS: Readonly<Record<Grain, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

const OTHER_CELL = 'other||';
const NORTH_STAR_COLUMNS = 3;

export interface ExpectedWindow {
  readonly name: string;
  readonly series: string;
  readonly revision: number;
  readonly grain: Grain;
  readonly bucket: number;
  /** Cell → counts by column. */
  readonly cells: ReadonlyMap<string, readonly number[]>;
  /** The watermark has not passed it: its counters are in Redis. */
  readonly held: boolean;
}

/** A count that came when its hour or day was closed: a row of its own. */
export interface Adjustment {
  readonly count: Count;
  /** Start of the hour or day. */
  readonly startMs: number;
}

/** What came too late for the hours and days that ClickHouse has, in no order. */
export function adjustmentsOf(counts: readonly Count[], walk: Walk<EventsTopicRecord>): Adjustment[] {
  return counts.flatMap((count) => {
    const grain = grainsOf(count.series).at(-1)!;
    if (isHeldFor(count, grain, walk)) return [];
    return [{ count, startMs: Math.floor(count.timeMs / GRAIN_MS[grain]) * GRAIN_MS[grain] }];
  });
}

/** Whether the window was still open when the count came. */
function isHeldFor(count: Count, grain: Grain, walk: Walk<EventsTopicRecord>): boolean {
  const bucket = Math.floor(count.timeMs / GRAIN_MS[grain]);
  return isHeld(grain, bucket, walk.history.at(count.offset), watermarkWhen(walk, count));
}

/** Every window that was ever counted in, from the counts of one partition. */
export function windowsOf(counts: readonly Count[], walk: Walk<EventsTopicRecord>): ExpectedWindow[] {
  const windows = new Map<
    string,
    Omit<ExpectedWindow, 'cells'> & { readonly cells: Map<string, number[]> }
  >();
  const columns = columnsBySeries(walk.history);
  const last = walk.history.at(Number.MAX_SAFE_INTEGER);
  for (const count of [...counts].sort(inLogOrder)) {
    const { series, revision, timeMs, offset } = count;
    const { maxCellsPerWindow } = walk.history.at(offset).settings;
    for (const grain of grainsOf(series)) {
      if (!isHeldFor(count, grain, walk)) continue;
      const bucket = Math.floor(timeMs / GRAIN_MS[grain]);
      const name = windowName(series, revision, grain, bucket);
      let window = windows.get(name);
      if (window === undefined) {
        const held = isHeld(grain, bucket, last, walk.watermarkMs);
        window = { name, series, revision, grain, bucket, cells: new Map(), held };
        windows.set(name, window);
      }
      const { cells } = window;
      const cell = cells.has(count.cell) || cells.size < maxCellsPerWindow ? count.cell : OTHER_CELL;
      const values = cells.get(cell) ?? new Array<number>(columns.get(`${series}:${revision}`) ?? 0).fill(0);
      values[count.column] = (values[count.column] ?? 0) + (count.amount ?? 1);
      cells.set(cell, values);
    }
  }
  return [...windows.values()];
}

function grainsOf(series: string): readonly Grain[] {
  return series === 'northstar' ? ['d'] : ['m', 'h'];
}

function columnsBySeries(history: DefinitionHistory): Map<string, number> {
  const columns = new Map([['northstar:0', NORTH_STAR_COLUMNS]]);
  for (const { id, revision, document } of funnelSpans(history)) {
    columns.set(`funnel:${id}:${revision}`, document.steps.length);
  }
  return columns;
}

interface Retention {
  readonly latenessMs: number;
  readonly minuteRetentionMs: number;
  readonly hourRetentionMs: number;
  readonly dayRetentionMs: number;
}

/** What settings before have closed is not opened again by those that hold it for longer. */
function isHeld(grain: Grain, bucket: number, { settings, letGo }: Epoch, watermarkMs: number): boolean {
  if ((bucket + 1) * GRAIN_MS[grain] <= letGo.closedMs[grain]) return false;
  return heldUntilMs(grain, bucket, settings) > watermarkMs;
}

/** The window is held while the watermark is below this. */
export function heldUntilMs(grain: Grain, bucket: number, settings: Retention): number {
  const retentionMs = {
    m: settings.minuteRetentionMs,
    h: settings.hourRetentionMs,
    d: settings.dayRetentionMs,
  };
  return (bucket + 1) * GRAIN_MS[grain] + retentionMs[grain] + settings.latenessMs;
}

/** By offset; at one offset the timers first, by due time and then by the bytes of the key. */
function inLogOrder(a: Count, b: Count): number {
  if (a.offset !== b.offset) return a.offset - b.offset;
  const dueA = a.dueMs ?? Number.POSITIVE_INFINITY;
  const dueB = b.dueMs ?? Number.POSITIVE_INFINITY;
  if (dueA !== dueB) return dueA - dueB;
  return a.key === b.key ? 0 : Buffer.compare(Buffer.from(a.key), Buffer.from(b.key));
}
