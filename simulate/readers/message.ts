// A row's messages: what readers of behaviour share. Message id: `<format>:<file>:<row>`, with a part where a row says more.
import { basename } from 'node:path';
import type { FeedMessage, SegmentMessage } from '../feed.ts';

export interface RowMessage {
  readonly format: string;
  readonly file: string;
  readonly row: number;
  /** Tells the messages of one row apart. */
  readonly part?: string;
  /** The buyer: `u:…` for a known one, `a:…` for a visitor. */
  readonly key: string;
  readonly timeMs: number;
  /** The site's name for what was done; absent for a page. */
  readonly event?: string;
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly traits?: Readonly<Record<string, unknown>>;
}

export function rowId(format: string, file: string, row: number, part?: string): string {
  return `${format}:${basename(file)}:${row}${part === undefined ? '' : `:${part}`}`;
}

/** A `track`, or a `page` where there is no event; it arrives when it happened. */
export function messageOf(given: RowMessage): FeedMessage {
  const { format, file, row, part, key, timeMs, event, properties = {}, traits } = given;
  const timestamp = new Date(timeMs).toISOString();
  const message: SegmentMessage = {
    type: event === undefined ? 'page' : 'track',
    messageId: rowId(format, file, row, part),
    ...(key.startsWith('u:') ? { userId: key.slice(2) } : { anonymousId: key.slice(2) }),
    ...(event === undefined ? {} : { event }),
    properties,
    ...(traits === undefined ? {} : { context: { traits } }),
    timestamp,
    receivedAt: timestamp,
  };
  return { to: 'events', key, arrivalMs: timeMs, fileRow: row, message };
}

/** Without the members whose text is empty. */
export function present(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ''));
}
