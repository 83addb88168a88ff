// What the readers of experiments share: an assignment as an exposure, and the experiment as a definition.
import type { FeedDefinition, FeedExposure } from '../feed.ts';
import { type RowPlace, rowId } from './message.ts';

export interface RowExposure extends RowPlace {
  readonly key: string;
  readonly experiment: string;
  readonly variant: string;
  readonly timeMs: number;
}

export function exposureOf(given: RowExposure): FeedExposure {
  const { row, key, experiment, variant, timeMs } = given;
  const messageId = rowId(given, 'exposure');
  return {
    to: 'exposures',
    key,
    arrivalMs: timeMs,
    fileRow: row,
    row: { messageId, experiment, variant, timeMs },
  };
}

/** An experiment of even weights that is over: nobody new is assigned. */
export function experimentDefinition(id: string, name: string, variants: readonly string[]): FeedDefinition {
  const variations = variants.map((key) => ({ key, value: key, weight: 1 / variants.length }));
  return { type: 'experiment', id, document: { name, status: 'stopped', variations, fallback: variants[0] } };
}
