// What the oracle looks at, taken from twelve partitions without servers: their logs, and their stores as if they were
// Redis and ClickHouse.
import { decodeBuyer } from '../../../platform/buyer-codec.ts';
import type { ClickHouse } from '../../../platform/clickhouse.ts';
import { columns, type Table } from '../../../stream/rows.ts';
import { Comparison } from '../../../verify/compare.ts';
import { decodeEvent } from '../../../verify/decode.ts';
import { workOut } from '../../../verify/people.ts';
import type { Scope } from '../../../verify/scope.ts';
import type { StoredPartition } from '../../../verify/stored.ts';
import { walk } from '../../../verify/watermark.ts';
import { createEngine, type Engine, type EngineOptions } from '../../stream/support/engine.ts';
import type { Partition } from '../../stream/support/partition.ts';

export interface RecordedEngine extends Engine {
  /** What each partition's log holds, in order. */
  readonly logs: readonly (readonly string[])[];
}

export function createRecordedEngine(options: EngineOptions): RecordedEngine {
  const engine = createEngine(options);
  const logs = engine.partitions.map((partition) => {
    const log: string[] = [];
    const run = partition.run;
    partition.run = (values) => {
      log.push(...values);
      run(values);
    };
    return log;
  });
  return { ...engine, logs };
}

function storedOf(partition: Partition, number: number): StoredPartition {
  const stored = partition.stored() as Record<'blobs' | 'timers' | 'windows' | 'triggers', string[]>;
  const { head } = partition;
  const pairs = (lines: readonly string[]): [string, string][] =>
    lines.map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]);
  return {
    id: { topic: 'events', generation: 1, partition: number },
    head: { ...head, generation: 1, flushed: '' },
    outboxEntries: 0,
    buyers: new Map(
      pairs(stored.blobs).map(([key, hex]) => [key, decodeBuyer(key, Buffer.from(hex, 'hex'))]),
    ),
    accounts: new Map(),
    timers: new Map(pairs(stored.timers).map(([key, dueMs]) => [key, Number(dueMs)])),
    windows: new Map(
      pairs(stored.windows).map(([name, cells]) => [name, Object.fromEntries(cellsOf(cells))]),
    ),
    triggers: new Map(pairs(stored.triggers).map(([id, json]) => [id, JSON.parse(json)])),
    definitions: [],
    received: head.received,
  };
}

/** `<cell>=<counts>,<cell>=<counts>`. */
function cellsOf(text: string): [string, string][] {
  return [...text.matchAll(/([^,=]*\|[^=]*)=([\d,]*\d)/g)].map(([, cell, counts]) => [cell!, counts!]);
}

/** Answers `SELECT <expressions> FROM <table> FINAL …` from the rows of all partitions. */
function clickhouseOf(partitions: readonly Partition[]): ClickHouse {
  const query = async ({ query: text }: { query: string }) => {
    const [, selected = '', table = ''] = /^SELECT (.*) FROM (\w+) FINAL/s.exec(text) ?? [];
    const names = columns[table as Table];
    const places = selected.split(/ AS v\d+,? ?/).filter((each) => each !== '');
    const indexes = places.map((expression) => names.indexOf(/(\w+)`?\)*$/.exec(expression)![1]!));
    const rows = partitions.flatMap((partition) => partition.rows.get(table) ?? []);
    return {
      async *stream() {
        yield rows.map((row) => ({ json: () => indexes.map((index) => row[index]) }));
      },
    };
  };
  return { query } as unknown as ClickHouse;
}

/** @param appendMs as the engine was told */
export function scopeOf({ partitions, logs }: RecordedEngine, appendMs: number): Scope {
  const stored = partitions.map(storedOf);
  return {
    namespace: 'engine',
    comparison: new Comparison(),
    clickhouse: clickhouseOf(partitions),
    events: stored.map((each, partition) => {
      const records = logs[partition]!.map((value, offset) => {
        return { offset, appendMs, key: null, value: Buffer.from(value), headers: [] };
      });
      const log = { topic: 'events', partition, low: 0, high: records.length, records, gaps: [] };
      const walked = walk(log, decodeEvent);
      return { log, stored: each, rested: true, walk: walked, people: workOut(walked, 1) };
    }),
    spend: [],
    rejected: { log: undefined as never, stored: undefined as never, rested: true },
    triggers: [],
    deliveries: [],
    versionsNow: async () => () => 0n,
    endNow: (partition) => logs[partition]!.length,
  };
}
