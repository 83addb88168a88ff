// Sellers who want to join a marketplace: leads (an inquiry on the day of their first contact) and the deals that were won
// (an order), which stand in a file of their own beside the leads and are merged in. One deal was won before its contact.
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { FeedDefinition, FeedMessage } from '../feed.ts';
import { type CsvRow, csvRows, rowError } from './csv-rows.ts';
import { messageOf, present } from './message.ts';
import type { Reader, ReaderOptions } from './reader.ts';
import { inTimeOrder } from './time-order.ts';
import { dayOf, timeOf } from './values.ts';

const FORMAT = 'olist';
const LEAD_COLUMNS = ['mql_id', 'first_contact_date', 'landing_page_id', 'origin'];
const DEAL_COLUMNS = ['mql_id', 'seller_id', 'won_date', 'business_segment', 'lead_type', 'business_type'];
const LEADS = 'olist_marketing_qualified_leads';
const DEALS = 'olist_closed_deals';

function keyOf(file: string, row: CsvRow): string {
  const lead = row.get('mql_id');
  return lead === '' ? rowError(file, row, 'mql_id is empty') : `u:${lead}`;
}

/** The marketplace is Brazil's. */
const COUNTRY = 'BR';

async function* leads(file: string, options: ReaderOptions): AsyncGenerator<FeedMessage, void, undefined> {
  for await (const row of csvRows(file, LEAD_COLUMNS)) {
    const day = row.get('first_contact_date');
    yield messageOf({
      format: FORMAT,
      file,
      options,
      row: row.number,
      key: keyOf(file, row),
      timeMs: dayOf(day) ?? rowError(file, row, `first_contact_date is ${JSON.stringify(day)}`),
      event: 'Inquiry Sent',
      properties: present({
        country: COUNTRY,
        channel: row.get('origin'),
        landingPage: row.get('landing_page_id'),
      }),
    });
  }
}

async function* deals(file: string, options: ReaderOptions): AsyncGenerator<FeedMessage, void, undefined> {
  for await (const row of csvRows(file, DEAL_COLUMNS)) {
    yield messageOf({
      format: FORMAT,
      file,
      options,
      row: row.number,
      key: keyOf(file, row),
      timeMs: timeOf(file, row, 'won_date'),
      event: 'Order Completed',
      properties: present({
        orderId: row.get('seller_id'),
        country: COUNTRY,
        industry: row.get('business_segment'),
        leadType: row.get('lead_type'),
        businessType: row.get('business_type'),
      }),
    });
  }
}

/** The deals beside the leads, if the leads have their published name and the deals are there. */
function dealsBeside(file: string): string | null {
  const name = basename(file);
  if (!name.includes(LEADS)) return null;
  const beside = join(dirname(file), name.replace(LEADS, DEALS));
  return existsSync(beside) ? beside : null;
}

async function* both(file: string, options: ReaderOptions): AsyncGenerator<FeedMessage, void, undefined> {
  yield* leads(file, options);
  const beside = dealsBeside(file);
  if (beside !== null) yield* deals(beside, options);
}

function read(file: string, options: ReaderOptions): AsyncGenerator<FeedMessage, void, undefined> {
  return inTimeOrder(both(file, options));
}

const definitions: readonly FeedDefinition[] = [
  {
    type: 'funnel',
    id: 'seller',
    document: {
      name: 'From a lead to a won seller',
      steps: ['inquiry', 'order'],
      windowMs: 500 * 86_400_000,
    },
  },
];

export const olist: Reader = {
  format: FORMAT,
  summary: "sellers' leads and won deals: inquiry, order",
  topic: 'events',
  read,
  beside: dealsBeside,
  definitions: async () => [...definitions],
};
