// How far the past of a funnel's revision is counted, as what tells of its steps says beside them.
import { z } from 'zod';
import {
  type BackfillProgress,
  backfillStatuses,
  readBackfill,
  unstarted,
} from '../../platform/backfill-progress.ts';
import type { Dependencies } from '../dependencies.ts';

export const backfill = z
  .object({
    status: z.enum(backfillStatuses).meta({
      description:
        'Until it is `done` what buyers did before the revision’s record is not counted, or not all of it: `stopped` stays so.',
    }),
    buyersDone: z.int(),
    buyersTotal: z.int(),
  })
  .nullable()
  .meta({ description: 'How far the past of this revision is computed; null if Redis did not answer.' });

function shownBackfill({ status, keysDone, keysTotal }: BackfillProgress): z.infer<typeof backfill> {
  return { status, buyersDone: keysDone, buyersTotal: keysTotal };
}

/** As far as Redis knows; null if it did not answer, for reports can be had without it. */
export async function backfillOf(
  {
    redis,
    namespace,
    generations,
    definitionLog,
  }: Pick<Dependencies, 'redis' | 'namespace' | 'generations' | 'definitionLog'>,
  funnel: string,
  revision: number,
): Promise<z.infer<typeof backfill>> {
  try {
    const known = await readBackfill(redis, namespace, generations.events, funnel, revision);
    if (known !== undefined) return shownBackfill(known);
  } catch {
    return null;
  }
  const isInForce = definitionLog.find('funnel', funnel)?.revision === revision;
  return shownBackfill({ ...unstarted(funnel, revision), status: isInForce ? 'waiting' : 'stopped' });
}
