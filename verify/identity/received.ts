// Which records of outboxes a partition takes: those of its own generation, each once. What is not above the highest that came
// from the same partition is a repeat.
import type { DerivedRecord } from '../../domain/identity-record.ts';
import type { EventsTopicRecord } from '../../domain/record.ts';
import type { Step, Walk } from '../watermark.ts';
import { isDerived } from './kinds.ts';

export interface ReceivedPosition {
  readonly offset: number;
  readonly ordinal: number;
}

export interface Received {
  /** The steps whose records are taken, by index. */
  readonly taken: ReadonlyMap<number, DerivedRecord>;
  /** The highest position of each source partition. */
  readonly positions: ReadonlyMap<number, ReceivedPosition>;
}

export function receive({ steps }: Walk<EventsTopicRecord>, generation: number): Received {
  const taken = new Map<number, DerivedRecord>();
  const positions = new Map<number, ReceivedPosition>();
  for (const { index, record } of derivedOf(steps)) {
    const { partition, offset, ordinal } = record.origin;
    const highest = positions.get(partition);
    const isAbove =
      highest === undefined ||
      offset > highest.offset ||
      (offset === highest.offset && ordinal > highest.ordinal);
    if (record.origin.generation !== generation || !isAbove) continue;
    positions.set(partition, { offset, ordinal });
    taken.set(index, record);
  }
  return { taken, positions };
}

function derivedOf(steps: readonly Step<EventsTopicRecord>[]): { index: number; record: DerivedRecord }[] {
  return steps.flatMap(({ index, record }) =>
    record !== undefined && isDerived(record) ? [{ index, record }] : [],
  );
}
