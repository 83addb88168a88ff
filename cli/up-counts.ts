// The counts of `flywheel up`'s summary that no report has: of rows without repeats, by their names.
import type { ClickHouse } from '../platform/clickhouse.ts';

type ByName = Record<string, number>;

export interface Counts {
  /** Records by verdict. */
  readonly events: ByName;
  /** By reason. */
  readonly rejects: ByName;
  /** How often buyers came to a stage by what they did or did not do; where links put them is told to nobody, and not counted. */
  readonly transitions: ByName;
  /** Each trigger once: `waiting`, `acknowledged` or `expired`. */
  readonly triggers: ByName;
}

const queries: Readonly<Record<keyof Counts, string>> = {
  events: 'SELECT verdict AS name, count() AS rows FROM events FINAL GROUP BY name',
  rejects: 'SELECT reason AS name, count() AS rows FROM rejects FINAL GROUP BY name',
  transitions: `SELECT to_stage AS name, count() AS rows FROM transitions FINAL
    WHERE reason NOT IN ('merged', 'unlinked', 'revoked') GROUP BY name`,
  // A trigger has a row for each status that it came to.
  triggers: `SELECT if(stands = 'created', 'waiting', toString(stands)) AS name, count() AS rows
    FROM (SELECT argMax(status, status != 'created') AS stands FROM triggers FINAL GROUP BY generation, trigger_id)
    GROUP BY name`,
};

async function countBy(clickhouse: ClickHouse, query: string): Promise<ByName> {
  const result = await clickhouse.query({ query: `${query} ORDER BY name`, format: 'JSONEachRow' });
  const rows = await result.json<{ name: string; rows: number | string }>();
  return Object.fromEntries(rows.map(({ name, rows: count }) => [name, Number(count)]));
}

/** @throws the client's error */
export async function readCounts(clickhouse: ClickHouse): Promise<Counts> {
  const [events, rejects, transitions, triggers] = await Promise.all([
    countBy(clickhouse, queries.events),
    countBy(clickhouse, queries.rejects),
    countBy(clickhouse, queries.transitions),
    countBy(clickhouse, queries.triggers),
  ]);
  return { events, rejects, transitions, triggers };
}
