// Reports by their names: the queries of sql/reports as the API runs them, with its errors.
import type { ClickHouseClient } from '@clickhouse/client';
import { ClickHouseError } from '@clickhouse/client';
import { clickhouseTime, type QueryParameters, queryText, runQuery } from '../../platform/named-query.ts';
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
  | 'preview-half-life'
  | 'preview-lives'
  | 'preview-score'
  | 'preview-size'
  | 'preview-spend'
  | 'preview-triggers'
  | 'sources'
  | 'source-volume'
  | 'source-schema'
  | 'source-rejects'
  | 'source-reject-examples';

/** A query, or one with a `{name}` in it that a text of our own replaces: where ClickHouse takes no parameter. */
export type ReportName =
  | QueryName
  | { readonly name: QueryName; readonly replace: Readonly<Record<string, string>> };

export type RunReport = <Row>(name: ReportName, parameters: QueryParameters) => Promise<Row[]>;

/** Rows as far as a limit allows. */
export interface LimitedRows<Row> {
  readonly rows: Row[];
  /** There were more. */
  readonly truncated: boolean;
}

/** The first `limit` rows of a report, and whether there are more: it is asked for one more than is wanted. */
export async function limitedRows<Row>(
  run: RunReport,
  name: ReportName,
  parameters: QueryParameters & { readonly limit: number },
): Promise<LimitedRows<Row>> {
  const { limit } = parameters;
  const rows = await run<Row>(name, { ...parameters, limit: limit + 1 });
  return { rows: rows.slice(0, limit), truncated: rows.length > limit };
}

/** ClickHouse's text for a time, UTC in whole seconds. */
export function clickhouseSeconds(ms: number): string {
  return clickhouseTime(ms).slice(0, 19);
}

/** @throws 503 if ClickHouse cannot be reached; its own errors are ours and stay as they are. */
export function reportRunner(clickhouse: ClickHouseClient): RunReport {
  return async <Row>(report: ReportName, parameters: QueryParameters): Promise<Row[]> => {
    const { name, replace } = typeof report === 'string' ? { name: report, replace: {} } : report;
    const query = Object.entries(replace).reduce(
      (text, [place, words]) => text.replaceAll(`{${place}}`, words),
      queryText(name),
    );
    try {
      return await runQuery<Row>(clickhouse, query, parameters);
    } catch (error) {
      if (error instanceof ClickHouseError) throw error;
      const detail = 'ClickHouse, which answers reports, cannot be reached.';
      throw Object.assign(retryProblem(503, 'reports_unavailable', detail, 5), { cause: error });
    }
  };
}
