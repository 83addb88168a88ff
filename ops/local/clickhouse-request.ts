// Turns an HTTP request into a statement with its context, as the real server's HTTP interface reads it;
// the data of an insert goes to a file, because inline data would end at its first blank line and the rest be parsed as SQL.

import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { unlink } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { ClickHouseError } from './clickhouse-answer.ts';
import type { StatementContext } from './clickhouse-engine.ts';
import { readStatement, sqlLiteral } from './clickhouse-statement.ts';

const STATEMENT_BYTES_MAX = 64 * 1024 * 1024;
const DEFAULT_FORMAT = 'TabSeparated';

/** Parameters of the HTTP interface that are not settings of a query. */
const NOT_SETTINGS = new Set([
  ...['query', 'database', 'default_format', 'query_id', 'session_id', 'session_timeout', 'session_check'],
  ...['user', 'password', 'role', 'quota_key', 'compress', 'decompress', 'buffer_size', 'stacktrace'],
  ...['wait_end_of_query', 'client_protocol_version', 'close_session'],
]);

/** A statement that is ready to run. */
export interface ReadyStatement {
  sql: string;
  format: string;
  isInsert: boolean;
  context: StatementContext;
  queryId: string;
  wantsCompression: boolean;
  /** Removes the spooled data. */
  discard(): Promise<void>;
}

/** What was asked for; two slashes at its beginning name no host. @throws ClickHouseError for what is no address */
export function addressOf({ url = '/' }: IncomingMessage): URL {
  try {
    return new URL(url.startsWith('/') ? `http://localhost${url}` : url, 'http://localhost');
  } catch (error) {
    throw new ClickHouseError(36, `${url} is no address: ${(error as Error).message}. (BAD_ARGUMENTS)`);
  }
}

/** Reads the whole request; throws ClickHouseError for what the server would refuse before running it. */
export async function readRequest(request: IncomingMessage, spoolFolder: string): Promise<ReadyStatement> {
  let search = addressOf(request).searchParams;
  const queryId = search.get('query_id') ?? headerOf(request, 'x-clickhouse-query-id') ?? randomUUID();
  let head = search.get('query') ?? '';
  let body = decodedBody(request);
  if (String(request.headers['content-type'] ?? '').startsWith('multipart/form-data')) {
    ({ search, head } = await readForm(request, search));
    body = undefined;
  }
  let statement = readStatement(head);
  let sql = head;
  if (statement.kind !== 'insert-with-data' && body !== undefined) {
    sql = `${head === '' ? '' : `${head}\n`}${await readText(body)}`;
    body = undefined;
    statement = readStatement(sql);
  }
  const context = contextOf(request, search);
  const shared = { context, queryId, wantsCompression: search.get('enable_http_compression') === '1' };
  const defaultFormat =
    search.get('default_format') ?? headerOf(request, 'x-clickhouse-format') ?? DEFAULT_FORMAT;
  switch (statement.kind) {
    case 'empty':
      throw new ClickHouseError(62, 'Syntax error: empty query. (SYNTAX_ERROR)');
    case 'several':
      throw new ClickHouseError(
        62,
        `Syntax error (Multi-statements are not allowed): failed at position ${statement.position + 1}. (SYNTAX_ERROR)`,
      );
    case 'into-outfile':
      throw new ClickHouseError(
        358,
        'INTO OUTFILE is not allowed; a name that is OUTFILE is taken in quotes. (INTO_OUTFILE_NOT_ALLOWED)',
      );
    case 'into-function':
      throw new ClickHouseError(
        164,
        'INSERT INTO FUNCTION is not allowed; a name that is FUNCTION is taken in quotes. (READONLY)',
      );
    case 'other':
      return {
        ...shared,
        sql,
        format: statement.outputFormat ?? defaultFormat,
        isInsert: /^\s*insert\b/i.test(sql),
        discard: async () => {},
      };
    case 'insert-with-data': {
      const file = path.join(spoolFolder, `insert-${randomUUID()}`);
      const discard = (): Promise<void> => unlink(file).catch(() => {});
      try {
        const inline = sql.slice(statement.dataStart).replace(/^[ \t]*\r?\n?/, '');
        await pipeline(joined(inline, body), createWriteStream(file));
      } catch (error) {
        await discard();
        throw error;
      }
      const { target, settings, format } = statement;
      return {
        ...shared,
        sql: `${target} FROM INFILE ${sqlLiteral(file)} ${settings} FORMAT ${format}`,
        format,
        isInsert: true,
        discard,
      };
    }
  }
}

async function* joined(inline: string, body: Readable | undefined): AsyncGenerator<Buffer> {
  if (inline !== '') yield Buffer.from(inline);
  if (body !== undefined) for await (const chunk of body) yield chunk as Buffer;
}

function contextOf(request: IncomingMessage, search: URLSearchParams): StatementContext {
  const settings = new Map<string, string>();
  const parameters = new Map<string, string>();
  for (const [name, value] of search) {
    if (name.startsWith('param_')) parameters.set(name.slice('param_'.length), value);
    else if (!NOT_SETTINGS.has(name)) settings.set(name, value);
  }
  const timeout = search.get('session_timeout');
  const sessionId = search.get('session_id') ?? undefined;
  const isReadOnly = request.method !== 'POST';
  if (isReadOnly && sessionId !== undefined)
    throw new ClickHouseError(48, 'A session takes statements by POST alone here. (NOT_IMPLEMENTED)');
  return {
    database: search.get('database') ?? headerOf(request, 'x-clickhouse-database'),
    settings,
    parameters,
    isReadOnly,
    sessionId,
    sessionTimeoutSeconds: timeout === null ? undefined : Number(timeout),
  };
}

/** Parameters too long for the address come as a form with `query` and `param_*` fields. */
async function readForm(
  request: IncomingMessage,
  search: URLSearchParams,
): Promise<{ search: URLSearchParams; head: string }> {
  const text = await readText(decodedBody(request) ?? request);
  const form = await new Response(text, {
    headers: { 'content-type': String(request.headers['content-type']) },
  }).formData();
  const all = new URLSearchParams(search);
  for (const [name, value] of form) if (typeof value === 'string') all.append(name, value);
  return { search: all, head: all.get('query') ?? '' };
}

function decodedBody(request: IncomingMessage): Readable | undefined {
  if (request.method === 'GET' || request.method === 'HEAD') return undefined;
  const encoding = String(request.headers['content-encoding'] ?? 'identity').toLowerCase();
  switch (encoding) {
    case 'identity':
      return request;
    case 'gzip':
      return decoded(request, createGunzip());
    case 'deflate':
      return decoded(request, createInflate());
    case 'br':
      return decoded(request, createBrotliDecompress());
    default:
      throw new ClickHouseError(48, `Content-Encoding ${encoding} is not supported here. (NOT_IMPLEMENTED)`);
  }
}

function decoded(request: IncomingMessage, decoder: NodeJS.ReadWriteStream & Readable): Readable {
  request.on('error', (error) => decoder.destroy(error));
  request.on('close', () => {
    if (!request.complete) decoder.destroy(new Error('the client went away'));
  });
  return request.pipe(decoder) as Readable;
}

async function readText(body: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > STATEMENT_BYTES_MAX) {
      throw new ClickHouseError(62, 'The statement is too large. (SYNTAX_ERROR)');
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' ? value : undefined;
}
