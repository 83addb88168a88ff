// Clicks in a clothing shop in 2008: one click a row, by day and session. Every click is a view. The set has no time of
// day: the clicks of a day stand twenty seconds apart from its midnight on, in the file's order.
import type { FeedMessage } from '../feed.ts';
import { type CsvRow, csvRows, rowError } from './csv-rows.ts';
import { messageOf } from './message.ts';
import type { Reader, ReaderOptions } from './reader.ts';
import { countOf, dayOf, decimalOf } from './values.ts';

const FORMAT = 'eshop2008';
const COLUMNS = [
  'year',
  'month',
  'day',
  'order',
  'country',
  'session_id',
  'main_category',
  'clothing_model',
  'colour',
  'price',
  'page',
];
const CLICK_MS = 20_000;
const DAY_MS = 86_400_000;

/** By the publisher's numbers from 1 on. Unidentified (12) and the domains that name no country (43 to 47) are `ZZ`. */
const countries =
  'AU AT BE VG KY CX HR CY CZ DK EE ZZ FO FI FR DE GR HU IS IN IE IT LV LT LU MX NL NO PL PT RO RU SM SK SI ES SE CH UA AE GB US ZZ ZZ ZZ ZZ ZZ'.split(
    ' ',
  );
const categories = ['trousers', 'skirts', 'blouses', 'sale'];

function labelOf(file: string, row: CsvRow, column: string, labels: readonly string[]): string {
  return labels[countOf(file, row, column) - 1] ?? rowError(file, row, `${column} is ${row.get(column)}`);
}

function dayOfRow(file: string, row: CsvRow): number {
  const [year, month, day] = ['year', 'month', 'day'].map((column) => row.get(column).padStart(2, '0'));
  const text = `${year}-${month}-${day}`;
  return dayOf(text) ?? rowError(file, row, `year, month and day are ${text}`);
}

async function* read(file: string, options: ReaderOptions): AsyncGenerator<FeedMessage, void, undefined> {
  let dayMs = 0;
  let clicks = 0;
  for await (const row of csvRows(file, COLUMNS)) {
    const rowDayMs = dayOfRow(file, row);
    if (rowDayMs < dayMs) rowError(file, row, 'its day comes before that of the row above');
    clicks = rowDayMs === dayMs ? clicks + 1 : 0;
    dayMs = rowDayMs;
    yield messageOf({
      format: FORMAT,
      file,
      options,
      row: row.number,
      key: `a:session-${row.get('session_id')}`,
      timeMs: dayMs + Math.min(clicks * CLICK_MS, DAY_MS - 1),
      event: 'Product Viewed',
      properties: {
        productId: row.get('clothing_model'),
        category: labelOf(file, row, 'main_category', categories),
        price: decimalOf(file, row, 'price'),
        currency: 'USD',
        country: labelOf(file, row, 'country', countries),
        click: countOf(file, row, 'order'),
        listPage: countOf(file, row, 'page'),
      },
    });
  }
}

export const eshop2008: Reader = {
  format: FORMAT,
  summary: 'clicks of a shop: view',
  topic: 'events',
  read,
  definitions: async () => [],
};
