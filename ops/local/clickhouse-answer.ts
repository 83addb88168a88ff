// Puts results and errors on the wire as the real ClickHouse server does, so that its clients notice no difference.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

const compress = promisify(gzip);

/** Version reported in headers and messages; the engine's own is filled in at start. */
export interface ServerIdentity {
  version: string;
}

/** An error of the front or the engine with ClickHouse's own error code. */
export class ClickHouseError extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.name = 'ClickHouseError';
    this.code = code;
  }
}

/** HTTP status of an error code: the table of ClickHouse's `exceptionCodeToHTTPStatus`, as far as it can occur here. */
const STATUS_OF_CODE = new Map<number, number>([
  ...[6, 26, 27, 36, 38, 41, 42, 43, 53, 57, 62, 69, 70, 72, 117, 130, 131, 427, 456, 457].map(
    (code) => [code, 400] as const,
  ),
  ...[46, 47, 50, 56, 60, 63, 81, 82, 115].map((code) => [code, 404] as const),
  [48, 501],
  [158, 500],
  [202, 503],
  [516, 403],
]);

const CONTENT_TYPES: Record<string, string> = {
  JSON: 'application/json; charset=UTF-8',
  JSONCompact: 'application/json; charset=UTF-8',
  JSONStrings: 'application/json; charset=UTF-8',
  JSONEachRow: 'application/x-ndjson; charset=UTF-8',
  JSONCompactEachRow: 'application/x-ndjson; charset=UTF-8',
  JSONStringsEachRow: 'application/x-ndjson; charset=UTF-8',
  CSV: 'text/csv; charset=UTF-8; header=absent',
  CSVWithNames: 'text/csv; charset=UTF-8; header=present',
  TabSeparated: 'text/tab-separated-values; charset=UTF-8',
  TSV: 'text/tab-separated-values; charset=UTF-8',
};

const NOT_ENOUGH_SPACE = 243;

/** Reads ClickHouse's code from whatever the engine threw; 1002 is its own code for an unknown exception. */
export function asClickHouseError(error: unknown): ClickHouseError {
  if (error instanceof ClickHouseError) return error;
  // The front's own writing, where a body is put into a file, meets a full disk before the engine does.
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOSPC')
    return new ClickHouseError(NOT_ENOUGH_SPACE, 'No space left on device. (NOT_ENOUGH_SPACE)');
  const message = error instanceof Error ? error.message : String(error);
  const matched = /Code: (\d+)\. DB::Exception: ([\s\S]*)/.exec(message);
  if (matched === null) return new ClickHouseError(1002, message);
  const [, code, rest] = matched;
  const nested = /^Code: \d+\. DB::Exception: ([\s\S]*)/.exec(rest!);
  return new ClickHouseError(Number(code), (nested?.[1] ?? rest!).trim());
}

/** Answers with `error` in the server's form; after the headers are out only closing the connection is honest. */
export function answerError(response: ServerResponse, identity: ServerIdentity, error: unknown): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const { code, message } = asClickHouseError(error);
  response.statusCode = STATUS_OF_CODE.get(code) ?? 500;
  response.setHeader('X-ClickHouse-Exception-Code', String(code));
  response.setHeader('Content-Type', 'text/plain; charset=UTF-8');
  response.end(`Code: ${code}. DB::Exception: ${message} (version ${identity.version})\n`);
}

/** Figures of a finished statement. */
export interface StatementFigures {
  readRows: number;
  readBytes: number;
  writtenRows: number;
  writtenBytes: number;
  resultRows: number;
  elapsedSeconds: number;
}

/** Sends a result in `format`, compressed when the client asked for it in both ways the server wants. */
export async function answerResult(
  request: IncomingMessage,
  response: ServerResponse,
  result: { body: Uint8Array; format: string; figures: StatementFigures; wantsCompression: boolean },
): Promise<void> {
  response.setHeader('Content-Type', CONTENT_TYPES[result.format] ?? 'text/plain; charset=UTF-8');
  response.setHeader('X-ClickHouse-Format', result.format);
  response.setHeader('X-ClickHouse-Timezone', 'UTC');
  response.setHeader('X-ClickHouse-Summary', summaryOf(result.figures));
  const accepted = String(request.headers['accept-encoding'] ?? '');
  if (result.wantsCompression && /\bgzip\b/.test(accepted)) {
    response.setHeader('Content-Encoding', 'gzip');
    response.end(await compress(result.body, { level: 1 }));
    return;
  }
  response.end(result.body);
}

function summaryOf(figures: StatementFigures): string {
  return JSON.stringify({
    read_rows: String(figures.readRows),
    read_bytes: String(figures.readBytes),
    written_rows: String(figures.writtenRows),
    written_bytes: String(figures.writtenBytes),
    total_rows_to_read: '0',
    result_rows: String(figures.resultRows),
    result_bytes: '0',
    elapsed_ns: String(Math.round(figures.elapsedSeconds * 1e9)),
  });
}
