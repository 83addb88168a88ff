// What a transition of a buyer may know beside the state and the record.
import type { Definitions } from './in-force.ts';

export interface BuyerContext {
  /** The watermark after this record, or the due time of the timer. */
  readonly nowMs: number;
  readonly partition: number;
  readonly offset: number;
  /** When the record was appended; 0 for a timer. */
  readonly appendMs: number;
  readonly definitions: Definitions;
}
