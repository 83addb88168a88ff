// Where a feed comes from: the simulated marketplace, or a file by its format.

import type { FeedDefinition, FeedItem, FeedMessage, FeedSpend } from '../../simulate/feed.ts';
import { createMarketplace } from '../../simulate/marketplace/marketplace.ts';
import { spendRows } from '../../simulate/marketplace/spend.ts';
import { contentOf, type FileContent } from '../../simulate/readers/csv-rows.ts';
import type { Reader, ReaderOptions } from '../../simulate/readers/reader.ts';
import { readers } from '../../simulate/readers/readers.ts';
import { FeedError } from './post.ts';

const DAY_MS = 86_400_000;
export const SIMULATED_DAYS = 30;
export const SIMULATED_BUYERS = 20_000;
export const DEFAULT_SEED = 'flywheel';

export interface Source {
  /** In order of arrival; the same each time. */
  readonly items: Iterable<FeedItem> | AsyncIterable<FeedItem>;
  /** Accounts and campaigns that must be in force before. */
  readonly definitions: readonly FeedDefinition[];
  /** How much of the source has passed with this item, in [0, 1]. */
  shareOf(item: FeedItem): number;
}

export const formats: readonly string[] = ['simulate', ...readers.map((reader) => reader.format)];

function* mergedByArrival(
  messages: Generator<FeedMessage>,
  rows: Generator<FeedSpend>,
): Generator<FeedItem, void, undefined> {
  let row = rows.next();
  for (const message of messages) {
    while (!row.done && row.value.arrivalMs <= message.arrivalMs) {
      yield row.value;
      row = rows.next();
    }
    yield message;
  }
  while (!row.done) {
    yield row.value;
    row = rows.next();
  }
}

/** The default input: the marketplace of `seed` in the 30 days up to `endMs`, with its spend. */
export function simulatedSource(seed: string, endMs: number, buyers = SIMULATED_BUYERS): Source {
  const startMs = endMs - SIMULATED_DAYS * DAY_MS;
  const idPrefix = `${seed}-${endMs.toString(36)}`;
  const marketplace = createMarketplace({ seed, startMs, endMs, buyers, idPrefix });
  return {
    items: mergedByArrival(marketplace.messages(), spendRows({ seed, startMs, endMs, idPrefix })),
    definitions: [],
    shareOf: ({ arrivalMs }) => (arrivalMs - startMs) / (endMs - startMs),
  };
}

/** Of FORMAT:FILE, or of a format alone; what they are worth is not asked here. */
export function formatAndFile(text: string): { readonly format: string; readonly file: string | undefined } {
  const colon = text.indexOf(':');
  if (colon === -1) return { format: text, file: undefined };
  return { format: text.slice(0, colon), file: text.slice(colon + 1) };
}

/** @throws FeedError for an unknown format */
export function assertFormat(format: string): void {
  if (formats.includes(format)) return;
  throw new FeedError(
    'FEED_WRONG_ARGUMENT',
    `there is no format ${JSON.stringify(format)}; there are ${formats.join(', ')}`,
  );
}

/** @throws FeedError for an unknown format */
function readerOf(format: string): Reader {
  assertFormat(format);
  return readers.find((each) => each.format === format)!;
}

/**
 * What a reader of `format` reads with `file`.
 * @throws FeedError for an unknown format, FileError for a file that cannot be read
 */
export function contentOfSource(format: string, file: string, signal: AbortSignal): Promise<FileContent> {
  const beside = readerOf(format).beside?.(file) ?? null;
  return contentOf(beside === null ? [file] : [file, beside], signal);
}

/** So much of the content's hash stands in a feed's id and in the ids of its rows. */
const CONTENT_DIGITS = 12;

/** Stands for a content in ids. */
export function contentId({ sha256 }: Pick<FileContent, 'sha256'>): string {
  return sha256.slice(0, CONTENT_DIGITS);
}

/** @throws FeedError for an unknown format, FileError for a file that is not of it */
export async function fileSource(
  format: string,
  file: string,
  content: FileContent,
  given: Omit<ReaderOptions, 'content'>,
): Promise<Source> {
  const reader = readerOf(format);
  const options = { ...given, content: contentId(content) };
  return {
    items: reader.read(file, options),
    definitions: await reader.definitions(file, options),
    shareOf: ({ fileRow }) => Math.min(1, (fileRow ?? 0) / Math.max(1, content.lines)),
  };
}
