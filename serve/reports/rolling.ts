// Rolling funnel counts over 5 minutes, an hour or a day, as the log's own time has it.
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { type FunnelDefinition, settings as settingsSchema } from '../../domain/definition.ts';
import { rollingWindows, type SettingsRevision, sumPartitions, wasHeld } from '../../domain/rolling.ts';
import { isoOrNull, isoTime, unknownDefinition } from '../answer.ts';
import type { DefinitionView, Dependencies } from '../dependencies.ts';
import { querySchema, requestSchema, responses } from '../schema.ts';
import type { StateReader } from '../state.ts';
import { backfill, backfillOf } from './backfill.ts';
import { funnelSteps, stepsOf } from './funnel-steps.ts';
import { segmentBy } from './period.ts';
import { readRolling } from './rolling-counts.ts';

const windowNames = Object.keys(rollingWindows) as (keyof typeof rollingWindows)[];

const query = z.object({
  window: z.enum(windowNames as ['5m', '1h', '24h']).default('1h'),
  by: segmentBy.optional(),
});
const params = z.object({
  id: z
    .string()
    .max(128)
    .meta({ examples: ['sourcing'] }),
});

const answer = z.object({
  funnel: z.string(),
  revision: z.int(),
  window: z.string(),
  asOf: isoTime.nullable().meta({ description: 'The lowest watermark; null before the first record.' }),
  incomplete: z.boolean().meta({
    description:
      'The partitions are further apart than lateness, or one begins anew and has yet to read its first record, or the settings hold, or in the window have held, minutes or hours for a shorter time than the window. What a new revision lacks is told by `backfill`.',
  }),
  backfill,
  spreadMs: z.int().meta({ description: 'How far the partitions’ watermarks are apart.' }),
  partitions: z.int().meta({ description: 'Partitions that have had a record.' }),
  by: segmentBy.nullable(),
  steps: funnelSteps,
  segments: z.array(z.object({ segment: z.string(), steps: funnelSteps })),
});

/** Settings since ever, the first one first; where none are, the defaults are in force. */
function settingsRevisions(definitionLog: Pick<DefinitionView, 'historyOf'>): SettingsRevision[] {
  const given = definitionLog.historyOf('settings', 'default');
  return [{ at: 0, document: null }, ...given].map(({ at, document }) => ({
    atMs: at,
    settings: settingsSchema.parse(document ?? {}),
  }));
}

/** Register under a secret key. */
export function registerRolling(
  app: FastifyInstance,
  dependencies: Pick<Dependencies, 'definitionLog' | 'redis' | 'namespace' | 'generations'>,
  reader: StateReader,
): void {
  const { definitionLog } = dependencies;
  const schema = {
    tags: ['reports'],
    summary: 'A funnel over the last 5 minutes, hour or day, from Redis',
    description:
      'Each partition is read at its own watermark: windows whose end lies after watermark − window. ' +
      '5m and 1h sum minutes, 24h sums hours, so up to one of them is covered more than the window says.',
    params: requestSchema(params),
    querystring: querySchema(query),
    response: responses({ 200: answer }),
  };
  app.get('/v1/rolling/funnels/:id', { schema }, async (request): Promise<z.infer<typeof answer>> => {
    const { id } = request.params as z.infer<typeof params>;
    const { window, by } = request.query as z.infer<typeof query>;
    const funnel = definitionLog.find<FunnelDefinition>('funnel', id);
    if (funnel === undefined) throw unknownDefinition('funnel', id);
    const { revision, document } = funnel;
    const revisions = settingsRevisions(definitionLog);
    const { latenessMs } = revisions.at(-1)!.settings;
    const [read, past] = await Promise.all([
      readRolling(reader, `funnel:${id}`, revision, window),
      backfillOf(dependencies, id, revision),
    ]);
    const counts = sumPartitions(read, document.steps.length, latenessMs, by ?? null);
    return {
      funnel: id,
      revision,
      window,
      asOf: isoOrNull(counts.asOfMs),
      incomplete: counts.incomplete || !wasHeld(window, revisions, counts.asOfMs ?? Number.POSITIVE_INFINITY),
      backfill: past,
      spreadMs: counts.spreadMs,
      partitions: counts.partitions,
      by: by ?? null,
      steps: stepsOf(document.steps, counts.totals),
      segments: counts.segments.map(({ value, counts: own }) => ({
        segment: value,
        steps: stepsOf(document.steps, own),
      })),
    };
  });
}
