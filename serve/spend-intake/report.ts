// One row of a platform's report becomes one record of the log: the absolute figures of its cell.
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { ReportRecord } from '../../domain/spend-record.ts';
import { compileValidator, faultsOfOne } from '../../platform/validate.ts';
import type { DefinitionView } from '../dependencies.ts';
import { FUTURE_MS_MAX } from '../time.ts';
import { countOf } from './amount.ts';
import { allOf, isFault, type SpendFault, spendFault } from './fault.ts';
import {
  type CampaignAccount,
  channelOf,
  costOf,
  countryOfCell,
  currencyOf,
  lookUpCampaign,
  offsetOf,
  present,
  type Receipt,
  receiptOf,
  timeOf,
} from './fields.ts';
import { misspeltName } from './misspelt.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
const REVISION_MAX = 999;

const textField = z.string().max(256).nullable().optional();
const numberField = z.union([z.string(), z.number()]).nullable().optional();

/** A row as JSON; CSV has the same names as its header, and text throughout. */
export const reportRow = z
  .looseObject({
    campaign: z.string().min(1).max(128),
    channel: textField.describe("'' or absent: the campaign's own"),
    country: textField.describe("ISO 3166-1 alpha-2, ZZ: not known; '' or absent: all countries"),
    period: z
      .enum(['hour', 'day', ''])
      .nullable()
      .optional()
      .describe('absent: day for a date, hour for a time'),
    start: z
      .union([z.string(), z.number()])
      .describe(
        "a date (the account's own day) or an ISO 8601 time (the account's own unless it says its offset)",
      ),
    impressions: numberField,
    clicks: numberField,
    cost: numberField.describe('decimal, in the currency: "12.34"'),
    costMicros: numberField.describe('instead of cost: millionths'),
    currency: textField.describe("absent: the account's"),
    asOf: numberField.describe(
      "up to when the platform had counted, a date or a time as start's: of a date, its midnight, when nothing of that day was counted; absent, or ahead of the receipt: now",
    ),
    revision: numberField.describe(
      '0 to 999; of rows with the same asOf (to the second) the higher one stays',
    ),
    receivedAt: numberField.describe('supplied by replays'),
  })
  .meta({
    description: 'Absolute figures of campaign × channel × country × period. A later asOf replaces them.',
  });
type ReportRow = z.infer<typeof reportRow>;

const validate = compileValidator(reportRow);
const columns = Object.keys(reportRow.shape);

export interface ReportContext {
  readonly definitions: DefinitionView;
  readonly nowMs: number;
}

export interface TakenReport {
  readonly taken: true;
  readonly record: ReportRecord;
}

interface Period {
  readonly period: 'hour' | 'day';
  readonly periodStart: number;
}

/** Days and hours are the account's own: a date is its midnight, a time must begin an hour or a day there. */
function periodOf(row: ReportRow, utcOffsetMinutes: number): Period | SpendFault {
  const offsetMs = utcOffsetMinutes * MINUTE_MS;
  const isDate = typeof row.start === 'string' && /^\d{4}-\d{2}-\d{2}$/.test(row.start.trim());
  const periodStart = timeOf('start', row.start, utcOffsetMinutes, Number.POSITIVE_INFINITY);
  if (isFault(periodStart)) return periodStart;
  const period = row.period || (isDate ? 'day' : 'hour');
  const lengthMs = period === 'day' ? DAY_MS : HOUR_MS;
  if ((periodStart + offsetMs) % lengthMs !== 0) {
    return spendFault(
      'misaligned',
      `start ${JSON.stringify(row.start)} does not begin ${period === 'day' ? 'a day' : 'an hour'} of the account (UTC offset ${utcOffsetMinutes} minutes)`,
    );
  }
  return { period, periodStart };
}

interface Times {
  readonly receipt: Receipt;
  /** Up to when the platform had counted. */
  readonly countedMs: number;
  /** The same with the row's revision. */
  readonly revisedMs: number;
}

/**
 * `asOf` with the revision as its milliseconds, so that of two rows as of the same second the higher revision stays: in the last
 * second that is over at the receipt, up to which the ledger reads it.
 */
function revised(
  countedMs: number,
  receivedAt: number,
  given: string | number | undefined,
): number | SpendFault {
  if (given === undefined) return countedMs;
  const revision = Number(given);
  if (Number.isInteger(revision) && revision >= 0 && revision <= REVISION_MAX) {
    return Math.floor(Math.min(countedMs, receivedAt - REVISION_MAX) / 1_000) * 1_000 + revision;
  }
  return spendFault(
    'invalid',
    `revision ${JSON.stringify(given)} is not a whole number from 0 to ${REVISION_MAX}`,
  );
}

/** A platform whose clock is ahead has counted nothing that came after the receipt: the ledger reads `asOf` so, and so is it judged. */
function timesOf(row: ReportRow, utcOffsetMinutes: number, nowMs: number): Times | SpendFault {
  const receipt = receiptOf(row.receivedAt, utcOffsetMinutes, nowMs);
  if (isFault(receipt)) return receipt;
  const { receivedAt } = receipt;
  const given = present(row.asOf);
  const saidMs =
    given === undefined ? receivedAt : timeOf('asOf', given, utcOffsetMinutes, receivedAt + FUTURE_MS_MAX);
  if (isFault(saidMs)) return saidMs;
  const countedMs = Math.min(saidMs, receivedAt);
  const revisedMs = revised(countedMs, receivedAt, present(row.revision));
  return isFault(revisedMs) ? revisedMs : { receipt, countedMs, revisedMs };
}

/**
 * `asOf` of the record, never before its period. What has counted nothing of the period replaces no notice: figures of it would be
 * settled beside all of them.
 */
function asOfOf(
  { periodStart }: Period,
  { countedMs, revisedMs }: Times,
  isZero: boolean,
): number | SpendFault {
  const asOf = Math.max(periodStart, revisedMs);
  if (countedMs < periodStart) {
    const counted = new Date(countedMs).toISOString();
    return spendFault('future', `the period begins after what the figures are as of, ${counted}`);
  }
  if (isZero || (countedMs > periodStart && asOf > periodStart)) return asOf;
  return spendFault(
    'future',
    `figures as of ${new Date(asOf).toISOString()}, the beginning of their period, have counted nothing of it: send up to when they were counted, or leave asOf out`,
  );
}

/** The same figures for the same cell as of the same time are the same message, however often they are sent. */
function messageIdOf(record: Omit<ReportRecord, 'messageId' | 'kind'>): string {
  const { campaign, channel, country, period, periodStart, asOf, impressions, clicks, costMicros } = record;
  const parts = [campaign, channel, country, period, periodStart, asOf, impressions, clicks, costMicros];
  return `report:${createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 32)}`;
}

/** What only the campaign's account tells. */
function ownOf(row: ReportRow, { accountId: account, account: payer, campaign }: CampaignAccount) {
  return allOf({
    account,
    channel: channelOf(row.channel, campaign),
    currency: currencyOf(row.currency, payer),
    period: periodOf(row, payer.utcOffsetMinutes),
  });
}

/** The record of one row, or all of why it is not taken. */
export function takeReport(given: unknown, context: ReportContext): TakenReport | SpendFault {
  const validated = validate(given);
  if (!validated.ok) return spendFault('invalid', faultsOfOne(validated.errors, 'a row'));
  const misspelt = misspeltName(validated.value, columns);
  if (misspelt !== undefined) return spendFault('invalid', misspelt);
  const row = validated.value;
  const found = lookUpCampaign(context.definitions, row.campaign);
  const parts = allOf({
    own: isFault(found) ? found : ownOf(row, found),
    country: countryOfCell(row.country),
    costMicros: costOf(row),
    impressions: countOf('impressions', present(row.impressions)),
    clicks: countOf('clicks', present(row.clicks)),
    times: timesOf(row, offsetOf(found), context.nowMs),
  });
  if (isFault(parts)) return parts;
  const { own, times, country, ...figures } = parts;
  const { account, channel, currency, period } = own;
  const isZero = Object.values(figures).every((figure) => figure === 0);
  const asOf = asOfOf(period, times, isZero);
  if (isFault(asOf)) return asOf;
  const { campaign } = row;
  const received = { ...times.receipt, asOf };
  const cell = { account, campaign, channel, ...period, country, ...figures, currency, ...received };
  return { taken: true, record: { kind: 'report', messageId: messageIdOf(cell), ...cell } };
}
