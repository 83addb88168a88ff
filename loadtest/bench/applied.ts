// That what a benchmark timed is what it says: events that were applied, and not refused or put aside, which costs far less.
import type { ClickHouse } from '../../platform/clickhouse.ts';

/** Every offset counts once, however often its row was inserted. */
const APPLIED = `
  SELECT toUInt64(sum(ofPartition)) AS applied, toUInt64(sum(rowsOfPartition)) AS rows
  FROM (
    SELECT groupBitmapIf(offset, verdict = 'applied') AS ofPartition, groupBitmap(offset) AS rowsOfPartition
    FROM events GROUP BY generation, partition
  )`;

/**
 * Asked when all is delivered. The workload's events have ids of their own and come within the lateness.
 * @throws Error where not all events were applied
 */
export async function assertApplied(clickhouse: ClickHouse, events: number): Promise<void> {
  const answer = await clickhouse.query({ query: APPLIED, format: 'JSONEachRow' });
  const [{ applied, rows }] = (await answer.json()) as [{ applied: string; rows: string }];
  if (Number(applied) >= events) return;
  throw new Error(
    `of ${events} events only ${applied} were applied, and ${rows} stored: nothing was measured`,
  );
}
