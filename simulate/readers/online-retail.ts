// A UK wholesaler's invoices: one line a row, one event an invoice. Lines of an invoice may stand a few rows and a
// minute apart (43 times), so an invoice stays open for a while; events come in the order of their first lines.
import type { FeedMessage, SegmentMessage } from '../feed.ts';
import { countryCodeOf } from './countries.ts';
import { type CsvRow, csvRows, rowError } from './csv-rows.ts';
import { rowId } from './message.ts';
import type { Reader, ReaderOptions } from './reader.ts';
import { decimalOf, timeOf } from './values.ts';

const FORMAT = 'online-retail';
const COLUMNS = ['InvoiceNo', 'StockCode', 'Quantity', 'InvoiceDate', 'UnitPrice', 'CustomerID', 'Country'];
/** No line of an invoice comes later than this after the one before it. */
const OPEN_MS = 120_000;

interface Invoice {
  readonly number: string;
  readonly firstRow: number;
  readonly timeMs: number;
  readonly customer: string;
  readonly country: string;
  lastMs: number;
  lines: number;
  quantity: number;
  valueMicros: number;
}

/** Invoices that begin with C are cancellations, which are no behaviour. */
function eventOf(invoice: string): string {
  return invoice.startsWith('C') ? 'Order Cancelled' : 'Order Completed';
}

function feedOf(file: string, options: ReaderOptions, invoice: Invoice): FeedMessage {
  const timestamp = new Date(invoice.timeMs).toISOString();
  const known = invoice.customer !== '';
  const message: SegmentMessage = {
    type: 'track',
    messageId: rowId({ format: FORMAT, file, options, row: invoice.firstRow }),
    ...(known ? { userId: invoice.customer } : { anonymousId: `invoice-${invoice.number}` }),
    event: eventOf(invoice.number),
    properties: {
      orderId: invoice.number,
      lines: invoice.lines,
      quantity: invoice.quantity,
      value: invoice.valueMicros / 1_000_000,
      currency: 'GBP',
      country: invoice.country,
    },
    timestamp,
    receivedAt: timestamp,
  };
  const key = known ? `u:${invoice.customer}` : `a:invoice-${invoice.number}`;
  return { to: 'events', key, arrivalMs: invoice.timeMs, fileRow: invoice.firstRow, message };
}

/** Adds a row to its invoice, which it opens if need be. */
function addLine(file: string, row: CsvRow, open: Map<string, Invoice>): number {
  const number = row.get('InvoiceNo');
  if (number === '') rowError(file, row, 'InvoiceNo is empty');
  const timeMs = timeOf(file, row, 'InvoiceDate');
  const invoice = open.get(number) ?? {
    number,
    firstRow: row.number,
    timeMs,
    customer: row.get('CustomerID'),
    country: countryCodeOf(row.get('Country')),
    lastMs: timeMs,
    lines: 0,
    quantity: 0,
    valueMicros: 0,
  };
  open.set(number, invoice);
  if (invoice.customer !== row.get('CustomerID')) {
    rowError(file, row, `invoice ${number} has another customer than in row ${invoice.firstRow}`);
  }
  const quantity = decimalOf(file, row, 'Quantity');
  invoice.lastMs = timeMs;
  invoice.lines += 1;
  invoice.quantity += quantity;
  invoice.valueMicros += Math.round(quantity * decimalOf(file, row, 'UnitPrice') * 1_000_000);
  return timeMs;
}

async function* read(file: string, options: ReaderOptions): AsyncGenerator<FeedMessage, void, undefined> {
  const open = new Map<string, Invoice>();
  for await (const row of csvRows(file, COLUMNS)) {
    const nowMs = addLine(file, row, open);
    for (const [number, invoice] of open) {
      if (nowMs - invoice.lastMs <= OPEN_MS) break;
      open.delete(number);
      yield feedOf(file, options, invoice);
    }
  }
  for (const invoice of open.values()) yield feedOf(file, options, invoice);
}

export const onlineRetail: Reader = {
  format: FORMAT,
  summary: "a wholesaler's invoices: order",
  topic: 'events',
  read,
  definitions: async () => [],
};
