// Facebook ads of one advertiser: one ad a row, its whole spend. Each ad is a campaign of ours, each of the three
// advertising campaigns an account. The set has no date of its own (the one in the file was added by others).
import type { FeedDefinition, FeedSpend } from '../feed.ts';
import { type CsvRow, csvRows, rowError } from './csv-rows.ts';
import { rowId } from './message.ts';
import type { Reader, ReaderOptions } from './reader.ts';
import { spendDefinitions } from './spend-definitions.ts';
import { countOf, dateOf, microsOf } from './values.ts';

const FORMAT = 'kag-spend';
const COLUMNS = ['ad_id', 'xyz_campaign_id', 'Impressions', 'Clicks', 'Spent'];
const CHANNEL = 'social';
const DAY_MS = 86_400_000;
const DEFAULT_DATE = '2017-08-17';
const ID = /^[A-Za-z0-9._-]{1,100}$/;

function idOf(file: string, row: CsvRow, column: string, prefix: string): string {
  const value = row.get(column);
  if (!ID.test(value)) rowError(file, row, `${column} is ${JSON.stringify(value)}, not an id`);
  return `${prefix}-${value}`;
}

async function* read(file: string, options: ReaderOptions): AsyncGenerator<FeedSpend, void, undefined> {
  const dayMs = dateOf(options, DEFAULT_DATE);
  for await (const row of csvRows(file, COLUMNS)) {
    const asOfMs = dayMs + DAY_MS;
    yield {
      to: 'spend',
      account: idOf(file, row, 'xyz_campaign_id', 'xyz'),
      arrivalMs: asOfMs,
      fileRow: row.number,
      row: {
        kind: 'report',
        messageId: rowId({ format: FORMAT, file, options, row: row.number }),
        campaign: idOf(file, row, 'ad_id', 'ad'),
        channel: CHANNEL,
        country: '',
        period: 'day',
        periodStartMs: dayMs,
        impressions: countOf(file, row, 'Impressions'),
        clicks: countOf(file, row, 'Clicks'),
        costMicros: microsOf(file, row, 'Spent'),
        currency: options.currency ?? 'USD',
        asOfMs,
      },
    };
  }
}

async function definitions(file: string, options: ReaderOptions): Promise<FeedDefinition[]> {
  const spent = new Map<string, number>();
  const ads = new Map<string, string>();
  for await (const { account, row } of read(file, options)) {
    spent.set(account, (spent.get(account) ?? 0) + row.costMicros);
    ads.set(row.campaign, account);
  }
  const currency = options.currency ?? 'USD';
  return spendDefinitions(
    [...spent].map(([id, meanDayMicros]) => ({ id, name: `Campaign ${id}`, currency, meanDayMicros })),
    [...ads].map(([id, accountId]) => ({ id, name: id, accountId, channel: CHANNEL })),
  );
}

export const kagSpend: Reader = {
  format: FORMAT,
  summary: 'spend by ad, of one day',
  topic: 'spend',
  read,
  definitions,
};
