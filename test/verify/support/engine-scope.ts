// What the oracle looks at, taken from twelve partitions without servers: their logs, and their stores as if they were
// Redis and ClickHouse.
import { decodeBuyer } from '../../../platform/buyer-codec.ts';
import type { ClickHouse } from '../../../platform/clickhouse.ts';
import { columns, type Table } from '../../../stream/rows.ts';
import { Comparison } from '../../../verify/compare.ts';
import { decodeEvent } from '../../../verify/decode.ts';
import type { LogPartition } from '../../../verify/log.ts';
import { workOut } from '../../../verify/people.ts';
import type { EventsScope, Scope } from '../../../verify/scope.ts';
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

/** `<cell>=<counts>,<cell>=<counts>`; a count is below 0 where what was taken back comes before what it takes back. */
export function cellsOf(text: string): [string, string][] {
  return [...text.matchAll(/([^,=][^=]*)=(-?\d+(?:,-?\d+)*)(?=,|$)/g)].map(([, cell, counts]) => [
    cell!,
    counts!,
  ]);
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

/** One partition as it stands. @param appendMs as the engine was told */
export function eventsScopeOf(
  { partitions, logs }: RecordedEngine,
  partition: number,
  appendMs: number,
): EventsScope {
  const log = logOf(logs[partition]!, partition, appendMs);
  const walked = walk(log, decodeEvent);
  const stored = storedOf(partitions[partition]!, partition);
  return { log, stored, rested: true, walk: walked, people: workOut(walked, 1) };
}

/** What a partition's log holds from an offset on. */
export function logOf(
  values: readonly string[],
  partition: number,
  appendMs: number,
  fromOffset = 0,
): LogPartition {
  const records = values.slice(fromOffset).map((value, index) => {
    return { offset: fromOffset + index, appendMs, key: null, value: Buffer.from(value), headers: [] };
  });
  return { topic: 'events', partition, low: 0, high: values.length, records, gaps: [] };
}

/** @param appendMs as the engine was told */
export function scopeOf(engine: RecordedEngine, appendMs: number): Scope {
  const { partitions, logs } = engine;
  return {
    namespace: 'engine',
    comparison: new Comparison(),
    clickhouse: clickhouseOf(partitions),
    events: partitions.map((_, partition) => eventsScopeOf(engine, partition, appendMs)),
    spend: [],
    rejected: { log: undefined as never, stored: undefined as never, rested: true },
    triggers: [],
    deliveries: [],
    backfills: [],
    versionsNow: async () => () => 0n,
    restOf: async ({ stored }) => stored,
    endNow: (_topic, partition) => logs[partition]!.length,
    readEnds: async () => (_topic, partition) => logs[partition]!.length,
    keysSince: new Set(),
  };
}
