// The named queries of sql/reports: read once, run with parameters only. Nothing of a request becomes SQL text.
import { readFileSync } from 'node:fs';
import type { ClickHouseClient } from '@clickhouse/client';
import { ClickHouseError } from '@clickhouse/client';
import { retryProblem } from '../problem-details.ts';

type QueryName =
  | 'funnel'
  | 'opportunities'
  | 'opportunities-top'
  | 'campaigns'
  | 'north-star'
  | 'north-star-people'
  | 'identity'
  | 'identity-aliases'
  | 'identity-crossovers'
  | 'preview-behaviours'
  | 'preview-buyers'
  | 'preview-deep'
  | 'preview-funnel'
  | 'preview-lives'
  | 'preview-score'
  | 'preview-size'
  | 'preview-spend'
  | 'preview-triggers';

/** A query, or one with a `{name}` in it that a text of our own replaces: where ClickHouse takes no parameter. */
export type ReportName =
  | QueryName
  | { readonly name: QueryName; readonly replace: Readonly<Record<string, string>> };

/** A report that takes longer is too wide a question. */
const EXECUTION_SECONDS_MAX = 30;
const FOLDER = new URL('../../sql/reports/', import.meta.url);

export type QueryParameters = Readonly<
  Record<string, string | number | readonly string[] | readonly number[]>
>;
export type RunReport = <Row>(name: ReportName, parameters: QueryParameters) => Promise<Row[]>;

/** ClickHouse's text for a time, UTC with milliseconds. */
export function clickhouseTime(ms: number): string {
  return new Date(ms).toISOString().replace('T', ' ').replace('Z', '');
}

/** ClickHouse's text for a time, UTC in whole seconds. */
export function clickhouseSeconds(ms: number): string {
  return clickhouseTime(ms).slice(0, 19);
}

/** @throws 503 if ClickHouse cannot be reached; its own errors are ours and stay as they are. */
export function reportRunner(clickhouse: ClickHouseClient): RunReport {
  const texts = new Map<QueryName, string>();
  const textOf = (name: QueryName): string => {
    const text = texts.get(name) ?? readFileSync(new URL(`${name}.sql`, FOLDER), 'utf8');
    texts.set(name, text);
    return text;
  };
  return async <Row>(report: ReportName, parameters: QueryParameters): Promise<Row[]> => {
    const { name, replace } = typeof report === 'string' ? { name: report, replace: {} } : report;
    const query = Object.entries(replace).reduce(
      (text, [place, words]) => text.replaceAll(`{${place}}`, words),
      textOf(name),
    );
    try {
      const answer = await clickhouse.query({
        query,
        query_params: parameters,
        format: 'JSONEachRow',
        clickhouse_settings: {
          output_format_json_quote_64bit_integers: 0,
          max_execution_time: EXECUTION_SECONDS_MAX,
        },
      });
      return await answer.json<Row>();
    } catch (error) {
      if (error instanceof ClickHouseError) throw error;
      const detail = 'ClickHouse, which answers reports, cannot be reached.';
      throw Object.assign(retryProblem(503, 'reports_unavailable', detail, 5), { cause: error });
    }
  };
}
