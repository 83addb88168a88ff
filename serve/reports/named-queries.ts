// Reports by their names: the queries of sql/reports as the API runs them, with its errors.
import type { ClickHouseClient } from '@clickhouse/client';
import { ClickHouseError } from '@clickhouse/client';
import { clickhouseTime, type QueryParameters, queryText, runQuery } from '../../platform/named-query.ts';
import { problemError, retryProblem } from '../problem-details.ts';

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

const MEMORY_LIMIT = '241';
/** ClickHouse's codes for a question that takes too long (by its clock or its estimate) or too much memory. */
const TOO_WIDE: ReadonlySet<string> = new Set(['159', '160', MEMORY_LIMIT]);
const TOO_MANY_QUERIES = '202';
/** What it says under the same code where all questions together, or a user's, have used it up; the words have changed over its versions. */
const MEMORY_OF_ALL = /\((total|for user)\)|user memory limit|OvercommitTracker/i;
const RETRY_SECONDS = 5;

/** What every route answers that asks ClickHouse, for its description. */
export const reportProblems = {
  422: '`too_wide`: more is asked than ClickHouse can read in the time or memory of one question. Ask for a shorter period, or fewer days.',
  503: '`reports_unavailable`: ClickHouse cannot be reached, or has too many questions or too little memory at once. Come back after `Retry-After`.',
} as const;

/** What an error of the client comes to. An error of ClickHouse that no question of a user explains is ours, and stays as it is. */
function problemOfQuery(error: unknown): unknown {
  const unavailable = (detail: string) =>
    Object.assign(retryProblem(503, 'reports_unavailable', detail, RETRY_SECONDS), { cause: error });
  if (!(error instanceof ClickHouseError))
    return unavailable('ClickHouse, which answers reports, cannot be reached.');
  if (error.code === TOO_MANY_QUERIES)
    return unavailable('ClickHouse, which answers reports, has too many questions at once.');
  if (error.code === MEMORY_LIMIT && MEMORY_OF_ALL.test(error.message))
    return unavailable(
      'ClickHouse, which answers reports, has no memory left for this now. If that stays so, ask for a shorter period.',
    );
  if (!TOO_WIDE.has(error.code)) return error;
  const detail = `ClickHouse gave up on this (${error.type ?? error.code}): there is too much to read. Ask for a shorter period, or fewer days.`;
  return problemError({ status: 422, code: 'too_wide', detail }, error);
}

/**
 * @param signal ends what is asked; nothing is asked after it
 * @throws the problems of `reportProblems`; other errors of ClickHouse as they are; the signal's reason
 */
export function reportRunner(clickhouse: ClickHouseClient, signal?: AbortSignal): RunReport {
  return async <Row>(report: ReportName, parameters: QueryParameters): Promise<Row[]> => {
    signal?.throwIfAborted();
    const { name, replace } = typeof report === 'string' ? { name: report, replace: {} } : report;
    const query = Object.entries(replace).reduce(
      (text, [place, words]) => text.replaceAll(`{${place}}`, words),
      queryText(name),
    );
    try {
      return await runQuery<Row>(clickhouse, query, parameters, signal);
    } catch (error) {
      signal?.throwIfAborted();
      throw problemOfQuery(error);
    }
  };
}
