// What every reader of a data set is: a stream of feed items from one file, in the file's order.
import type { FeedDefinition, FeedItem } from '../feed.ts';

export interface ReaderOptions {
  /** For data without a date: the day it is taken to be of, `YYYY-MM-DD`. */
  readonly date?: string;
  /** For money whose currency the file does not name, ISO 4217. */
  readonly currency?: string;
  /** Stands for the content in the ids of the rows; without it, only the file's name does. */
  readonly content?: string;
}

export interface Reader {
  readonly format: string;
  /** What it reads, in a few words, for the command's help. */
  readonly summary: string;
  readonly topic: 'events' | 'spend';
  /**
   * Reads `file` (CSV, gzip or not) as a stream; may be called again and gives the same.
   * @throws FileError naming the row that is wrong.
   */
  read(file: string, options: ReaderOptions): AsyncGenerator<FeedItem, void, undefined>;
  /** Another file that belongs to this one and is read with it. */
  beside?(file: string): string | null;
  /** What must be in force before: the accounts and campaigns that the file speaks of, funnels over its behaviours. */
  definitions(file: string, options: ReaderOptions): Promise<FeedDefinition[]>;
}
