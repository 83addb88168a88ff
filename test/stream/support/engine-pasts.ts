// What `jobs` would read from ClickHouse, taken from the rows that partitions without servers have made.
import type { FunnelDefinition, InForce, Settings } from '../../../domain/definition.ts';
import { backfillRecords, definitionsFor } from '../../../domain/funnel-past.ts';
import type { KeyPast, PastChange, PastRow } from '../../../domain/funnel-past-rows.ts';
import { columns, type Row } from '../../../stream/rows.ts';
import { type Engine, type Produced, toPartition } from './engine.ts';

type Named = Record<string, string | number>;

function named(table: 'events' | 'identities', row: Row): Named {
  return Object.fromEntries(columns[table].map((column, index) => [column, row[index] as string]));
}

/** The offset of a funnel's record in each partition, as the stream's rows of `definitions` have it. */
export function boundsOf(engine: Engine, id: string, revision: number): number[] {
  return engine.partitions.map(({ rows }) => {
    const row = rows.get('definitions')!.find((each) => each[1] === id && each[2] === revision)!;
    return Number(row[columns.definitions.indexOf('offset')]);
  });
}

/** @param bounds the offset of the funnel's record, by partition */
export function backfillsOf(
  engine: Engine,
  funnel: InForce<FunnelDefinition>,
  settings: Settings,
  bounds: readonly number[],
): Produced[] {
  const rows = engine.partitions.flatMap((partition, number) =>
    [...(partition.rows.get('events') ?? [])]
      .map((row) => named('events', row))
      .filter(({ offset, verdict }) => Number(offset) < bounds[number]! && verdict === 'applied'),
  );
  const changes = engine.partitions.flatMap((partition, number) =>
    [...(partition.rows.get('identities') ?? [])]
      .map((row) => named('identities', row))
      .filter(({ offset }) => Number(offset) < bounds[number]!),
  );
  const keys = [...new Set([...rows, ...changes].map(({ key }) => String(key)))].sort();
  const pasts = keys.map(
    (key): KeyPast => ({
      key,
      rows: rows
        .filter((row) => row.key === key)
        .map((row) => ({ ...row, timeMs: row.time, appendMs: row.appended_at, messageId: row.message_id }))
        .sort((a, b) => Number((a as Named).offset) - Number((b as Named).offset)) as unknown as PastRow[],
      changes: changes
        .filter((row) => row.key === key)
        .map((row) => ({ ...row, timeMs: row.time, fromOffset: row.from_offset })) as unknown as PastChange[],
    }),
  );
  const merged = new Set(changes.filter(({ change }) => change === 'merged').map(({ link }) => String(link)));
  const records = backfillRecords({ keys: pasts, visitors: pasts, merged }, definitionsFor(funnel, settings));
  return [...records].flatMap((record) => (record === null ? [] : [toPartition(record.key, record)]));
}
