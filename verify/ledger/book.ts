// One campaign in one channel on one day of its account: the reports held and the notices that still stand beside them.
import { bookReports, type Figures, HOUR_MS, hold, isCounted, judgeReport, type Report } from './reports.ts';

const MINUTE_MS = 60_000;
/** Hours that ended so long ago count as one minute. */
const MINUTES_KEPT_MS = 12 * HOUR_MS;

/** A notice that settled, one by one as it came. */
export interface StandingNotice {
  readonly timeMs: number;
  readonly country: string;
  readonly figures: Figures;
}

export class Book {
  readonly campaign: string;
  readonly channel: string;
  readonly dayMs: number;
  /** What bids with a lease cost here, whatever replaced it. */
  clearedMicros = 0;
  #reports: readonly Report[] = [];
  #notices: StandingNotice[] = [];
  #settled: ReadonlyMap<string, Figures> | undefined;
  #summed: { readonly settled: ReadonlyMap<string, Figures>; readonly micros: number } | undefined;

  constructor(campaign: string, channel: string, dayMs: number) {
    this.campaign = campaign;
    this.channel = channel;
    this.dayMs = dayMs;
  }

  /** What would be settled here after this report. */
  settledAfter(report: Report, watermarkMs: number): number {
    if (this.judge(report) !== 'applied') return this.settledMicros;
    const after = new Book(this.campaign, this.channel, this.dayMs);
    after.#reports = this.#reports;
    after.#notices = this.#notices;
    after.apply(report, watermarkMs);
    return after.settledMicros;
  }

  judge(report: Report): 'applied' | 'late' | 'duplicate' {
    return judgeReport(this.#reports, report);
  }

  /** An applied report: what notices told of its region up to its `asOf` is in it, minute by minute. */
  apply(report: Report, watermarkMs: number): void {
    this.#reports = hold(this.#reports, report);
    const latest = new Map<string, number>();
    for (const notice of this.#notices) {
      const group = this.#groupOf(notice, watermarkMs);
      latest.set(group, Math.max(latest.get(group) ?? 0, notice.timeMs));
    }
    this.#notices = this.#notices.filter((notice) => {
      const lastMs = latest.get(this.#groupOf(notice, watermarkMs))!;
      return !isCounted(report, notice.country, this.#hourOf(notice.timeMs), lastMs);
    });
    this.#settled = undefined;
  }

  /** A notice, unless a held report has counted it. */
  add(notice: StandingNotice): void {
    const hour = this.#hourOf(notice.timeMs);
    if (this.#reports.some((report) => isCounted(report, notice.country, hour, notice.timeMs))) return;
    this.#notices.push(notice);
    this.#settled = undefined;
  }

  /** Settled by `hour|country`; what came to nothing is not there. */
  get settled(): ReadonlyMap<string, Figures> {
    if (this.#settled !== undefined) return this.#settled;
    const sums = bookReports(this.#reports, this.dayMs);
    for (const { timeMs, country, figures } of this.#notices) {
      const place = `${this.#hourOf(timeMs)}|${country}`;
      const sum = sums.get(place) ?? [0, 0, 0];
      sums.set(place, [sum[0] + figures[0], sum[1] + figures[1], sum[2] + figures[2]]);
    }
    for (const [place, figures] of sums) if (figures.every((figure) => figure === 0)) sums.delete(place);
    this.#settled = sums;
    return sums;
  }

  /** Impressions by hour, from reports of hours and notices alone: a day's report does not say when they were. */
  impressionsByHour(): ReadonlyMap<number, number> {
    const sums = new Map<number, number>();
    const add = (hour: number, impressions: number): void => {
      sums.set(hour, (sums.get(hour) ?? 0) + impressions);
    };
    const ofHours = this.#reports.filter(({ hour }) => hour !== undefined);
    for (const [place, [impressions]] of bookReports(ofHours, this.dayMs))
      add(Number(place.split('|')[0]), impressions);
    for (const { timeMs, figures } of this.#notices) add(this.#hourOf(timeMs), figures[0]);
    return sums;
  }

  /** Of all hours and countries. Asked for with every record and step, so it is summed once for each change. */
  get settledMicros(): number {
    const { settled } = this;
    if (this.#summed?.settled !== settled) {
      const micros = [...settled.values()].reduce((sum, [, , costMicros]) => sum + costMicros, 0);
      this.#summed = { settled, micros };
    }
    return this.#summed!.micros;
  }

  #hourOf(timeMs: number): number {
    return Math.floor((timeMs - this.dayMs) / HOUR_MS);
  }

  #groupOf({ timeMs, country }: StandingNotice, watermarkMs: number): string {
    const hour = this.#hourOf(timeMs);
    const hourEndMs = this.dayMs + (hour + 1) * HOUR_MS;
    const isOld = hourEndMs + MINUTES_KEPT_MS <= Math.floor(watermarkMs / HOUR_MS) * HOUR_MS;
    return isOld ? `h${hour}|${country}` : `m${Math.floor(timeMs / MINUTE_MS)}|${country}`;
  }
}
