// Rows of a CSV file as a stream, unpacked if the file is gzip (by its first bytes, not its name); and what tells its content.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { parse } from 'csv-parse';

/** A row of text by column. `get` is '' for an empty cell. */
export interface CsvRow {
  /** 1 is the first row after the header. */
  readonly number: number;
  get(column: string): string;
  has(column: string): boolean;
}

/** A file that is not what it is said to be, or a row of it that makes no sense. */
export class FileError extends Error {
  readonly code: 'FILE_UNREADABLE' | 'FILE_NOT_OF_FORMAT' | 'ROW_WRONG';

  constructor(code: FileError['code'], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'FileError';
    this.code = code;
  }
}

/** @throws FileError always: the row and what is wrong with it. */
export function rowError(file: string, row: CsvRow, what: string): never {
  throw new FileError('ROW_WRONG', `${basename(file)}, row ${row.number}: ${what}`);
}

async function isGzip(file: string): Promise<boolean> {
  const handle = await open(file).catch((cause: unknown) => {
    throw new FileError('FILE_UNREADABLE', `${file} cannot be read: ${String(cause)}`, cause);
  });
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b;
  } finally {
    await handle.close();
  }
}

function indexOf(file: string, header: readonly string[], columns: readonly string[]): Map<string, number> {
  const missing = columns.filter((column) => !header.includes(column));
  if (missing.length > 0) {
    throw new FileError(
      'FILE_NOT_OF_FORMAT',
      `${basename(file)} has no column ${missing.join(', ')}; it has ${header.slice(0, 12).join(', ')}`,
    );
  }
  return new Map(header.map((column, index) => [column, index]));
}

/**
 * The rows of `file`; `columns` must be in its header, others may be.
 * @throws FileError when the file is missing, cut off or of another form.
 */
export async function* csvRows(
  file: string,
  columns: readonly string[],
): AsyncGenerator<CsvRow, void, undefined> {
  const packed = await isGzip(file);
  const parser = parse({ bom: true, skip_empty_lines: true });
  const source = createReadStream(file);
  const done = (): void => undefined;
  if (packed) pipeline(source, createGunzip(), parser, done);
  else pipeline(source, parser, done);
  let index: Map<string, number> | undefined;
  let number = 0;
  try {
    for await (const cells of parser as AsyncIterable<string[]>) {
      if (index === undefined) {
        index = indexOf(file, cells, columns);
        continue;
      }
      number += 1;
      const places = index;
      yield { number, get: (column) => cells[places.get(column)!]!, has: (column) => places.has(column) };
    }
  } catch (cause) {
    if (cause instanceof FileError) throw cause;
    const what = cause instanceof Error ? cause.message : String(cause);
    throw new FileError('ROW_WRONG', `${basename(file)}, after row ${number}: ${what}`, cause);
  } finally {
    source.destroy();
  }
  if (index === undefined) throw new FileError('FILE_NOT_OF_FORMAT', `${basename(file)} is empty`);
}

/** What is in a file, whatever it is called and wherever it lies; packed or not, it is the same. */
export interface FileContent {
  readonly bytes: number;
  /** Of the unpacked bytes, in hex. */
  readonly sha256: string;
  /** How many line ends there are: about the rows, for showing how far a reading is. */
  readonly lines: number;
}

/** The content of files that belong together, read as streams. @throws FileError when one is missing or cut off */
export async function contentOf(files: readonly string[], signal: AbortSignal): Promise<FileContent> {
  const hash = createHash('sha256');
  let bytes = 0;
  let lines = 0;
  for (const file of files) {
    const packed = await isGzip(file);
    const source = createReadStream(file);
    // Whoever reads the last one is told of every failure.
    const unpacked = packed ? pipeline(source, createGunzip(), () => undefined) : source;
    try {
      for await (const chunk of unpacked as AsyncIterable<Buffer>) {
        signal.throwIfAborted();
        hash.update(chunk);
        bytes += chunk.length;
        for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) lines += 1;
      }
    } catch (cause) {
      signal.throwIfAborted();
      throw new FileError('FILE_UNREADABLE', `${file} cannot be read: ${String(cause)}`, cause);
    } finally {
      source.destroy();
    }
  }
  return { bytes, sha256: hash.digest('hex'), lines };
}
