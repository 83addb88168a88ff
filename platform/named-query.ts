// The named queries of sql/reports: read once, run with parameters only. Nothing of a request becomes SQL text.
import { readFileSync } from 'node:fs';
import type { ClickHouse } from './clickhouse.ts';

/** A report that takes longer is too wide a question. */
const EXECUTION_SECONDS_MAX = 30;
const FOLDER = new URL('../sql/reports/', import.meta.url);
const texts = new Map<string, string>();

export type QueryParameters = Readonly<
  Record<string, string | number | readonly string[] | readonly number[]>
>;

/** The text of sql/reports/<name>.sql. */
export function queryText(name: string): string {
  const text = texts.get(name) ?? readFileSync(new URL(`${name}.sql`, FOLDER), 'utf8');
  texts.set(name, text);
  return text;
}

/**
 * @param signal ends the query; ClickHouse is asked to end it too when the connection closes
 * @throws the client's error
 */
export async function runQuery<Row>(
  clickhouse: ClickHouse,
  query: string,
  parameters: QueryParameters,
  signal?: AbortSignal,
): Promise<Row[]> {
  const answer = await clickhouse.query({
    query,
    query_params: parameters,
    format: 'JSONEachRow',
    clickhouse_settings: {
      output_format_json_quote_64bit_integers: 0,
      max_execution_time: EXECUTION_SECONDS_MAX,
      ...(signal === undefined ? {} : { cancel_http_readonly_queries_on_client_close: 1 }),
    },
    ...(signal === undefined ? {} : { abort_signal: signal }),
  });
  return answer.json<Row>();
}

/** ClickHouse's text for a time, UTC with milliseconds. */
export function clickhouseTime(ms: number): string {
  return new Date(ms).toISOString().replace('T', ' ').replace('Z', '');
}
