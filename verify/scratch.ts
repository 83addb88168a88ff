// Funnel levels by ClickHouse itself: applied behaviours go from the log into a scratch table, `windowFunnel` reads them.
import { randomUUID } from 'node:crypto';
import type { FunnelDefinition } from '../domain/definition.ts';
import { type ClickHouse, insertCompact } from '../platform/clickhouse.ts';
import type { FunnelSpan } from './in-force.ts';
import { funnelSpans, settledBefore } from './in-force.ts';
import type { EventsScope, Scope } from './scope.ts';

const ROWS_PER_INSERT_MAX = 100_000;

/** Level by partition, funnel and buyer: `<partition> <funnel> <key>`; 0 is left out. */
export type Levels = ReadonlyMap<string, number>;

export function levelName(partition: number, funnel: string, key: string): string {
  return `${partition} ${funnel} ${key}`;
}

/** The level of every buyer in every funnel in force, as `windowFunnel` answers it. */
export async function windowFunnelLevels({ clickhouse, events }: Scope): Promise<Levels> {
  const table = `verify_${randomUUID().replaceAll('-', '')}`;
  await clickhouse.command({
    query: `CREATE TABLE ${table} (partition UInt16, key String, offset UInt64, time_ms UInt64, behaviour LowCardinality(String), settled UInt8) ENGINE = MergeTree ORDER BY (partition, key)`,
  });
  try {
    await fill(clickhouse, table, events);
    const levels = new Map<string, number>();
    for (const [definition, where, id] of questionsOf(events)) {
      await ask(clickhouse, `${functionOf(definition)} AS level FROM ${table} WHERE ${where}`, id, levels);
    }
    return levels;
  } finally {
    await clickhouse.command({ query: `DROP TABLE IF EXISTS ${table} SYNC` });
  }
}

async function fill(clickhouse: ClickHouse, table: string, events: readonly EventsScope[]): Promise<void> {
  const columns = ['partition', 'key', 'offset', 'time_ms', 'behaviour', 'settled'];
  let rows: unknown[][] = [];
  const flush = async (): Promise<void> => {
    await insertCompact(clickhouse, table, columns, rows);
    rows = [];
  };
  for (const { walk, people } of events) {
    const beforeMs = settledBefore(walk.history.at(Number.MAX_SAFE_INTEGER), walk.watermarkMs);
    for (const { key, seen, settledEarly } of people.people.values()) {
      for (const { offset, timeMs, behaviour } of seen) {
        const settled = timeMs < beforeMs || settledEarly.has(timeMs) ? 1 : 0;
        rows.push([walk.partition, key, offset, timeMs, behaviour, settled]);
      }
      if (rows.length >= ROWS_PER_INSERT_MAX) await flush();
    }
  }
  await flush();
}

/** One question for each definition of each funnel, over the partitions where it is in force. */
function questionsOf(events: readonly EventsScope[]): [FunnelDefinition, string, string][] {
  const questions = new Map<string, [FunnelDefinition, string[], string]>();
  for (const { walk } of events) {
    for (const span of funnelSpans(walk.history).filter(isInForce)) {
      const name = `${span.id} ${span.revision} ${span.hash}`;
      const question = questions.get(name) ?? [span.document, [], span.id];
      question[1].push(`(partition = ${walk.partition} AND offset > ${Math.max(0, span.sinceOffset)})`);
      questions.set(name, question);
    }
  }
  return [...questions.values()].map(([definition, places, id]) => {
    const settled = definition.mode === 'default' ? '' : ' AND settled = 1';
    return [definition, `(${places.join(' OR ')})${settled}`, id];
  });
}

function isInForce({ untilOffset }: FunnelSpan): boolean {
  return untilOffset === Number.POSITIVE_INFINITY;
}

/** Behaviours are lower case letters and digits by schema: nothing to escape. */
export function functionOf({ windowMs, mode, steps }: FunnelDefinition): string {
  const modes =
    mode === 'default'
      ? ''
      : `, ${mode
          .split('+')
          .map((each) => `'${each}'`)
          .join(', ')}`;
  return `windowFunnel(${windowMs}${modes})(time_ms, ${steps.map((step) => `behaviour = '${step}'`).join(', ')})`;
}

async function ask(
  clickhouse: ClickHouse,
  rest: string,
  id: string,
  levels: Map<string, number>,
): Promise<void> {
  const query = `SELECT partition, key, ${rest} GROUP BY partition, key HAVING level > 0`;
  const result = await clickhouse.query({ query, format: 'JSONCompactEachRow' });
  for await (const rows of result.stream()) {
    for (const row of rows) {
      const [partition, key, level] = row.json<[number, string, number]>();
      levels.set(levelName(partition, id, key), level);
    }
  }
}
