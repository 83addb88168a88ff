// Whether ClickHouse has all that the log has: each partition's head in Redis says how far its owner is and what it owes. Reports of
// rows alone would look the same with a partition paused, or half rebuilt.
import { z } from 'zod';
import { topicPartitions } from '../../platform/namespace.ts';
import { withholdingReason } from '../../platform/trigger-offer.ts';
import { UNDELIVERED_MS_MAX } from '../../platform/undelivered.ts';
import { isoOrNull, isoTime } from '../answer.ts';
import { watermarkOf } from '../buyer-reads.ts';
import type { Dependencies } from '../dependencies.ts';
import type { StateReader } from '../state.ts';

export const standing = {
  asOf: isoTime.nullable().meta({
    description:
      'The lowest watermark of the partitions when it was asked, of which one with old records alone may be far below the others; what came in the last seconds before may not be counted. Null before the first record, and if Redis did not answer.',
  }),
  incomplete: z.boolean().meta({
    description:
      'A partition is paused, has no owner, is rebuilt from the log, or has had records to read, or owed rows to ClickHouse, for over 30 s. True as well if Redis, which knows it, did not answer.',
  }),
};
export interface Standing {
  readonly asOf: string | null;
  readonly incomplete: boolean;
}

/** Of the partitions of a topic, in one trip to Redis. It does not fail: reports can be had without Redis. */
export type StandingOf = (topic: 'events' | 'spend') => Promise<Standing>;

const fields = ['watermark', 'ready', 'stamp', 'paused', 'oldest', 'owedSince'] as const;

/** @param head the fields, in their order */
function isWhole(head: readonly (string | null)[], nowMs: number): boolean {
  const [_watermark, ready = null, stamp = null, paused, ...since] = head;
  if (withholdingReason(ready, stamp, nowMs) !== null || paused === '1') return false;
  return since.every((sinceMs) => !sinceMs || nowMs - Number(sinceMs) <= UNDELIVERED_MS_MAX);
}

export function standingReader({ clock }: Pick<Dependencies, 'clock'>, reader: StateReader): StandingOf {
  return async (topic) => {
    const partitions = Array.from({ length: topicPartitions[topic] }, (_, partition) => partition);
    const reading = partitions.map((partition) =>
      reader.redis.hmget(reader.keysOf(topic, partition).head, ...fields),
    );
    const heads = await Promise.all(reading).catch(() => undefined);
    if (heads === undefined) return { asOf: null, incomplete: true };
    const nowMs = clock.nowMs();
    const watermarks = heads.map(([watermark]) => watermarkOf(watermark)).filter((each) => each > 0);
    const asOfMs = watermarks.length === 0 ? null : Math.min(...watermarks);
    // How far they are apart is no matter here: ClickHouse has the rows of those that are ahead, and of one that has read its log all
    // that there is, however old.
    return { asOf: isoOrNull(asOfMs), incomplete: !heads.every((head) => isWhole(head, nowMs)) };
  };
}
