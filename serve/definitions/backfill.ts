// How far the past of a funnel is computed: its numbers are whole when it is done.
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import {
  type BackfillProgress,
  backfillStatuses,
  readBackfills,
  unstarted,
} from '../../platform/backfill-progress.ts';
import { iso, isoTime, unknownDefinition } from '../answer.ts';
import type { Dependencies } from '../dependencies.ts';
import { problemError } from '../problem-details.ts';
import { requestSchema, responses } from '../schema.ts';
import { fromRedis } from '../state.ts';
import { oneParams, tags, typeOf } from './shapes.ts';

const revisionBackfill = z.object({
  revision: z.int(),
  status: z.enum(backfillStatuses).meta({
    description:
      'waiting: the stream has not passed its record, or those of its past, everywhere; failed: it is tried again; stopped: another revision came.',
  }),
  buyersDone: z.int(),
  buyersTotal: z.int().meta({ description: 'All who did something before the funnel’s record.' }),
  buyersFound: z.int().meta({ description: 'Those of them of whom the funnel would have seen something.' }),
  startedAt: isoTime.nullable(),
  finishedAt: isoTime.nullable(),
  detail: z.string().meta({ description: 'Why it waits or failed, or why there was nothing to do.' }),
});
const answer = z.object({
  funnel: z.string(),
  ...revisionBackfill.shape,
  earlier: z.array(revisionBackfill).meta({ description: 'Those of earlier revisions, the last one first.' }),
});

function shown(progress: BackfillProgress): z.infer<typeof revisionBackfill> {
  const { revision, status, keysDone, keysTotal, records, startedMs, finishedMs, detail } = progress;
  return {
    revision,
    status,
    buyersDone: keysDone,
    buyersTotal: keysTotal,
    buyersFound: records,
    startedAt: startedMs === 0 ? null : iso(startedMs),
    finishedAt: finishedMs === 0 ? null : iso(finishedMs),
    detail,
  };
}

type BackfillPorts = Pick<Dependencies, 'definitionLog' | 'redis' | 'namespace' | 'generations'>;

async function backfillsOf(deps: BackfillPorts, id: string): Promise<BackfillProgress[]> {
  const all = await fromRedis(readBackfills(deps.redis, deps.namespace, deps.generations.events));
  return all.filter(({ funnel }) => funnel === id);
}

/** Register under a secret key. */
export function registerDefinitionBackfill(app: FastifyInstance, deps: BackfillPorts): void {
  const schema = {
    tags,
    summary: 'How far the past of a funnel is computed',
    description:
      'A new or changed funnel counts from its record on; what buyers did before is computed from ClickHouse by `flywheel jobs` ' +
      'and folded in. Only funnels have a past.',
    params: requestSchema(oneParams),
    response: responses({ 200: answer }),
  };
  app.get(
    '/v1/definitions/:type/:id/backfill',
    { schema },
    async (request): Promise<z.infer<typeof answer>> => {
      const { type: text, id } = request.params as z.infer<typeof oneParams>;
      const type = typeOf(text);
      const inForce = deps.definitionLog.find(type, id);
      if (inForce === undefined) throw unknownDefinition(type, id);
      if (type !== 'funnel') {
        const detail = `A ${type} has no past that is computed: only funnels have.`;
        throw problemError({ status: 404, code: 'no_backfill', detail });
      }
      const known = (await backfillsOf(deps, id)).sort((a, b) => b.revision - a.revision);
      const { revision } = inForce;
      const current = known.find((each) => each.revision === revision) ?? unstarted(id, revision);
      const earlier = known.filter((each) => each.revision < revision).map(shown);
      return { funnel: id, ...shown(current), earlier };
    },
  );
}
