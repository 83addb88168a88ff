// iPinYou's bid log: impressions (each a win with its price, and an impression) and clicks, one a row, as notices. The
// advertiser is the account, each creative a campaign. Not in the order of time; some bids come twice.
import type { FeedDefinition, FeedSpend, SpendNotice } from '../feed.ts';
import { type CsvRow, csvRows, rowError } from './csv-rows.ts';
import { rowId } from './message.ts';
import type { Reader, ReaderOptions } from './reader.ts';
import { type SeenCampaign, spendDefinitions } from './spend-definitions.ts';
import { inTimeOrder } from './time-order.ts';
import { countOf } from './values.ts';

const FORMAT = 'ipinyou';
const COLUMNS = ['bid_id', 'timestamp', 'log_type', 'creative_id', 'paying_price', 'advertiser_id'];
const CHANNEL = 'display';
const CURRENCY = 'CNY';
/** The log is written in China's time. */
const UTC_OFFSET_MINUTES = 480;
/** A price is in CNY for a thousand impressions. */
const MICROS_PER_PRICE = 1_000;
const TIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d{3})$/;
const ID = /^[A-Za-z0-9]{1,64}$/;

function timeOfRow(file: string, row: CsvRow): number {
  const iso = row.get('timestamp').replace(TIME, '$1-$2-$3T$4:$5:$6.$7Z');
  const timeMs = iso.length === 24 ? Date.parse(iso) : Number.NaN;
  if (Number.isNaN(timeMs)) rowError(file, row, `timestamp is ${JSON.stringify(row.get('timestamp'))}`);
  return timeMs - UTC_OFFSET_MINUTES * 60_000;
}

function idOf(file: string, row: CsvRow, column: string): string {
  const id = row.get(column);
  return ID.test(id) ? id : rowError(file, row, `${column} is ${JSON.stringify(id)}, not an id`);
}

function noticesOf(file: string, row: CsvRow): readonly SpendNotice['notice'][] {
  const type = row.get('log_type');
  if (type === '1') return ['win', 'impression'];
  return type === '2' ? ['click'] : rowError(file, row, `log_type is ${JSON.stringify(type)}, not 1 or 2`);
}

async function* rows(file: string, options: ReaderOptions): AsyncGenerator<FeedSpend, void, undefined> {
  for await (const row of csvRows(file, COLUMNS)) {
    const timeMs = timeOfRow(file, row);
    const account = `advertiser-${idOf(file, row, 'advertiser_id')}`;
    const campaign = `creative-${idOf(file, row, 'creative_id')}`;
    const bid = idOf(file, row, 'bid_id');
    const price = countOf(file, row, 'paying_price');
    for (const notice of noticesOf(file, row)) {
      yield {
        to: 'spend',
        account,
        arrivalMs: timeMs,
        fileRow: row.number,
        row: {
          kind: 'notice',
          messageId: rowId({ format: FORMAT, file, options, row: row.number }, notice),
          notice,
          campaign,
          channel: CHANNEL,
          country: 'CN',
          bid,
          costMicros: notice === 'win' ? price * MICROS_PER_PRICE : 0,
          currency: CURRENCY,
          timeMs,
        },
      };
    }
  }
}

function read(file: string, options: ReaderOptions): AsyncGenerator<FeedSpend, void, undefined> {
  return inTimeOrder(rows(file, options));
}

async function definitions(file: string, options: ReaderOptions): Promise<FeedDefinition[]> {
  const spent = new Map<string, number>();
  const campaigns = new Map<string, SeenCampaign>();
  for await (const { account, row } of rows(file, options)) {
    spent.set(account, (spent.get(account) ?? 0) + row.costMicros);
    const { campaign: id } = row;
    campaigns.set(id, { id, name: id, accountId: account, channel: CHANNEL });
  }
  return spendDefinitions(
    [...spent].map(([id, meanDayMicros]) => ({ id, name: id, currency: CURRENCY, meanDayMicros })),
    campaigns.values(),
  );
}

export const ipinyou: Reader = {
  format: FORMAT,
  summary: 'wins, impressions and clicks of an exchange',
  topic: 'spend',
  read,
  definitions,
};
