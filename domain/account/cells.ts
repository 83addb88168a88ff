// Reports of one campaign, channel and day: which of them are in force, and what they come to by hour and country.
// docs/decisions/spend.md, "Reports", says the same in words.
import { DAY_MS, type Figures, HOUR_MS, HOURS, type ReportCell, WHOLE_DAY } from '../account.ts';

/** What is settled in one hour for one country ('' where the country is not known). */
export interface SettledCell {
  hour: number;
  country: string;
  figures: Figures;
}

const FIRST_FIGURE = 3;

function contains(outer: ReportCell, inner: ReportCell): boolean {
  return (outer[0] === '' || outer[0] === inner[0]) && (outer[1] === WHOLE_DAY || outer[1] === inner[1]);
}

function sameFigures(a: ReportCell, b: ReportCell): boolean {
  return a[3] === b[3] && a[4] === b[4] && a[5] === b[5];
}

function compareCells(a: ReportCell, b: ReportCell): number {
  if (a[1] !== b[1]) return a[1] - b[1];
  return a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0;
}

/** What a report comes to among those in force: `late` if a later one has replaced it already. */
export function judgeCell(cells: readonly ReportCell[], cell: ReportCell): 'applied' | 'late' | 'duplicate' {
  for (const held of cells) {
    if (!contains(held, cell)) continue;
    if (compareCells(held, cell) !== 0) {
      if (held[2] >= cell[2]) return 'late';
    } else if (held[2] > cell[2]) {
      return 'late';
    } else if (held[2] === cell[2] && sameFigures(held, cell)) {
      return 'duplicate';
    }
  }
  return 'applied';
}

/** The cells in force after a report that `judgeCell` has found to apply. */
export function withCell(cells: readonly ReportCell[], cell: ReportCell): ReportCell[] {
  const kept = cells.filter((held) => !(contains(cell, held) && held[2] <= cell[2]));
  kept.push(cell);
  return kept.sort(compareCells);
}

/** Whether a report in force has counted what happened in this country, hour and millisecond. */
export function covers(cell: ReportCell, country: string, hour: number, timeMs: number): boolean {
  return (
    (cell[0] === '' || cell[0] === country) &&
    (cell[1] === WHOLE_DAY || cell[1] === hour) &&
    timeMs <= cell[2]
  );
}

/**
 * How much of `value`, a figure of `cell`, lies before `asOfMs`: its spend is taken as even over the time that it has
 * counted. Whole micros, rounded down, without an intermediate result above 2^53.
 */
export function countedBefore(cell: ReportCell, value: number, asOfMs: number, dayMs: number): number {
  const startMs = cell[1] === WHOLE_DAY ? dayMs : dayMs + cell[1] * HOUR_MS;
  const endMs = startMs + (cell[1] === WHOLE_DAY ? DAY_MS : HOUR_MS);
  const lengthMs = Math.min(endMs, cell[2]) - startMs;
  const overlapMs = Math.min(asOfMs - startMs, lengthMs);
  if (overlapMs <= 0) return 0;
  if (overlapMs === lengthMs) return value;
  const rest = value % lengthMs;
  return ((value - rest) / lengthMs) * overlapMs + Math.floor((rest * overlapMs) / lengthMs);
}

interface Arranged {
  readonly countryHours: readonly ReportCell[];
  /** The same by their hour, and by their country. */
  readonly byHour: ReadonlyMap<number, readonly ReportCell[]>;
  readonly byCountry: ReadonlyMap<string, readonly ReportCell[]>;
  readonly hours: readonly ReportCell[];
  readonly countryDays: readonly ReportCell[];
  readonly day: ReportCell | undefined;
}

function groupBy<Key>(
  cells: readonly ReportCell[],
  keyOf: (cell: ReportCell) => Key,
): Map<Key, ReportCell[]> {
  const groups = new Map<Key, ReportCell[]>();
  for (const cell of cells) {
    const group = groups.get(keyOf(cell));
    if (group === undefined) groups.set(keyOf(cell), [cell]);
    else group.push(cell);
  }
  return groups;
}

/** The wide cells that newer ones cover entirely, hour by hour, say nothing any more. */
function arrange(cells: readonly ReportCell[], dayMs: number): Arranged {
  const hours = cells.filter((cell) => cell[0] === '' && cell[1] !== WHOLE_DAY);
  const countryHours = cells.filter((cell) => cell[0] !== '' && cell[1] !== WHOLE_DAY);
  const byCountry = groupBy(countryHours, (cell) => cell[0]);
  const speaks = (wide: ReportCell): boolean => {
    const counted = Math.min(HOURS, Math.ceil((wide[2] - dayMs) / HOUR_MS));
    for (let hour = 0; hour < counted; hour += 1) {
      const isNewer = (cell: ReportCell): boolean => cell[1] === hour && cell[2] > wide[2];
      const isCovered = hours.some(isNewer) || (byCountry.get(wide[0]) ?? []).some(isNewer);
      if (!isCovered) return true;
    }
    return counted <= 0;
  };
  const wideOnes = cells.filter((cell) => cell[1] === WHOLE_DAY && speaks(cell));
  return {
    countryHours,
    byHour: groupBy(countryHours, (cell) => cell[1]),
    byCountry,
    hours,
    countryDays: wideOnes.filter((cell) => cell[0] !== ''),
    day: wideOnes.find((cell) => cell[0] === ''),
  };
}

type Book = (hour: number, country: string, value: number) => void;

/** Books one figure: fine cells as they are, of wider ones what the finer do not show, at the wide cell's first hour. */
function bookFigure(arranged: Arranged, index: number, dayMs: number, book: Book): void {
  const { countryHours, byHour, byCountry, hours, countryDays, day } = arranged;
  const figureOf = (cell: ReportCell): number => cell[index] as number;
  const shownOf = (wide: ReportCell, parts: readonly ReportCell[]): number =>
    parts.reduce((sum, part) => sum + countedBefore(part, figureOf(part), wide[2], dayMs), 0);
  let shownInDay = day === undefined ? 0 : shownOf(day, countryHours);
  for (const cell of countryHours) book(cell[1], cell[0], figureOf(cell));

  // Hours of all countries and days of one country cross: what an hour leaves over may be what a country's day lacks.
  const countryDaysAsOfMs = countryDays.reduce((latest, cell) => Math.max(latest, cell[2]), 0);
  let shared = 0;
  for (const cell of hours) {
    const rest = Math.max(0, figureOf(cell) - shownOf(cell, byHour.get(cell[1]) ?? []));
    book(cell[1], '', rest);
    shared += countedBefore(cell, rest, countryDaysAsOfMs, dayMs);
    if (day !== undefined) shownInDay += countedBefore(cell, rest, day[2], dayMs);
  }
  for (const cell of countryDays) {
    const lacking = Math.max(0, figureOf(cell) - shownOf(cell, byCountry.get(cell[0]) ?? []));
    const rest = Math.max(0, lacking - shared);
    shared -= lacking - rest;
    book(0, cell[0], rest);
    if (day !== undefined) shownInDay += countedBefore(cell, rest, day[2], dayMs);
  }
  if (day !== undefined) book(0, '', Math.max(0, figureOf(day) - shownInDay));
}

/** What the reports in force come to, by hour and country; the order is not defined. */
export function bookReports(cells: readonly ReportCell[], dayMs: number): SettledCell[] {
  if (cells.length === 0) return [];
  const arranged = arrange(cells, dayMs);
  const booked = new Map<string, SettledCell>();
  for (let figure = 0; figure < 3; figure += 1) {
    bookFigure(arranged, FIRST_FIGURE + figure, dayMs, (hour, country, value) => {
      if (value === 0) return;
      const key = `${hour}|${country}`;
      let cell = booked.get(key);
      if (cell === undefined) {
        cell = { hour, country, figures: [0, 0, 0] };
        booked.set(key, cell);
      }
      cell.figures[figure]! += value;
    });
  }
  return [...booked.values()];
}
