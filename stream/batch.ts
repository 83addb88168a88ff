// What a fold leaves behind for the commit and the delivery: rows, records, verdicts. Everything a crash must not lose
// is in the commit; the `events` rows are built again from the log and the verdicts.
import type { Verdict } from '../domain/record.ts';
import { EventRows } from './event-rows.ts';
import { columns, type Row, type Table } from './rows.ts';

/** A record for another topic, sent behind the commit. */
export interface OutboxRecord {
  readonly to: 'rejected' | 'triggers' | 'events' | 'spend';
  readonly partition: number;
  readonly key: string | null;
  readonly value: string;
  /** `<topic>:<generation>:<partition>:<offset>:<ordinal>` of what caused it. */
  readonly source: string;
}

const verdictCodes: readonly Verdict[] = ['applied', 'late', 'duplicate', 'rejected', 'control'];

/** One batch, folded: offsets `[from, to]`, and what they came to. */
export interface Batch {
  readonly from: number;
  to: number;
  /** What its records have in the log, and once it is committed, what its commit keeps until it is delivered. */
  bytes: number;
  /** A verdict's code for each offset of the range. */
  readonly verdicts: number[];
  /** The behaviour of each offset, as an index into `behaviourNames`. */
  readonly behaviours: number[];
  readonly behaviourNames: string[];
  /** Rows that depend on state, by table. */
  readonly rows: Map<Table, Row[]>;
  readonly records: OutboxRecord[];
  /** How many derived records of each kind were taken: what a test kills a process for. */
  readonly taken: Map<string, number>;
  /** Rows of `events` and `links`: not in the commit, built again from the log if need be. */
  readonly eventRows: EventRows;
  readonly linkRows: Row[];
}

/** `records` of `bytes` JSON are expected in it. */
export function newBatch(from: number, records = 0, bytes = 0): Batch {
  return {
    from,
    to: from - 1,
    bytes: 0,
    verdicts: [],
    behaviours: [],
    behaviourNames: [''],
    rows: new Map(),
    records: [],
    taken: new Map(),
    eventRows: new EventRows(records, bytes),
    linkRows: [],
  };
}

export function addRow(batch: Batch, table: Table, row: Row): void {
  const rows = batch.rows.get(table);
  if (rows === undefined) batch.rows.set(table, [row]);
  else rows.push(row);
}

/** Says what the next offset of the range came to. */
export function addVerdict(batch: Batch, verdict: Verdict, behaviour: string): void {
  batch.to += 1;
  batch.verdicts.push(verdictCodes.indexOf(verdict));
  let index = batch.behaviourNames.indexOf(behaviour);
  if (index === -1) index = batch.behaviourNames.push(behaviour) - 1;
  batch.behaviours.push(index);
}

/** True if there is anything that ClickHouse or Kafka must get. */
export function hasDelivery(batch: Batch): boolean {
  return batch.to >= batch.from || batch.rows.size > 0 || batch.records.length > 0;
}

const BYTE_VALUES = 256;

/** The part of a batch that its commit keeps until it is delivered. */
export type OutboxEntry = readonly [
  from: number,
  to: number,
  verdicts: Buffer,
  /** A byte each, as long as that can say them all. */
  behaviours: Buffer | readonly number[],
  behaviourNames: string[],
  rows: [Table, Row[]][],
  records: [to: OutboxRecord['to'], partition: number, key: string | null, value: string, source: string][],
];

export function toEntry(batch: Batch): OutboxEntry {
  return [
    batch.from,
    batch.to,
    Buffer.from(batch.verdicts),
    batch.behaviourNames.length <= BYTE_VALUES ? Buffer.from(batch.behaviours) : batch.behaviours,
    batch.behaviourNames,
    [...batch.rows],
    batch.records.map(({ to, partition, key, value, source }) => [to, partition, key, value, source]),
  ];
}

/** Columns that came since the batch was committed, by an older version, are at the end and have empty text there. */
function upToDate([table, rows]: [Table, Row[]]): [Table, Row[]] {
  const width = columns[table].length;
  return [table, rows.map((row) => [...row, ...Array.from({ length: width - row.length }, () => '')])];
}

/** The batch as its commit kept it; `events` and `links` rows are to be built from the log. */
export function fromEntry(entry: OutboxEntry): Batch {
  const [from, to, verdicts, behaviours, behaviourNames, rows, records] = entry;
  return {
    from,
    to,
    bytes: 0,
    verdicts: [...verdicts],
    behaviours: [...behaviours],
    behaviourNames,
    rows: new Map(rows.map(upToDate)),
    records: records.map(([target, partition, key, value, source]) => ({
      to: target,
      partition,
      key,
      value,
      source,
    })),
    taken: new Map(),
    eventRows: new EventRows(),
    linkRows: [],
  };
}

export function verdictAt(batch: Batch, offset: number): { verdict: Verdict; behaviour: string } {
  const index = offset - batch.from;
  return {
    verdict: verdictCodes[batch.verdicts[index]!]!,
    behaviour: batch.behaviourNames[batch.behaviours[index]!]!,
  };
}
