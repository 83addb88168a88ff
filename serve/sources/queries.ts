// The questions about sources, as ClickHouse answers them.
import { clickhouseTime } from '../../platform/named-query.ts';
import { type LimitedRows, limitedRows, type RunReport } from '../reports/named-queries.ts';
import type { Period } from '../reports/period.ts';

const SOURCES_MAX = 500;
const REASONS_MAX = 5_000;
const BUCKETS_MAX = 2_000;
const PROPERTIES_MAX = 2_000;
/** A schema is read from so many events at most: every n-th where there are more. */
const SCHEMA_EVENTS_MAX = 200_000;
const EXAMPLES_PER_REASON = 3;
const EXAMPLES_MAX = 60;
const EXAMPLE_BYTES = 400;
const EVERYTHING = 4_294_967_295;

export interface OverviewRow {
  readonly source: string;
  readonly events: number;
  readonly applied: number;
  readonly late: number;
  readonly duplicate: number;
  readonly last_event_ms: number;
  readonly last_received_ms: number;
  readonly delays: readonly [median: number, p95: number];
}

export interface RejectRow {
  readonly source: string;
  readonly reason: string;
  readonly rejects: number;
  readonly last_ms: number;
}

export interface ExampleRow {
  readonly reason: string;
  readonly at_ms: number;
  readonly detail: string;
  readonly route: string;
  readonly source_topic: string;
  readonly raw: string;
}

export interface VolumeRow {
  readonly start_seconds: number;
  readonly events: number;
  readonly late: number;
  readonly duplicate: number;
}

export interface SchemaRow {
  readonly kind: string;
  readonly event: string;
  readonly path: string;
  readonly type: string;
  readonly count: number;
  readonly first_ms: number;
  readonly last_ms: number;
}

export interface SourceQueries {
  /** @param sources all of these, or, where none is given, those with the most events */
  overview(sources?: readonly string[]): Promise<LimitedRows<OverviewRow>>;
  /** @param source '' for all */
  rejects(source: string): Promise<LimitedRows<RejectRow>>;
  examples(source: string): Promise<ExampleRow[]>;
  volume(source: string, by: 'hour' | 'day'): Promise<LimitedRows<VolumeRow>>;
  /** @param events how many the source has in the period */
  schema(source: string, events: number): Promise<LimitedRows<SchemaRow> & { every: number }>;
}

export function sourceQueries(run: RunReport, generation: number, { fromMs, toMs }: Period): SourceQueries {
  const times = { from: clickhouseTime(fromMs), to: clickhouseTime(toMs) };
  const within = { generation, ...times };
  return {
    overview: (sources = []) =>
      limitedRows(run, 'sources', { ...within, sources, limit: Math.max(SOURCES_MAX, sources.length) }),
    rejects: (source) => limitedRows(run, 'source-rejects', { ...times, source, limit: REASONS_MAX }),
    examples: (source) =>
      run('source-reject-examples', {
        ...times,
        source,
        each: EXAMPLES_PER_REASON,
        bytes: EXAMPLE_BYTES,
        limit: EXAMPLES_MAX,
      }),
    volume: (source, by) => limitedRows(run, 'source-volume', { ...within, source, by, limit: BUCKETS_MAX }),
    async schema(source, events) {
      const every = Math.max(1, Math.ceil(events / SCHEMA_EVENTS_MAX));
      const asked = { ...within, source, every, newest: EVERYTHING, limit: PROPERTIES_MAX };
      return { every, ...(await limitedRows<SchemaRow>(run, 'source-schema', asked)) };
    },
  };
}
