// What comes in by each write key: volume, freshness, schema, rejects with examples, and what is odd about it.
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { alertsOf, type SourceHealthReport } from '../../domain/source-health/report.ts';
import { readSourceHealth } from '../../platform/source-health.ts';
import { iso, isoOrNull } from '../answer.ts';
import type { Dependencies } from '../dependencies.ts';
import { problemError } from '../problem-details.ts';
import { ratio } from '../reports/funnel-steps.ts';
import { reportProblems, reportRunner } from '../reports/named-queries.ts';
import { type Period, periodOf, periodQuery } from '../reports/period.ts';
import { querySchema, requestSchema, responses } from '../schema.ts';
import { fromRedis } from '../state.ts';
import {
  type ExampleRow,
  type OverviewRow,
  type RejectRow,
  type SchemaRow,
  sourceQueries,
} from './queries.ts';
import { type SourceAnswer, type SourceOverview, sourceAnswer, sourcesAnswer } from './schemas.ts';

const DEFAULT_DAYS = 7;
const DAY_MS = 86_400_000;
/** The names that are asked for stand in the address of the question, of which ClickHouse takes 16 KiB. */
const NAMES_ADDRESS_MAX = 12_288;
/** Of each name: two quotes and a comma. */
const NAME_ADDRESS_EXTRA = 9;

const query = periodQuery.pick({ to: true }).extend({
  from: periodQuery.shape.from.meta({
    description: `Begin (of receipt), inclusive; ${DEFAULT_DAYS} days before the end if absent.`,
  }),
});
const oneQuery = query.extend({ by: z.enum(['hour', 'day']).default('hour') });
const params = z.object({
  name: z
    .string()
    .min(1)
    .max(64)
    .meta({ examples: ['site'] }),
});

type Ports = Pick<
  Dependencies,
  'clickhouse' | 'redis' | 'namespace' | 'generations' | 'clock' | 'definitionLog'
>;

function askedPeriod(asking: z.infer<typeof query>, nowMs: number): Period {
  if (asking.from !== undefined) return periodOf(asking, nowMs);
  const { toMs } = periodOf({ to: asking.to }, nowMs);
  return { fromMs: toMs - DEFAULT_DAYS * DAY_MS, toMs };
}

function periodAnswer({ fromMs, toMs }: Period) {
  return { from: iso(fromMs), to: iso(toMs) };
}

/** The first of the names, as many as one question can have. */
function withinAddress(names: readonly string[]): string[] {
  let characters = 0;
  return names.filter((name) => {
    // Quotes and backslashes are written with a backslash before them.
    const written = name.replace(/['\\\t\n]/g, '\\$&');
    characters += new URLSearchParams({ name: written }).toString().length + NAME_ADDRESS_EXTRA;
    return characters <= NAMES_ADDRESS_MAX;
  });
}

function overviewOf(
  source: string,
  row: OverviewRow | undefined,
  rejects: readonly RejectRow[],
  report: SourceHealthReport | null,
): SourceOverview {
  const events = row?.events ?? 0;
  const rejected = rejects.reduce((sum, { rejects: count }) => sum + count, 0);
  const health = report?.sources.find((one) => one.source === source);
  const { applied = 0, late = 0, duplicate = 0 } = row ?? {};
  return {
    source,
    events,
    verdicts: {
      applied: ratio(applied, events),
      late: ratio(late, events),
      duplicate: ratio(duplicate, events),
    },
    rejects: rejected,
    rejectedShare: ratio(rejected, events + rejected),
    lastEvent: isoOrNull(row?.last_event_ms ?? null),
    lastReceived: isoOrNull(row?.last_received_ms ?? null),
    delayMs: row === undefined ? null : { median: row.delays[0], p95: row.delays[1] },
    rhythm: health?.quiet.status ?? 'unknown',
    alerts: health === undefined ? [] : alertsOf(health),
  };
}

function schemaOf(rows: readonly SchemaRow[]): SourceAnswer['schema'] {
  const seen = ({ first_ms, last_ms }: SchemaRow) => ({ firstSeen: iso(first_ms), lastSeen: iso(last_ms) });
  return rows
    .filter(({ path }) => path === '')
    .map((name) => ({
      kind: name.kind,
      event: name.event,
      events: name.count,
      ...seen(name),
      properties: rows
        .filter((row) => row.path !== '' && row.kind === name.kind && row.event === name.event)
        .map((row) => ({
          path: row.path,
          type: row.type,
          count: row.count,
          share: ratio(row.count, name.count),
          ...seen(row),
        })),
    }));
}

function reasonsOf(
  rejects: readonly RejectRow[],
  examples: readonly ExampleRow[],
): SourceAnswer['rejectReasons'] {
  return rejects.map(({ reason, rejects: count, last_ms }) => ({
    reason,
    count,
    last: iso(last_ms),
    examples: examples
      .filter((example) => example.reason === reason)
      .map(({ at_ms, detail, route, source_topic: origin, raw }) => ({
        at: iso(at_ms),
        detail,
        route,
        origin,
        raw,
      })),
  }));
}

const leftOut =
  'Events that had happened more than a week before they were received are history, and left out of all counts.';

/** Register under a secret key. */
export function registerSources(app: FastifyInstance, ports: Ports): void {
  const run = reportRunner(ports.clickhouse);
  const tags = ['sources'];
  const healthNow = () => fromRedis(readSourceHealth(ports.redis, ports.namespace));

  app.get(
    '/v1/sources',
    {
      schema: {
        tags,
        summary: 'Each write key: volume, freshness, verdicts, rejects, alerts',
        description: `Of what was received in the period. A source is the name of a write key. ${leftOut}`,
        querystring: querySchema(query),
        response: responses({ 200: sourcesAnswer }, reportProblems),
      },
    },
    async (request): Promise<z.infer<typeof sourcesAnswer>> => {
      const asked = askedPeriod(request.query as z.infer<typeof query>, ports.clock.nowMs());
      const queries = sourceQueries(run, ports.generations.events, asked);
      const [overview, rejects, report] = await Promise.all([
        queries.overview(),
        queries.rejects(''),
        healthNow(),
      ]);
      const known = new Map(overview.rows.map((row) => [row.source, row]));
      // Somebody whose every record is turned away is a source too; one that is not among the largest may have events all the same.
      const rejected = new Set(
        rejects.rows.map(({ source }) => source).filter((source) => !known.has(source)),
      );
      const smaller = overview.truncated ? withinAddress([...rejected]) : [...rejected];
      const names = [...known.keys(), ...smaller];
      if (overview.truncated && smaller.length > 0)
        for (const row of (await queries.overview(smaller)).rows) known.set(row.source, row);
      const sources = names.map((source) => {
        const own = rejects.rows.filter((reject) => reject.source === source);
        return overviewOf(source, known.get(source), own, report);
      });
      return {
        period: periodAnswer(asked),
        evaluated: isoOrNull(report?.evaluatedMs ?? null),
        truncated: overview.truncated || rejects.truncated,
        sources,
      };
    },
  );

  app.get(
    '/v1/sources/:name',
    {
      schema: {
        tags,
        summary: 'One write key: also its volume by hour or day, the schema seen, rejects with examples',
        description: `Of what was received in the period. ${leftOut}`,
        params: requestSchema(params),
        querystring: querySchema(oneQuery),
        response: responses({ 200: sourceAnswer }, reportProblems),
      },
    },
    async (request): Promise<SourceAnswer> => {
      const { name } = request.params as z.infer<typeof params>;
      const asking = request.query as z.infer<typeof oneQuery>;
      const asked = askedPeriod(asking, ports.clock.nowMs());
      const queries = sourceQueries(run, ports.generations.events, asked);
      const [overview, rejects, report] = await Promise.all([
        queries.overview([name]),
        queries.rejects(name),
        healthNow(),
      ]);
      const [row] = overview.rows;
      if (row === undefined && rejects.rows.length === 0) {
        throw problemError({
          status: 404,
          code: 'unknown_source',
          detail: `Nothing came by a key named ${JSON.stringify(name)} in this period, or only events that had happened more than a week before; GET /v1/sources lists what there is.`,
        });
      }
      const [volume, schema, examples] = await Promise.all([
        queries.volume(name, asking.by),
        queries.schema(name, row?.events ?? 0),
        queries.examples(name),
      ]);
      return {
        ...overviewOf(name, row, rejects.rows, report),
        period: periodAnswer(asked),
        evaluated: isoOrNull(report?.evaluatedMs ?? null),
        truncated: volume.truncated || schema.truncated || rejects.truncated,
        volume: volume.rows.map(({ start_seconds, ...counts }) => ({
          start: iso(start_seconds * 1_000),
          ...counts,
        })),
        schemaSampled: schema.every,
        schema: schemaOf(schema.rows),
        rejectReasons: reasonsOf(rejects.rows, examples),
      };
    },
  );
}
