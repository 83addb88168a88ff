// What the platforms say was spent: hourly and daily reports with later revisions, and for one campaign notices of
// single wins before the report of their hour. In order of arrival, from one seed.
import type { FeedSpend, SpendNotice, SpendReport } from '../feed.ts';
import { accounts, campaigns, type SimulatedAccount, type SimulatedCampaign } from './campaigns.ts';
import { timeQueue } from './queue.ts';
import { between, logNormal, type Random, randomOf } from './random.ts';
import { activityAt } from './rhythm.ts';
import { countries } from './world.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const MINUTE_MS = 60_000;
/** Only the last hours of the period have notices: older ones would all be replaced by their reports. */
const NOTICES_SPAN_MS = 24 * HOUR_MS;
const NOTICES_AN_HOUR = 12;
const SHARE_REVISED = 0.12;

interface Arriving<Row> {
  readonly arrivalMs: number;
  readonly row: Row;
}

export interface SpendOptions {
  readonly seed: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly idPrefix: string;
}

function utcOffsetOf(country: string): number {
  return countries.find((each) => each.code === country)?.utcOffsetMinutes ?? 0;
}

/** The account's midnight at or before `timeMs`. */
function dayStart(account: SimulatedAccount, timeMs: number): number {
  const offsetMs = account.utcOffsetMinutes * MINUTE_MS;
  return Math.floor((timeMs + offsetMs) / DAY_MS) * DAY_MS - offsetMs;
}

/** The part of its daily budget that an account uses on a day: 0.6 to 1.1, the planted truth. */
export function usageOf(seed: string, account: string, dayStartMs: number): number {
  return between(randomOf(`${seed}/usage/${account}/${dayStartMs}`), 0.6, 1.1);
}

/** The part of a day's spend that falls into the hour at `timeMs`, by the rhythm of the country. */
function hourShare(fromMs: number, timeMs: number, utcOffsetMinutes: number): number {
  let day = 0;
  for (let hour = 0; hour < 24; hour += 1) day += activityAt(fromMs + hour * HOUR_MS, utcOffsetMinutes);
  return activityAt(timeMs, utcOffsetMinutes) / day;
}

function reportOf(
  options: SpendOptions,
  campaign: SimulatedCampaign,
  account: SimulatedAccount,
  country: string,
  periodStartMs: number,
): Arriving<SpendReport> {
  const random = randomOf(`${options.seed}/spend/${campaign.id}/${country}/${periodStartMs}`);
  const day = dayStart(account, periodStartMs);
  const usage = usageOf(options.seed, account.id, day) * account.dailyBudgetMicros * campaign.share;
  const parts = Math.max(1, campaign.countries.length);
  const offset = utcOffsetOf(country);
  const part =
    campaign.period === 'day' ? 1 : hourShare(day, periodStartMs, offset) * logNormal(random, 0.12);
  const costMicros = Math.round((usage / parts) * part);
  const clicks = Math.round((costMicros / campaign.costPerClickMicros) * logNormal(random, 0.2));
  const spanMs = campaign.period === 'day' ? DAY_MS : HOUR_MS;
  const receivedMs = Math.round(periodStartMs + spanMs + between(random, 10, 14) * MINUTE_MS);
  const row: SpendReport = {
    kind: 'report',
    messageId: `${options.idPrefix}-${campaign.id}-${country || 'all'}-${(periodStartMs / HOUR_MS).toString(36)}`,
    campaign: campaign.id,
    channel: campaign.channel,
    country,
    period: campaign.period,
    periodStartMs,
    impressions: Math.round(clicks / campaign.clickRate),
    clicks,
    costMicros,
    currency: account.currency,
    asOfMs: receivedMs - 2 * MINUTE_MS,
  };
  return { arrivalMs: receivedMs, row };
}

/** Some hours are counted again: fraud taken out, late clicks put in. */
function revisionOf({ arrivalMs, row }: Arriving<SpendReport>, seed: string): Arriving<SpendReport> | null {
  const random = randomOf(`${seed}/revision/${row.messageId}`);
  if (random() >= SHARE_REVISED) return null;
  const factor = between(random, 0.94, 1.05);
  const laterMs = Math.round(between(random, 2, 30) * HOUR_MS);
  const revised: SpendReport = {
    ...row,
    messageId: `${row.messageId}-2`,
    clicks: Math.round(row.clicks * factor),
    costMicros: Math.round(row.costMicros * factor),
    asOfMs: row.asOfMs + laterMs,
  };
  return { arrivalMs: arrivalMs + laterMs, row: revised };
}

/** Half of the hour's money in notices: the report that comes later has the rest too. */
function noticesOf(report: SpendReport, random: Random): Arriving<SpendNotice>[] {
  const notices: Arriving<SpendNotice>[] = [];
  const costMicros = Math.floor(report.costMicros / NOTICES_AN_HOUR / 2);
  const { campaign, channel, country, currency } = report;
  for (let index = 0; index < NOTICES_AN_HOUR; index += 1) {
    const winMs = Math.round(report.periodStartMs + between(random, 0, HOUR_MS));
    const bid = `${report.messageId}-b${index}`;
    const base = { kind: 'notice', campaign, channel, country, bid, currency } as const;
    const add = (notice: SpendNotice['notice'], cost: number, afterMs: number): void => {
      const timeMs = winMs + afterMs;
      const row = { ...base, notice, messageId: `${bid}-${notice}`, costMicros: cost, timeMs };
      notices.push({ arrivalMs: timeMs + 300, row });
    };
    add('win', costMicros, 0);
    if (random() < 0.9) add('impression', 0, 700);
    if (random() < 0.04) add('click', 0, 9_000);
  }
  return notices;
}

/** All that is said of one campaign's hour (or day), with what comes later of it. */
function rowsOf(
  options: SpendOptions,
  campaign: SimulatedCampaign,
  account: SimulatedAccount,
  country: string,
  startMs: number,
): Arriving<SpendReport | SpendNotice>[] {
  const report = reportOf(options, campaign, account, country, startMs);
  const revision = revisionOf(report, options.seed);
  const noticed = campaign.notices && startMs >= options.endMs - NOTICES_SPAN_MS;
  const random = randomOf(`${options.seed}/notices/${report.row.messageId}`);
  return [
    report,
    ...(revision === null ? [] : [revision]),
    ...(noticed ? noticesOf(report.row, random) : []),
  ];
}

/** Every row that arrives before `endMs`, in order of arrival. Memory holds two days of rows. */
export function* spendRows(options: SpendOptions): Generator<FeedSpend, void, undefined> {
  const queue = timeQueue<FeedSpend>();
  const firstHour = Math.ceil(options.startMs / HOUR_MS) * HOUR_MS;
  for (let hourMs = firstHour; hourMs < options.endMs; hourMs += HOUR_MS) {
    while (queue.nextMs() < hourMs) yield queue.pop()!;
    for (const campaign of campaigns) {
      const account = accounts.find((each) => each.id === campaign.accountId)!;
      if (campaign.period === 'day' && dayStart(account, hourMs) !== hourMs) continue;
      for (const country of campaign.countries.length === 0 ? [''] : campaign.countries) {
        for (const arriving of rowsOf(options, campaign, account, country, hourMs)) {
          queue.push(arriving.arrivalMs, { to: 'spend', account: account.id, ...arriving });
        }
      }
    }
  }
  while (queue.nextMs() < options.endMs) yield queue.pop()!;
}
