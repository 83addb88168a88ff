// That what a benchmark timed is what it says: events that were applied, and not refused or put aside, which costs far less.
import type { ClickHouse } from '../../platform/clickhouse.ts';

/** A few come late by the workload's own jitter. */
const APPLIED_SHARE_MIN = 0.9;

/**
 * Asked when all is delivered.
 * @throws Error where too few of the events were applied
 */
export async function assertApplied(clickhouse: ClickHouse, events: number): Promise<void> {
  const query = `SELECT countIf(verdict = 'applied') AS applied, count() AS rows FROM events`;
  const answer = await clickhouse.query({ query, format: 'JSONEachRow' });
  const [{ applied, rows }] = (await answer.json()) as [{ applied: string; rows: string }];
  if (Number(applied) >= APPLIED_SHARE_MIN * events) return;
  throw new Error(
    `of ${events} events only ${applied} were applied, and ${rows} stored: nothing was measured`,
  );
}
