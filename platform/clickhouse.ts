// Opens ClickHouse for one namespace's database, and inserts rows in the format that it reads fastest.
import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { type ClickHouseClient, ClickHouseError, ClickHouseLogLevel, createClient } from '@clickhouse/client';
import { PlatformError } from './platform-error.ts';
import { maySayLoneSurrogate, wellFormed } from './well-formed.ts';

const REQUEST_TIMEOUT_MS = 60_000;
/** Below the 3 s after which older servers close an idle connection. */
const IDLE_SOCKET_MS = 2_000;
const CONNECTIONS_MAX = 16;

export type ClickHouse = ClickHouseClient;

export interface ClickHouseConnection {
  /** `http(s)://user:password@host:port` */
  readonly url: string;
  readonly database: string;
  /** Compress both ways. Absent: unless the server is on this machine. */
  readonly compression?: boolean;
  readonly requestTimeoutMs?: number;
}

/** Makes a client; no connection is tried before the first request. */
export function openClickHouse(connection: ClickHouseConnection): ClickHouse {
  const compress = connection.compression ?? !isLocal(connection.url);
  return createClient({
    url: connection.url,
    database: connection.database,
    application: 'flywheel',
    request_timeout: connection.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
    max_open_connections: CONNECTIONS_MAX,
    compression: { request: compress, response: compress },
    keep_alive: { enabled: true, idle_socket_ttl: IDLE_SOCKET_MS },
    log: { level: ClickHouseLogLevel.OFF },
  });
}

/** @throws PlatformError CLICKHOUSE_UNREACHABLE */
export async function pingClickHouse(client: ClickHouse, url: string): Promise<void> {
  const answer = await client.ping();
  if (answer.success) return;
  throw new PlatformError(
    'CLICKHOUSE_UNREACHABLE',
    `no ClickHouse at ${new URL(url).host}: ${answer.error.message}`,
    {
      cause: answer.error,
    },
  );
}

/** A row: its values in the order of the columns. */
export type Row = readonly unknown[];

/**
 * Inserts rows as JSONCompactEachRow, in one request; resolves when they are stored.
 * Rows may come again: the tables replace repeats (sql/).
 * @throws the client's error if any row is refused; then none, or whole partitions of them, may be stored
 */
export async function insertCompact(
  client: ClickHouse,
  table: string,
  columns: readonly string[],
  rows: readonly Row[],
): Promise<void> {
  await insertLines(client, table, columns, rows.map(lineOf));
}

/** Whether ClickHouse refused an insert for what stands in it, which it would do again; not for being busy, or away. */
export function isRefusedContent(error: unknown): boolean {
  if (!(error instanceof ClickHouseError)) return false;
  const refusals =
    /^(CANNOT_PARSE_\w+|CANNOT_READ_(ALL_DATA|ARRAY_FROM_TEXT)|INCORRECT_DATA|TYPE_MISMATCH|ARGUMENT_OUT_OF_BOUND|TOO_LARGE_\w+_SIZE)$/;
  return refusals.test(error.type ?? '');
}

/** ClickHouse refuses an insert in which half of a character stands, and with it all others. */
function lineOf(row: Row): string {
  const line = JSON.stringify(row);
  return maySayLoneSurrogate(line) ? JSON.stringify(wellFormed(row)) : line;
}

/** As insertCompact, for rows that are JSON arrays already. */
export async function insertLines(
  client: ClickHouse,
  table: string,
  columns: readonly string[],
  lines: readonly string[],
): Promise<void> {
  if (lines.length === 0) return;
  await insertRaw(client, table, columns, 'JSONCompactEachRow', [`${lines.join('\n')}\n`]);
}

/** As insertCompact, for rows that are bytes of the format RowBinary already, in as many pieces as there are. */
export async function insertBinary(
  client: ClickHouse,
  table: string,
  columns: readonly string[],
  rows: readonly Buffer[],
): Promise<void> {
  if (rows.length > 0) await insertRaw(client, table, columns, 'RowBinary', rows);
}

/** `insert` of the client would take rows and stringify each by itself; `exec` sends the body as it is. */
async function insertRaw(
  client: ClickHouse,
  table: string,
  columns: readonly string[],
  format: 'JSONCompactEachRow' | 'RowBinary',
  body: readonly (string | Buffer)[],
): Promise<void> {
  const values = Readable.from(body, { objectMode: false });
  const query = `INSERT INTO ${table} (${columns.join(', ')}) FORMAT ${format}`;
  const { stream } = await client.exec({ query, values });
  stream.resume();
  await finished(stream);
}

function isLocal(url: string): boolean {
  return ['127.0.0.1', 'localhost', '[::1]'].includes(new URL(url).hostname);
}
