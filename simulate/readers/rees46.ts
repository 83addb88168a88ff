// REES46 multi-category store: one click a row. A cart is read as an inquiry, a purchase as an order.
import type { FeedItem, SegmentMessage } from '../feed.ts';
import { type CsvRow, csvRows, rowError } from './csv-rows.ts';
import { rowId } from './message.ts';
import type { Reader, ReaderOptions } from './reader.ts';
import { decimalOf, timeOf } from './values.ts';

const FORMAT = 'rees46';
const COLUMNS = [
  'event_time',
  'event_type',
  'product_id',
  'category_id',
  'category_code',
  'brand',
  'price',
  'user_id',
  'user_session',
];

/** The site's names for what they did. `remove_from_cart` has no behaviour and is only stored. */
const eventNames: Readonly<Record<string, string>> = {
  view: 'Product Viewed',
  cart: 'Inquiry Sent',
  purchase: 'Order Completed',
  remove_from_cart: 'Product Removed',
};

function messageOf(
  file: string,
  options: ReaderOptions,
  row: CsvRow,
): { key: string; timeMs: number; message: SegmentMessage } {
  const type = row.get('event_type');
  const event = Object.hasOwn(eventNames, type)
    ? eventNames[type]!
    : rowError(file, row, `event_type is ${JSON.stringify(type)}`);
  const userId = row.get('user_id');
  if (userId === '') rowError(file, row, 'user_id is empty');
  const timeMs = timeOf(file, row, 'event_time');
  const timestamp = new Date(timeMs).toISOString();
  const category = row.get('category_code');
  const brand = row.get('brand');
  return {
    key: `u:${userId}`,
    timeMs,
    message: {
      type: 'track',
      messageId: rowId({ format: FORMAT, file, options, row: row.number }),
      userId,
      event,
      properties: {
        productId: row.get('product_id'),
        categoryId: row.get('category_id'),
        ...(category === '' ? {} : { category }),
        ...(brand === '' ? {} : { brand }),
        price: decimalOf(file, row, 'price'),
        currency: 'USD',
        sessionId: row.get('user_session'),
      },
      timestamp,
      receivedAt: timestamp,
    },
  };
}

async function* read(file: string, options: ReaderOptions): AsyncGenerator<FeedItem, void, undefined> {
  for await (const row of csvRows(file, COLUMNS)) {
    const { key, timeMs, message } = messageOf(file, options, row);
    yield { to: 'events', key, arrivalMs: timeMs, fileRow: row.number, message };
  }
}

export const rees46: Reader = {
  format: FORMAT,
  summary: 'clicks of a shop: view, inquiry (cart), order',
  topic: 'events',
  read,
  definitions: async () => [],
};
