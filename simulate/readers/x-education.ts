// Leads of a seller of courses: one lead a row. Each is an inquiry; before it a visit if the site was visited, and a contact
// if it came by the chat; after it an order if it was converted. What was filled in after the contact is left out: it
// would tell the outcome. The set has no times: leads stand ten seconds apart, in the file's order.
import type { FeedDefinition, FeedMessage } from '../feed.ts';
import { countryCodeOf } from './countries.ts';
import { type CsvRow, csvRows, rowError } from './csv-rows.ts';
import { messageOf, present } from './message.ts';
import type { Reader, ReaderOptions } from './reader.ts';
import { dateOf, decimalOf } from './values.ts';

const FORMAT = 'x-education';
const COLUMNS = [
  'Lead Number',
  'Lead Origin',
  'Lead Source',
  'Converted',
  'TotalVisits',
  'Total Time Spent on Website',
  'Country',
  'Specialization',
  'What is your current occupation',
];
const DEFAULT_DATE = '2018-01-01';
const LEAD_MS = 10_000;
const STEP_MS = 1_000;

/** `Select` is what the form shows where nothing was chosen. */
function answered(row: CsvRow, column: string): string {
  const value = row.get(column);
  return value === 'Select' ? '' : value;
}

function isConverted(file: string, row: CsvRow): boolean {
  const value = row.get('Converted');
  if (value !== '0' && value !== '1')
    rowError(file, row, `Converted is ${JSON.stringify(value)}, not 0 or 1`);
  return value === '1';
}

/** What the lead did, in order: the part of the id, and the event (none for a visit). */
function stepsOf(file: string, row: CsvRow): [part: string, event: string | undefined][] {
  const visits = row.get('TotalVisits') === '' ? 0 : decimalOf(file, row, 'TotalVisits');
  return [
    ...(visits > 0 ? [['visit', undefined] as [string, undefined]] : []),
    ...(row.get('Lead Source') === 'Olark Chat'
      ? [['contact', 'Supplier Contacted'] as [string, string]]
      : []),
    ['inquiry', 'Inquiry Sent'],
    ...(isConverted(file, row) ? [['order', 'Order Completed'] as [string, string]] : []),
  ];
}

async function* read(file: string, options: ReaderOptions): AsyncGenerator<FeedMessage, void, undefined> {
  const startMs = dateOf(options, DEFAULT_DATE);
  for await (const row of csvRows(file, COLUMNS)) {
    const lead = row.get('Lead Number');
    if (!/^\d+$/.test(lead)) rowError(file, row, `Lead Number is ${JSON.stringify(lead)}`);
    const properties = present({
      country: countryCodeOf(row.get('Country')),
      channel: row.get('Lead Source').toLowerCase(),
      industry: answered(row, 'Specialization'),
      occupation: answered(row, 'What is your current occupation'),
      origin: row.get('Lead Origin'),
      visits: row.get('TotalVisits'),
      secondsOnSite: row.get('Total Time Spent on Website'),
    });
    for (const [index, [part, event]] of stepsOf(file, row).entries()) {
      yield messageOf({
        format: FORMAT,
        file,
        options,
        row: row.number,
        part,
        key: `u:lead-${lead}`,
        timeMs: startMs + row.number * LEAD_MS + index * STEP_MS,
        ...(event === undefined ? {} : { event }),
        properties,
      });
    }
  }
}

const definitions: readonly FeedDefinition[] = [
  {
    type: 'funnel',
    id: 'lead',
    document: { name: 'From a lead to a customer', steps: ['inquiry', 'order'], windowMs: 86_400_000 },
  },
];

export const xEducation: Reader = {
  format: FORMAT,
  summary: 'leads: visit, contact, inquiry, order',
  topic: 'events',
  read,
  definitions: async () => [...definitions],
};
