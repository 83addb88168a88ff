// Windows in Redis and the aggregates of hours and days in ClickHouse, cell by cell.
import { readAggregates } from './aggregate-rows.ts';
import type { Fields } from './compare.ts';
import type { EventsScope, Scope } from './scope.ts';
import { addTo, compareGroups, type Grouped } from './table.ts';
import { type ExpectedWindow, GRAIN_MS, windowsOf } from './windows.ts';

const grainNames = { m: 'minutes', h: 'hours', d: 'days' } as const;

/** The windows that Redis holds. */
export function compareWindowsHeld(scope: Scope): void {
  scope.comparison.expectKind('windows minutes', 'windows hours', 'windows days');
  for (const events of scope.events) {
    compareHeld(scope, events, windowsOf(events.people.facts.counts, events.walk));
  }
}

/** All windows of all partitions; Redis holds those that the watermark has not passed, ClickHouse all hours and days. */
export async function compareWindows(scope: Scope): Promise<void> {
  compareWindowsHeld(scope);
  const all = new Map<EventsScope, ExpectedWindow[]>();
  for (const events of scope.events) {
    all.set(events, windowsOf(events.people.facts.counts, events.walk));
  }
  await compareFunnelHours(scope, all);
  await compareNorthStarDays(scope, all);
}

function compareHeld(
  { comparison }: Scope,
  { walk, stored }: EventsScope,
  windows: readonly ExpectedWindow[],
): void {
  const left = new Map(stored.windows);
  for (const { name, grain, cells, held } of windows) {
    if (!held) continue;
    const kind = `windows ${grainNames[grain]}`;
    const actual = left.get(name) ?? {};
    left.delete(name);
    for (const cell of new Set([...cells.keys(), ...Object.keys(actual)])) {
      const where = `events ${walk.partition} window ${name} cell ${cell}`;
      comparison.equal(kind, where, cells.get(cell)?.join(',') ?? 'none', actual[cell] ?? 'missing');
    }
  }
  for (const [name, cells] of left) {
    const grain = /:([mhd])\d+$/.exec(name)?.[1] as keyof typeof grainNames | undefined;
    const kind = `windows ${grain === undefined ? 'minutes' : grainNames[grain]}`;
    comparison.differ(kind, `events ${walk.partition} window ${name}`, 'not held', cells);
  }
}

type AllWindows = ReadonlyMap<EventsScope, readonly ExpectedWindow[]>;

function partsOf(cell: string): Fields {
  const [country = '', industry = '', channel = ''] = cell.split('|');
  return { country, industry, channel };
}

function nameOf(parts: Fields): string {
  return `${parts.country}|${parts.industry}|${parts.channel}`;
}

async function compareFunnelHours(scope: Scope, all: AllWindows): Promise<void> {
  const expected: Grouped = new Map();
  for (const [{ walk }, windows] of all) {
    for (const { series, revision, grain, bucket, cells } of windows) {
      if (grain !== 'h') continue;
      const hour = (bucket * GRAIN_MS.h) / 1_000;
      for (const [cell, steps] of cells) {
        const where = `${series.slice('funnel:'.length)} ${revision} hour ${hour} partition ${walk.partition} cell ${nameOf(partsOf(cell))}`;
        addTo(expected, where, { steps, isReached: true });
      }
    }
  }
  const actual: Grouped = new Map();
  const columns = [
    'funnel',
    'revision',
    ['hour', 'toUnixTimestamp(hour)'] as const,
    'country',
    'industry',
    'channel',
    'partition',
    ['steps', 'arrayMap(x -> toFloat64(x), steps)'] as const,
    ['version', 'toString(version)'] as const,
  ];
  for (const { row, hasMovedOn, isReached } of await readAggregates(
    scope,
    scope.events,
    'funnel_hours',
    columns,
  )) {
    const { funnel, revision, hour, partition, steps } = row;
    const where = `${funnel} ${revision} hour ${hour} partition ${partition} cell ${nameOf(row)}`;
    if (hasMovedOn) expected.delete(where);
    else addTo(actual, where, { steps, isReached });
  }
  compareGroups(scope.comparison, 'funnel_hours rows', expected, actual);
}

async function compareNorthStarDays(scope: Scope, all: AllWindows): Promise<void> {
  const expected: Grouped = new Map();
  for (const [{ walk }, windows] of all) {
    for (const { grain, bucket, cells } of windows) {
      if (grain !== 'd') continue;
      const day = new Date(bucket * GRAIN_MS.d).toISOString().slice(0, 10);
      for (const [cell, [visitors, opportunities, quality]] of cells) {
        const where = `day ${day} partition ${walk.partition} cell ${nameOf(partsOf(cell))}`;
        addTo(expected, where, { visitors, opportunities, quality, isReached: true });
      }
    }
  }
  const actual: Grouped = new Map();
  const columns = [
    ['day', 'toString(day)'] as const,
    'country',
    'industry',
    'channel',
    'partition',
    ['visitors', 'toFloat64(visitors)'] as const,
    ['opportunities', 'toFloat64(opportunities)'] as const,
    ['quality', 'toFloat64(quality_opportunities)'] as const,
    ['version', 'toString(version)'] as const,
  ];
  for (const { row, hasMovedOn, isReached } of await readAggregates(
    scope,
    scope.events,
    'north_star_days',
    columns,
  )) {
    const { day, partition, visitors, opportunities, quality } = row;
    const where = `day ${day} partition ${partition} cell ${nameOf(row)}`;
    if (hasMovedOn) expected.delete(where);
    else addTo(actual, where, { visitors, opportunities, quality, isReached });
  }
  compareGroups(scope.comparison, 'north_star_days rows', expected, actual);
}
