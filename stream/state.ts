// What an owner holds of its partition between two commits, and the parts of it that a commit writes.
import type { Definitions, KeptDefinition } from '../domain/in-force.ts';

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
  /** The last record, other than a clock, that raised the watermark: to what, and when it was appended. Null if its `receivedAt` was supplied. */
  anchor: { readonly watermarkMs: number; readonly appendMs: number } | null;
}

export interface InForceState {
  kept: readonly KeptDefinition[];
  definitions: Definitions;
}

/** next offset × 2^22 + timers fired before it: a function of the log alone, so that a re-cut batch has the same. */
export function versionOf(head: Pick<Head, 'offset' | 'fired'>): bigint {
  return BigInt(head.offset) * 4_194_304n + BigInt(head.fired);
}
