// What every reader of a data set is: a stream of feed items from one file, in the file's order.
import type { FeedDefinition, FeedItem } from '../feed.ts';

export interface ReaderOptions {
  /** For data without a date: the day it is taken to be of, `YYYY-MM-DD`. */
  readonly date?: string;
  /** For money whose currency the file does not name, ISO 4217. */
  readonly currency?: string;
}

export interface Reader {
  readonly format: string;
  readonly topic: 'events' | 'spend';
  /**
   * Reads `file` (CSV, gzip or not) as a stream; may be called again and gives the same.
   * @throws FileError naming the row that is wrong.
   */
  read(file: string, options: ReaderOptions): AsyncGenerator<FeedItem, void, undefined>;
  /** The accounts and campaigns that the file speaks of; none for events. */
  definitions(file: string, options: ReaderOptions): Promise<FeedDefinition[]>;
}
