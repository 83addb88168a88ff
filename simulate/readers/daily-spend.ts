// Daily spend by campaign: one campaign and day a row. Each category (social, search, …) is an account, whose
// campaigns share its budget. The file names no currency.
import type { FeedDefinition, FeedSpend } from '../feed.ts';
import { type CsvRow, csvRows, rowError } from './csv-rows.ts';
import { rowId } from './message.ts';
import type { Reader, ReaderOptions } from './reader.ts';
import { type SeenCampaign, spendDefinitions } from './spend-definitions.ts';
import { countOf, dayOf, microsOf } from './values.ts';

const FORMAT = 'daily-spend';
const COLUMNS = ['c_date', 'campaign_name', 'category', 'campaign_id', 'impressions', 'mark_spent', 'clicks'];
const DAY_MS = 86_400_000;
const ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

interface Line {
  readonly feed: FeedSpend;
  readonly name: string;
}

function idOf(file: string, row: CsvRow, column: string): string {
  const value = row.get(column);
  return ID.test(value) ? value : rowError(file, row, `${column} is ${JSON.stringify(value)}, not an id`);
}

async function* lines(file: string, options: ReaderOptions): AsyncGenerator<Line, void, undefined> {
  for await (const row of csvRows(file, COLUMNS)) {
    const dayMs =
      dayOf(row.get('c_date')) ?? rowError(file, row, `c_date is ${JSON.stringify(row.get('c_date'))}`);
    const account = idOf(file, row, 'category');
    const feed: FeedSpend = {
      to: 'spend',
      account,
      arrivalMs: dayMs + DAY_MS,
      fileRow: row.number,
      row: {
        kind: 'report',
        messageId: rowId({ format: FORMAT, file, options, row: row.number }),
        campaign: idOf(file, row, 'campaign_id'),
        channel: account,
        country: '',
        period: 'day',
        periodStartMs: dayMs,
        impressions: countOf(file, row, 'impressions'),
        clicks: countOf(file, row, 'clicks'),
        costMicros: microsOf(file, row, 'mark_spent'),
        currency: options.currency ?? 'USD',
        asOfMs: dayMs + DAY_MS,
      },
    };
    yield { feed, name: row.get('campaign_name') };
  }
}

async function* read(file: string, options: ReaderOptions): AsyncGenerator<FeedSpend, void, undefined> {
  for await (const { feed } of lines(file, options)) yield feed;
}

async function definitions(file: string, options: ReaderOptions): Promise<FeedDefinition[]> {
  const spent = new Map<string, { micros: number; days: Set<number> }>();
  const campaigns = new Map<string, SeenCampaign>();
  for await (const { feed, name } of lines(file, options)) {
    const { account, row } = feed;
    const seen = spent.get(account) ?? { micros: 0, days: new Set() };
    spent.set(account, seen);
    seen.micros += row.costMicros;
    seen.days.add(feed.arrivalMs);
    campaigns.set(row.campaign, { id: row.campaign, name, accountId: account, channel: account });
  }
  const currency = options.currency ?? 'USD';
  const accounts = [...spent].map(([id, { micros, days }]) => ({
    id,
    name: `Category ${id}`,
    currency,
    meanDayMicros: micros / days.size,
  }));
  return spendDefinitions(accounts, campaigns.values());
}

export const dailySpend: Reader = {
  format: FORMAT,
  summary: 'spend by campaign and day',
  topic: 'spend',
  read,
  definitions,
};
