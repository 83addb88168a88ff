// What records of a stateful topic came to, wherever it stands: rows of ClickHouse by the position that they carry, records of the log by the
// source in their headers.
import { type LogRecord, readPartition } from '../../platform/kafka-read.ts';
import type { Namespace } from '../../platform/namespace.ts';
import type { Arena } from './arena/arena.ts';

export interface Place {
  readonly partition: number;
  readonly offset: number;
}

/** Records of a topic. */
export interface Caused {
  readonly topic: 'events' | 'spend';
  readonly places: readonly Place[];
  /** Rows of what was collected there count too. */
  readonly alsoCollected: boolean;
}

export interface Effects {
  /** Rows by position, those that stand there twice until ClickHouse has merged them counted twice. */
  readonly rows: number;
  readonly records: number;
}

const TARGETS: readonly (keyof Namespace['topics'])[] = ['events', 'spend', 'triggers', 'rejected'];

/** The records that outboxes wrote into a topic. */
export async function outboxRecordsOf(arena: Arena, target: keyof Namespace['topics']): Promise<LogRecord[]> {
  const topic = arena.namespace.topics[target];
  const found: LogRecord[] = [];
  for (const [partition, { low, high }] of (await arena.admin.watermarks(topic)).entries()) {
    const read = readPartition({ brokers: arena.config.kafkaBrokers, topic, partition, from: low, to: high });
    for await (const batch of read)
      found.push(...batch.filter(({ headers }) => headers.source !== undefined));
  }
  return found;
}

async function rowsOf<Row>({ clickhouse }: Arena, query: string): Promise<Row[]> {
  return (await clickhouse.query({ query, format: 'JSONEachRow' })).json<Row>();
}

/** Tables of effects on buyers: all that carry a position, but for those that hold what was collected; no views of them. */
async function buyerTables(arena: Arena): Promise<string[]> {
  const rows = await rowsOf<{ table: string }>(
    arena,
    `SELECT table FROM system.columns
     WHERE database = currentDatabase() AND name IN ('partition', 'offset', 'ordinal')
       AND table NOT IN (SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%View')
       AND table NOT IN ('events', 'links', 'rejects', 'spend', 'leases')
     GROUP BY table HAVING count() = 3`,
  );
  return rows.map(({ table }) => table);
}

async function tablesOf(arena: Arena, { topic, alsoCollected }: Caused): Promise<string[]> {
  if (topic === 'spend') return alsoCollected ? ['spend', 'leases'] : ['leases'];
  return [...(await buyerTables(arena)), ...(alsoCollected ? ['events', 'links'] : [])];
}

export async function effectsOf(arena: Arena, caused: Caused): Promise<Effects> {
  const { places } = caused;
  const tuples = places.map(({ partition, offset }) => `(${partition}, ${offset})`).join(', ');
  let rows = 0;
  for (const table of await tablesOf(arena, caused)) {
    const [row] = await rowsOf<{ count: string }>(
      arena,
      `SELECT count() AS count FROM ${table} WHERE (partition, offset) IN (${tuples})`,
    );
    rows += Number(row!.count);
  }
  const wanted = new Set(places.map(({ partition, offset }) => `${partition}:${offset}`));
  let records = 0;
  for (const target of TARGETS) {
    for (const { headers } of await outboxRecordsOf(arena, target)) {
      // `<topic>:<generation>:<partition>:<offset>:<ordinal>`
      const [topic, , partition, offset] = headers.source!.split(':');
      if (topic === caused.topic && wanted.has(`${partition}:${offset}`)) records += 1;
    }
  }
  return { rows, records };
}
