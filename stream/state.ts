// What an owner holds of its partition between two commits, and the parts of it that a commit writes.

import type { Origin } from '../domain/identity-record.ts';
import type { Definitions, KeptDefinition } from '../domain/in-force.ts';

/** Where a derived record comes from, within its source partition. */
export type ReceivedPosition = Pick<Origin, 'offset' | 'ordinal'>;

/** Position, watermark and fence of one partition: the fields of its `head` hash. */
export interface Head {
  /** Random, new at every take-over. */
  nonce: string;
  /** Counts commits; only fences, never versions. */
  seq: number;
  /** The next offset to apply. */
  offset: number;
  /** Timers that have fired before that offset. */
  fired: number;
  /** The next ordinal of an effect at that offset. */
  ordinal: number;
  watermarkMs: number;
  /** The highest position of each source partition of `events` whose derived records were taken. */
  received: Map<number, ReceivedPosition>;
  /** The last record, other than a clock, that raised the watermark: to what, and when it was appended. Null if its `receivedAt` was supplied. Before any has, the request of the first lease that was granted, of when it was appended. */
  anchor: { readonly watermarkMs: number; readonly appendMs: number } | null;
  /**
   * The last record that was folded: by its append time the log is known again. Null before the first, and where an older version
   * wrote the state; of one that an older version went on with it is an earlier record, which the log has all the same.
   */
  last: LastRecord | null;
}

export interface LastRecord {
  readonly offset: number;
  readonly appendMs: number;
}

/** Where a partition stands that has applied nothing. */
export function emptyHead(): Omit<Head, 'nonce' | 'seq'> {
  return { offset: 0, fired: 0, ordinal: 0, watermarkMs: 0, received: new Map(), anchor: null, last: null };
}

export interface InForceState {
  kept: readonly KeptDefinition[];
  definitions: Definitions;
}

/** next offset × 2^22 + timers fired before it: a function of the log alone, so that a re-cut batch has the same. */
export function versionOf(head: Pick<Head, 'offset' | 'fired'>): bigint {
  return BigInt(head.offset) * 4_194_304n + BigInt(head.fired);
}

/** Takes a position if it is above what was taken of its partition; false for a repeat. */
export function receive(head: Pick<Head, 'received'>, { partition, offset, ordinal }: Origin): boolean {
  const known = head.received.get(partition);
  if (known !== undefined && (known.offset > offset || (known.offset === offset && known.ordinal >= ordinal)))
    return false;
  head.received.set(partition, { offset, ordinal });
  return true;
}

/** `<partition>:<offset>:<ordinal>`, comma separated, by partition. */
export function receivedText({ received }: Pick<Head, 'received'>): string {
  return [...received]
    .sort(([a], [b]) => a - b)
    .map(([partition, { offset, ordinal }]) => `${partition}:${offset}:${ordinal}`)
    .join(',');
}

export function parseReceived(text: string): Head['received'] {
  if (text === '') return new Map();
  return new Map(
    text.split(',').map((position) => {
      const [partition = 0, offset = 0, ordinal = 0] = position.split(':').map(Number);
      return [partition, { offset, ordinal }];
    }),
  );
}
