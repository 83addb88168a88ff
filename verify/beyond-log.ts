// Rows of records that no log holds: what is written of a live partition behind what was read of it is of records that are in its
// log, and whatever stands behind its end has come of another log, by a restore from copies of different times.
import { placeOf, type Scope, type Snapshot } from './scope.ts';

/** By the topic whose records they are of. Aggregates are held against the position reached, `rejects` against its own log. */
const tables = {
  events: [
    'events',
    'links',
    'identities',
    'transitions',
    'opportunities',
    'exposures',
    'triggers',
    'adjustments',
    'definitions',
  ],
  spend: ['spend', 'leases', 'definitions'],
} as const;

interface Beyond {
  readonly table: string;
  readonly snapshot: Snapshot;
  readonly rows: number;
  readonly last: number;
}

export async function compareBeyondLogs(scope: Scope): Promise<void> {
  const found: Beyond[] = [];
  for (const table of tables.events) found.push(...(await readBehind(scope, table, 'events')));
  for (const table of tables.spend) found.push(...(await readBehind(scope, table, 'spend')));
  if (found.length === 0) return;
  // Behind the rows: each that a live partition had written by then is of a record below these ends.
  const endNow = await scope.readEnds();
  for (const { table, snapshot, rows, last } of found) {
    const { id } = snapshot.stored;
    const end = endNow(id.topic, id.partition);
    if (last < end) continue;
    const where = `${placeOf(id)} behind the end of the log at ${end}`;
    scope.comparison.differ(`${table} rows`, where, 'no row', { last, rowsBehindWhatWasRead: rows });
  }
}

/** Of each partition that has rows behind what was read of it, how many, and the offset of the last one. */
async function readBehind(scope: Scope, table: string, topic: 'events' | 'spend'): Promise<Beyond[]> {
  const snapshots: readonly Snapshot[] = scope[topic];
  const behind = snapshots.map(({ stored: { id, head } }) => {
    return `(generation = ${id.generation} AND partition = ${id.partition} AND offset >= ${head?.offset ?? 0})`;
  });
  const ofTopic = table === 'definitions' ? `topic = '${topic}' AND ` : '';
  const query = `SELECT partition, toFloat64(count()), toFloat64(max(offset)) FROM ${table} WHERE ${ofTopic}(${behind.join(' OR ')}) GROUP BY partition`;
  const result = await scope.clickhouse.query({ query, format: 'JSONCompactEachRow' });
  const rows = await result.json<[partition: number, rows: number, last: number]>();
  return rows.map(([partition, howMany, last]) => {
    const snapshot = snapshots.find(({ stored }) => stored.id.partition === partition)!;
    return { table, snapshot, rows: howMany, last };
  });
}
