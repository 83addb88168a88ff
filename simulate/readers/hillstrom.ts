// A mail experiment of three arms: one customer a row. Everybody is exposed on the day of the mail; a visit of the two weeks
// after it stands a day later, a purchase two. The set has neither dates nor ids: `--date`, and the row's number.
import type { FeedExposure, FeedMessage } from '../feed.ts';
import { type CsvRow, csvRows, rowError } from './csv-rows.ts';
import { experimentDefinition, exposureOf } from './experiments.ts';
import { messageOf } from './message.ts';
import type { Reader, ReaderOptions } from './reader.ts';
import { dateOf, decimalOf } from './values.ts';

const FORMAT = 'hillstrom';
const COLUMNS = [
  'recency',
  'history_segment',
  'history',
  'zip_code',
  'newbie',
  'channel',
  'segment',
  'visit',
  'conversion',
  'spend',
];
const EXPERIMENT = 'mail';
/** The first is the arm that got none. */
const variants: Readonly<Record<string, string>> = {
  'No E-Mail': 'none',
  'Mens E-Mail': 'mens',
  'Womens E-Mail': 'womens',
};
const DEFAULT_DATE = '2008-03-20';
const DAY_MS = 86_400_000;

const outcomes = [
  { column: 'visit', part: 'visit', event: undefined, days: 1 },
  { column: 'conversion', part: 'order', event: 'Order Completed', days: 2 },
] as const;

function keyOf(row: CsvRow): string {
  return `u:customer-${row.number}`;
}

async function* exposures(
  file: string,
  options: ReaderOptions,
): AsyncGenerator<FeedExposure, void, undefined> {
  const timeMs = dateOf(options, DEFAULT_DATE);
  for await (const row of csvRows(file, COLUMNS)) {
    const segment = row.get('segment');
    const variant = Object.hasOwn(variants, segment)
      ? variants[segment]!
      : rowError(file, row, `segment is ${JSON.stringify(segment)}`);
    const key = keyOf(row);
    const place = { format: FORMAT, file, options, row: row.number };
    yield exposureOf({ ...place, key, experiment: EXPERIMENT, variant, timeMs });
  }
}

async function* messages(
  file: string,
  options: ReaderOptions,
  { column, part, event, days }: (typeof outcomes)[number],
): AsyncGenerator<FeedMessage, void, undefined> {
  const startMs = dateOf(options, DEFAULT_DATE);
  for await (const row of csvRows(file, COLUMNS)) {
    const value = row.get(column);
    if (value !== '0' && value !== '1') rowError(file, row, `${column} is ${JSON.stringify(value)}`);
    if (value === '0') continue;
    yield messageOf({
      format: FORMAT,
      file,
      options,
      row: row.number,
      part,
      key: keyOf(row),
      timeMs: startMs + days * DAY_MS,
      ...(event === undefined ? {} : { event }),
      properties: {
        ...(event === undefined ? {} : { value: decimalOf(file, row, 'spend'), currency: 'USD' }),
        channel: row.get('channel').toLowerCase(),
        area: row.get('zip_code'),
        historySegment: row.get('history_segment'),
        newCustomer: row.get('newbie') === '1',
        country: 'US',
      },
    });
  }
}

/** The file once for the assignments and once for each outcome: no day's rows have to be held. */
async function* read(
  file: string,
  options: ReaderOptions,
): AsyncGenerator<FeedExposure | FeedMessage, void, undefined> {
  yield* exposures(file, options);
  for (const outcome of outcomes) yield* messages(file, options, outcome);
}

export const hillstrom: Reader = {
  format: FORMAT,
  summary: 'a mail experiment: exposures, visits, orders',
  topic: 'events',
  read,
  definitions: async () => [experimentDefinition(EXPERIMENT, 'Which mail', Object.values(variants))],
};
