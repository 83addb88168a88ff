// All twelve partitions of `events` without servers: what one sends arrives at another after a while, in order, and, as if
// its sender had died before it knew, sometimes twice.
import { buyerPartition } from '../../../platform/keys.ts';
import { topicPartitions } from '../../../platform/namespace.ts';
import type { OutboxRecord } from '../../../stream/batch.ts';
import { type Cuts, createPartition, type Partition } from './partition.ts';

/** A record of the log, as collect or the API produces it. */
export interface Produced {
  readonly partition: number;
  readonly value: string;
}

export interface EngineOptions {
  readonly cuts: Cuts;
  readonly appendMs: number;
  /** Says what happens next: numbers in [0, 1). */
  readonly random: () => number;
  /** How likely it is that what was sent last is sent again. */
  readonly repeats: number;
}

export interface Engine {
  readonly partitions: readonly Partition[];
  of(key: string): Partition;
  /** Appends the records of each partition in their order, the partitions and what they send interleaved by chance, until nothing is under way. */
  run(produced: readonly Produced[]): void;
}

/** At most so many records are sent again. */
const REPEATED_MAX = 5;

/** What one partition sent to another. */
interface Way {
  readonly from: number;
  readonly to: number;
  readonly records: OutboxRecord[];
  arrived: number;
}

export function toPartition(key: string, record: object): Produced {
  return { partition: buyerPartition(key), value: JSON.stringify(record) };
}

export function createEngine({ cuts, appendMs, random, repeats }: EngineOptions): Engine {
  const partitions = Array.from({ length: topicPartitions.events }, (_, partition) =>
    createPartition(cuts, appendMs, partition),
  );
  const ways = new Map<string, Way>();
  const seen = partitions.map(() => 0);

  function collectSent(from: number): void {
    const { records } = partitions[from]!;
    for (const record of records.slice(seen[from])) {
      if (record.to !== 'events') continue;
      const name = `${from}-${record.partition}`;
      const way = ways.get(name) ?? { from, to: record.partition, records: [], arrived: 0 };
      way.records.push(record);
      ways.set(name, way);
    }
    seen[from] = records.length;
  }

  function append(partition: number, values: readonly string[]): void {
    partitions[partition]!.run(values);
    collectSent(partition);
  }

  function arrive(way: Way): void {
    const again = random() < repeats ? Math.floor(random() * REPEATED_MAX) : 0;
    const from = Math.max(0, way.arrived - again);
    way.arrived += 1;
    append(
      way.to,
      way.records.slice(from, way.arrived).map(({ value }) => value),
    );
  }

  return {
    partitions,
    of: (key) => partitions[buyerPartition(key)]!,
    run(produced) {
      const left = partitions.map((_, index) => produced.filter(({ partition }) => partition === index));
      for (;;) {
        const sources = [
          ...left.filter((records) => records.length > 0),
          ...[...ways.values()].filter(({ records, arrived }) => arrived < records.length),
        ];
        const next = sources[Math.floor(random() * sources.length)];
        if (next === undefined) return;
        if ('arrived' in next) arrive(next);
        else {
          const { partition, value } = next.shift()!;
          append(partition, [value]);
        }
      }
    },
  };
}
