// An experiment on a landing page: one visit a row, not in the order of time. Whose group and page agree is exposed, and an
// order if converted. Where they disagree nobody knows what was seen: kept as an event without behaviour, and not exposed.
import type { FeedExposure, FeedMessage } from '../feed.ts';
import { type CsvRow, csvRows, rowError } from './csv-rows.ts';
import { experimentDefinition, exposureOf } from './experiments.ts';
import { messageOf } from './message.ts';
import type { Reader, ReaderOptions } from './reader.ts';
import { inTimeOrder } from './time-order.ts';

const FORMAT = 'udacity-ab';
const COLUMNS = ['user_id', 'timestamp', 'group', 'landing_page', 'converted'];
const EXPERIMENT = 'landing-page';
/** The page that a group is meant to see. */
const pages: Readonly<Record<string, string>> = { control: 'old_page', treatment: 'new_page' };
const TIME = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d\.\d{3})\d{3}$/;

function timeOfRow(file: string, row: CsvRow): number {
  const timeMs = Date.parse(row.get('timestamp').replace(TIME, '$1T$2Z'));
  if (Number.isNaN(timeMs) || !TIME.test(row.get('timestamp')))
    rowError(file, row, `timestamp is ${JSON.stringify(row.get('timestamp'))}`);
  return timeMs;
}

function isConverted(file: string, row: CsvRow): boolean {
  const value = row.get('converted');
  if (value !== '0' && value !== '1')
    rowError(file, row, `converted is ${JSON.stringify(value)}, not 0 or 1`);
  return value === '1';
}

async function* rows(
  file: string,
  options: ReaderOptions,
): AsyncGenerator<FeedExposure | FeedMessage, void, undefined> {
  for await (const row of csvRows(file, COLUMNS)) {
    const user = row.get('user_id');
    if (!/^\d+$/.test(user)) rowError(file, row, `user_id is ${JSON.stringify(user)}`);
    const group = row.get('group');
    if (!Object.hasOwn(pages, group)) rowError(file, row, `group is ${JSON.stringify(group)}`);
    const page = row.get('landing_page');
    const converted = isConverted(file, row);
    const timeMs = timeOfRow(file, row);
    const place = { format: FORMAT, file, options, row: row.number, key: `u:${user}`, timeMs };
    const properties = { country: 'ZZ', page };
    if (pages[group] !== page) {
      const event = 'Assignment Unclear';
      yield messageOf({ ...place, part: 'unclear', event, properties: { ...properties, group, converted } });
      continue;
    }
    yield exposureOf({ ...place, experiment: EXPERIMENT, variant: group });
    if (converted) yield messageOf({ ...place, part: 'order', event: 'Order Completed', properties });
  }
}

function read(
  file: string,
  options: ReaderOptions,
): AsyncGenerator<FeedExposure | FeedMessage, void, undefined> {
  return inTimeOrder(rows(file, options));
}

export const udacityAb: Reader = {
  format: FORMAT,
  summary: 'a landing page experiment: exposures, orders',
  topic: 'events',
  read,
  definitions: async () => [experimentDefinition(EXPERIMENT, 'Which landing page', Object.keys(pages))],
};
