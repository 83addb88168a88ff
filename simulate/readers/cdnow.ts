// CDNOW, a seller of CDs, 1997 and 1998: one transaction a row, each an order at the midnight of its day. The file goes by
// customer, so it is put in order; the whole set and its published sample (which has the whole set's ids too) are both read.
import type { FeedMessage } from '../feed.ts';
import { type CsvRow, csvRows, rowError } from './csv-rows.ts';
import { messageOf } from './message.ts';
import type { Reader, ReaderOptions } from './reader.ts';
import { inTimeOrder } from './time-order.ts';
import { countOf, dayOf, decimalOf } from './values.ts';

const FORMAT = 'cdnow';
const COLUMNS = ['date', 'n_cds', 'amount'];

function customerOf(file: string, row: CsvRow): string {
  const column = row.has('master_id') ? 'master_id' : 'customer_id';
  const customer = row.has(column) ? row.get(column) : '';
  return customer === '' ? rowError(file, row, `${column} is empty`) : customer;
}

async function* rows(file: string, options: ReaderOptions): AsyncGenerator<FeedMessage, void, undefined> {
  for await (const row of csvRows(file, COLUMNS)) {
    const day = row.get('date');
    yield messageOf({
      format: FORMAT,
      file,
      options,
      row: row.number,
      key: `u:${customerOf(file, row)}`,
      timeMs: dayOf(day) ?? rowError(file, row, `date is ${JSON.stringify(day)}, not YYYY-MM-DD`),
      event: 'Order Completed',
      properties: {
        quantity: countOf(file, row, 'n_cds'),
        value: decimalOf(file, row, 'amount'),
        currency: 'USD',
        country: 'ZZ',
      },
    });
  }
}

function read(file: string, options: ReaderOptions): AsyncGenerator<FeedMessage, void, undefined> {
  return inTimeOrder(rows(file, options));
}

export const cdnow: Reader = {
  format: FORMAT,
  summary: "a customer base's orders, 1997 and 1998",
  topic: 'events',
  read,
  definitions: async () => [],
};
