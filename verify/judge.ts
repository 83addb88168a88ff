// Judges one buyer's records in the order of the log: applied, late or duplicate.
import type { SegmentRecord } from '../domain/buyer-record.ts';
import { type Known, learn, nothingKnown } from './attributes.ts';
import { behaviourBy, type DefinitionHistory, type Epoch, settledBefore } from './in-force.ts';

/** A segment record of one buyer, as the walk found it. */
export interface OwnRecord {
  /** Its place in the partition's walk. */
  readonly index: number;
  readonly offset: number;
  /** The partition's watermark after it. */
  readonly watermarkMs: number;
  readonly record: SegmentRecord;
  readonly key: string;
  readonly timeMs: number;
}

export interface Judged extends OwnRecord {
  readonly verdict: 'applied' | 'late' | 'duplicate';
  /** '' if unmapped. */
  readonly behaviour: string;
  readonly epoch: Epoch;
  /** What is known of the buyer after it. */
  readonly known: Known;
}

/** An applied record that is mapped to a behaviour. */
export function isBehaved(own: Judged): boolean {
  return own.verdict === 'applied' && own.behaviour !== '';
}

/**
 * The first applied record whose id the cap leaves, once so many were applied: what it has cut does not come back with a higher
 * one, and a lower one cuts with the next record that is applied.
 */
export function idsKeptFrom(keptFrom: number, applied: number, { settings }: Epoch): number {
  return Math.max(keptFrom, applied - settings.maxIdsPerBuyer);
}

/** Every record of the buyer with its verdict. Late and duplicate ones teach nothing and are not remembered. */
export function judge(records: readonly OwnRecord[], history: DefinitionHistory): Judged[] {
  const appliedTimesMs: number[] = [];
  const appliedAt = new Map<string, number[]>();
  let keptFrom = 0;
  let known = nothingKnown;
  return records.map((own) => {
    const { index, offset, watermarkMs, record, key, timeMs } = own;
    const epoch = history.at(offset);
    const { idMemoryMs } = epoch.settings;
    const rememberedMs = Math.max(watermarkMs - idMemoryMs, epoch.letGo.idsMs);
    const behaviour = behaviourBy(epoch.behaviourRules, record.kind, record.event);
    const earlier = appliedAt.get(record.messageId);
    const isRemembered = earlier?.some(
      (place) => appliedTimesMs[place]! >= rememberedMs && place >= keptFrom,
    );
    let verdict: Judged['verdict'] = 'applied';
    if (isRemembered) verdict = 'duplicate';
    else if (timeMs < settledBefore(epoch, watermarkMs)) verdict = 'late';
    else {
      if (earlier === undefined) appliedAt.set(record.messageId, [appliedTimesMs.length]);
      else earlier.push(appliedTimesMs.length);
      appliedTimesMs.push(timeMs);
      keptFrom = idsKeptFrom(keptFrom, appliedTimesMs.length, epoch);
      known = learn(known, record);
    }
    return { index, offset, watermarkMs, record, key, timeMs, behaviour, epoch, verdict, known };
  });
}
