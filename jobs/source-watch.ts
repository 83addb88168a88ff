// The sources' health, evaluated by the clock: rhythm and shape from ClickHouse, judged by domain/source-health. It only
// reads, and what it says is said anew each time, so that a turn that is cut off costs nothing.
import { type ActiveHour, quietOf } from '../domain/source-health/quiet.ts';
import {
  CHANGES_TOLD_MAX,
  type SourceHealth,
  type SourceHealthReport,
} from '../domain/source-health/report.ts';
import { type PropertyCount, shapeChangesOf } from '../domain/source-health/shape.ts';
import type { ClickHouse } from '../platform/clickhouse.ts';
import { clickhouseTime, queryText, runQuery } from '../platform/named-query.ts';
import type { Namespace } from '../platform/namespace.ts';
import type { RedisClient } from '../platform/redis.ts';
import { writeSourceHealth } from '../platform/source-health.ts';
import { pause } from './pause.ts';

const DAY_MS = 86_400_000;
const RHYTHM_DAYS = 28;
/** The past that the newest are held against: so many days, up to a day ago. */
const PAST_DAYS = 7;
/** The newest: of each name, from the last day at most. */
const NEWEST_EVENTS = 500;
/** The largest; their names are labels of metrics. */
export const SOURCES_MAX = 100;
const PAST_EVENTS_READ_MAX = 200_000;
const PROPERTIES_PER_SOURCE_MAX = 2_000;
const EVERYTHING = 4_294_967_295;

const EVALUATE_MS = 60_000;
/** An evaluation takes at most this part of the time. */
const BUSY_SHARE = 0.05;

interface Ports {
  readonly clickhouse: ClickHouse;
  /** Of `events`. */
  readonly generation: number;
}

interface HourRow {
  readonly source: string;
  readonly start_ms: number;
  readonly events: number;
  readonly minutes: number;
  readonly first_ms: number;
  readonly last_ms: number;
  readonly appended_ms: number;
}
type SchemaRow = PropertyCount & { readonly source: string };

function bySource<Row extends { readonly source: string }>(rows: readonly Row[]): Map<string, Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const group = groups.get(row.source);
    if (group === undefined) groups.set(row.source, [row]);
    else group.push(row);
  }
  return groups;
}

function hoursOf(rows: readonly HourRow[]): ActiveHour[] {
  return rows.map((row) => ({
    startMs: row.start_ms,
    events: row.events,
    minutes: row.minutes,
    firstMs: row.first_ms,
    lastMs: row.last_ms,
    appendedMs: row.appended_ms,
  }));
}

/** @throws the client's error if ClickHouse does not answer */
export async function evaluateSources(
  { clickhouse, generation }: Ports,
  nowMs: number,
): Promise<SourceHealthReport> {
  const within = (fromMs: number, toMs: number) => ({
    generation,
    from: clickhouseTime(fromMs),
    to: clickhouseTime(toMs),
  });
  const hourRows = await runQuery<HourRow>(clickhouse, queryText('source-hours'), {
    ...within(nowMs - RHYTHM_DAYS * DAY_MS, nowMs + 1),
    sources: SOURCES_MAX,
  });
  const pastFromMs = nowMs - (PAST_DAYS + 1) * DAY_MS;
  const pastToMs = nowMs - DAY_MS;
  const pastEvents = hourRows
    .filter((row) => row.start_ms >= pastFromMs && row.start_ms < pastToMs)
    .reduce((sum, row) => sum + row.events, 0);
  const common = { source: '', limit: PROPERTIES_PER_SOURCE_MAX };
  const past = await runQuery<SchemaRow>(clickhouse, queryText('source-schema'), {
    ...within(pastFromMs, pastToMs),
    ...common,
    every: Math.max(1, Math.ceil(pastEvents / PAST_EVENTS_READ_MAX)),
    newest: EVERYTHING,
  });
  const newest = await runQuery<SchemaRow>(clickhouse, queryText('source-schema'), {
    ...within(pastToMs, nowMs + 1),
    ...common,
    every: 1,
    newest: NEWEST_EVENTS,
  });
  const pasts = bySource(past);
  const newests = bySource(newest);
  const sources = [...bySource(hourRows)].map(([source, rows]): SourceHealth => {
    const changes = shapeChangesOf(pasts.get(source) ?? [], newests.get(source) ?? []);
    return {
      source,
      quiet: quietOf(hoursOf(rows), nowMs),
      changes: changes.slice(0, CHANGES_TOLD_MAX),
      changesCount: changes.length,
    };
  });
  return { evaluatedMs: nowMs, sources };
}

export interface SourceWatchParts extends Ports {
  readonly redis: RedisClient;
  readonly namespace: Namespace;
  /** Ends the watch. */
  readonly signal: AbortSignal;
  show(report: SourceHealthReport | null): void;
  nowMs(): number;
  warn(message: string): void;
}

/** Evaluates once a minute, or more rarely where that takes long, until the signal. */
export async function watchSources(parts: SourceWatchParts): Promise<void> {
  const { redis, namespace, signal, show, nowMs, warn } = parts;
  while (!signal.aborted) {
    const startedMs = performance.now();
    try {
      const report = await evaluateSources(parts, nowMs());
      if (signal.aborted) break;
      show(report);
      await writeSourceHealth(redis, namespace, report);
    } catch (error) {
      if (!signal.aborted) warn(`the sources could not be evaluated: ${(error as Error).message}`);
    }
    const tookMs = performance.now() - startedMs;
    await pause(Math.max(EVALUATE_MS, tookMs / BUSY_SHARE), signal);
  }
}
