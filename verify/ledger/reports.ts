// What the reports of one campaign, channel and day come to by hour and country: docs/decisions/spend.md, "Reports",
// written down a second time, in whole numbers of any size.
import type { ReportRecord } from '../../domain/spend-record.ts';

export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;

/** Impressions, clicks, cost in micros. */
export type Figures = readonly [impressions: number, clicks: number, costMicros: number];

export interface Report {
  /** '' = all countries. */
  readonly country: string;
  /** Hour of the account's day; undefined for its whole day. */
  readonly hour: number | undefined;
  readonly asOfMs: number;
  readonly figures: Figures;
}

export function reportOf(record: ReportRecord, dayMs: number): Report {
  return {
    country: record.country,
    hour: record.period === 'day' ? undefined : (record.periodStart - dayMs) / HOUR_MS,
    asOfMs: Math.min(record.asOf, record.receivedAt),
    figures: [record.impressions, record.clicks, record.costMicros],
  };
}

function containsRegion(
  outer: Report,
  inner: { readonly country: string; readonly hour: number | undefined },
): boolean {
  return (
    (outer.country === '' || outer.country === inner.country) &&
    (outer.hour === undefined || outer.hour === inner.hour)
  );
}

export function isCounted(report: Report, country: string, hour: number, timeMs: number): boolean {
  return containsRegion(report, { country, hour }) && timeMs <= report.asOfMs;
}

function isSameCell(a: Report, b: Report): boolean {
  return a.country === b.country && a.hour === b.hour;
}

/** Among the reports that are held. */
export function judgeReport(held: readonly Report[], report: Report): 'applied' | 'late' | 'duplicate' {
  const wider = held.filter((each) => containsRegion(each, report));
  const same = wider.find((each) => isSameCell(each, report));
  const isOutdone = wider.some((each) =>
    each === same ? each.asOfMs > report.asOfMs : each.asOfMs >= report.asOfMs,
  );
  if (isOutdone) return 'late';
  const repeats =
    same?.asOfMs === report.asOfMs && same.figures.every((figure, index) => figure === report.figures[index]);
  return repeats ? 'duplicate' : 'applied';
}

/** Held reports after an applied one: what it contains and is no newer is gone. */
export function hold(held: readonly Report[], report: Report): Report[] {
  const isGone = (each: Report): boolean => containsRegion(report, each) && each.asOfMs <= report.asOfMs;
  return [...held.filter((each) => !isGone(each)), report];
}

/** The part of a figure that its cell had counted before a time, as if it came evenly. */
function before(report: Report, figure: number, timeMs: number, dayMs: number): number {
  const startMs = dayMs + (report.hour ?? 0) * HOUR_MS;
  const endMs = startMs + (report.hour === undefined ? DAY_MS : HOUR_MS);
  const lengthMs = Math.min(endMs, report.asOfMs) - startMs;
  const partMs = Math.min(timeMs - startMs, lengthMs);
  if (partMs <= 0) return 0;
  return Number((BigInt(figure) * BigInt(partMs)) / BigInt(lengthMs));
}

/** Step 1: every hour that it counted has newer word. */
function isSilent(day: Report, reports: readonly Report[], dayMs: number): boolean {
  const hours = [...Array(24).keys()].filter((hour) => dayMs + hour * HOUR_MS < day.asOfMs);
  return (
    hours.length > 0 &&
    hours.every((hour) =>
      reports.some(
        (each) =>
          each.hour === hour &&
          each.asOfMs > day.asOfMs &&
          (each.country === '' || each.country === day.country),
      ),
    )
  );
}

/** A sum for one hour and country ('' where it is not known). */
export interface Booked {
  readonly hour: number;
  readonly country: string;
  readonly amount: number;
  /** The report whose figure it is a part of. */
  readonly report: Report;
}

/** Steps 2 to 5 for one of the three figures. */
function bookFigure(reports: readonly Report[], index: 0 | 1 | 2, dayMs: number): Booked[] {
  const byCountry = (a: Report, b: Report): number => (a.country < b.country ? -1 : 1);
  const speaking = reports.filter((each) => each.hour !== undefined || !isSilent(each, reports, dayMs));
  const countryHours = speaking.filter((each) => each.hour !== undefined && each.country !== '');
  const wholeHours = speaking.filter((each) => each.hour !== undefined && each.country === '');
  const countryDays = speaking
    .filter((each) => each.hour === undefined && each.country !== '')
    .sort(byCountry);
  const wholeDay = speaking.find((each) => each.hour === undefined && each.country === '');

  const booked: Booked[] = [];
  const book = (report: Report, amount: number): void => {
    booked.push({ hour: report.hour ?? 0, country: report.country, amount, report });
  };
  const beyond = (wide: Report, parts: readonly Report[]): number => {
    const known = parts.reduce((sum, part) => sum + before(part, part.figures[index], wide.asOfMs, dayMs), 0);
    return Math.max(0, wide.figures[index] - known);
  };
  for (const hour of countryHours) book(hour, hour.figures[index]);
  for (const hour of wholeHours) {
    book(
      hour,
      beyond(
        hour,
        countryHours.filter((each) => each.hour === hour.hour),
      ),
    );
  }
  const latestMs = Math.max(0, ...countryDays.map(({ asOfMs }) => asOfMs));
  let shared = booked
    .filter(({ report }) => wholeHours.includes(report))
    .reduce((sum, { report, amount }) => sum + before(report, amount, latestMs, dayMs), 0);
  for (const day of countryDays) {
    const lacking = beyond(
      day,
      countryHours.filter((each) => each.country === day.country),
    );
    const taken = Math.min(lacking, Math.max(0, shared));
    shared -= taken;
    book(day, lacking - taken);
  }
  if (wholeDay !== undefined) {
    const known = booked.reduce(
      (sum, { report, amount }) => sum + before(report, amount, wholeDay.asOfMs, dayMs),
      0,
    );
    book(wholeDay, Math.max(0, wholeDay.figures[index] - known));
  }
  return booked;
}

/** What held reports come to, by `hour|country`. */
export function bookReports(
  reports: readonly Report[],
  dayMs: number,
): Map<string, [number, number, number]> {
  const sums = new Map<string, [number, number, number]>();
  for (const index of [0, 1, 2] as const) {
    for (const { hour, country, amount } of bookFigure(reports, index, dayMs)) {
      const place = `${hour}|${country}`;
      const figures = sums.get(place) ?? [0, 0, 0];
      figures[index] += amount;
      sums.set(place, figures);
    }
  }
  return sums;
}
