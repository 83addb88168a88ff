// A row's messages: what readers of behaviour share. Message id: `<format>:<file>:<row>`, with a part where a row says more;
// the file by its name and its content, so that two files of one name do not have each other's ids.
import { basename } from 'node:path';
import type { FeedMessage, SegmentMessage } from '../feed.ts';
import type { ReaderOptions } from './reader.ts';

/** Where a row stands. */
export interface RowPlace {
  readonly format: string;
  readonly file: string;
  readonly options: ReaderOptions;
  readonly row: number;
}

export interface RowMessage extends RowPlace {
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

export function rowId({ format, file, options, row }: RowPlace, part?: string): string {
  const name = [basename(file), options.content].filter((text) => text !== undefined).join('-');
  return `${format}:${name}:${row}${part === undefined ? '' : `:${part}`}`;
}

/** A `track`, or a `page` where there is no event; it arrives when it happened. */
export function messageOf(given: RowMessage): FeedMessage {
  const { row, part, key, timeMs, event, properties = {}, traits } = given;
  const timestamp = new Date(timeMs).toISOString();
  const message: SegmentMessage = {
    type: event === undefined ? 'page' : 'track',
    messageId: rowId(given, part),
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
