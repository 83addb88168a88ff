// A funnel's steps in a period, and whether the past of its revision is counted yet.
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { FunnelDefinition } from '../../domain/definition.ts';
import { definedHistory, unknownRevision } from '../answer.ts';
import { querySchema, responses } from '../schema.ts';
import { asked, askedOf, countedSegment, type ReportPorts, tags } from './asked.ts';
import { backfill, backfillOf } from './backfill.ts';
import { funnelSteps, stepsOf } from './funnel-steps.ts';
import { clickhouseSeconds, limitedRows, reportProblems } from './named-queries.ts';
import { periodQuery, truncated, wholePeriodNote, wholePeriodOf } from './period.ts';

const query = periodQuery.extend({
  funnel: z
    .string()
    .max(128)
    .meta({ description: 'The funnel’s id.', examples: ['sourcing'] }),
  revision: z
    .int()
    .min(1)
    .optional()
    .meta({ description: 'If absent the one in force; of a funnel that is withdrawn, its last.' }),
});

const answer = z.object({
  ...asked,
  funnel: z.string(),
  revision: z.int(),
  backfill,
  truncated,
  rows: z.array(z.object({ segment: countedSegment, steps: funnelSteps })),
});

const schema = {
  tags,
  summary: 'A funnel’s steps in a period, by whole hours',
  description:
    'Steps are counted once a buyer and funnel, in the hour of the event and the segment of then. The largest segments come first. ' +
    wholePeriodNote('hour'),
  querystring: querySchema(query),
  response: responses({ 200: answer }, reportProblems),
};

/** Of a revision that is given, that; else the last one that said what the funnel is. @throws 404 for what never was */
function revisionOf(
  { definitionLog }: ReportPorts,
  funnel: string,
  given: number | undefined,
): { revision: number; steps: readonly string[] } {
  const history = definedHistory(definitionLog, 'funnel', funnel);
  const last = history.at(-1)!.revision;
  if (given !== undefined && given > last) {
    const name = JSON.stringify(funnel);
    throw unknownRevision(`funnel ${name} has no revision ${given}; the latest is ${last}.`);
  }
  const record =
    given === undefined
      ? history.findLast(({ document }) => document !== null)
      : history.find((each) => each.revision === given);
  // A revision that withdrew it counted nothing.
  const steps = (record?.document as FunnelDefinition | null | undefined)?.steps ?? [];
  return { revision: record?.revision ?? last, steps };
}

export function registerFunnelReport(app: FastifyInstance, ports: ReportPorts): void {
  const { run, standingOf, clock, generations } = ports;
  app.get('/v1/reports/funnel', { schema }, async (request): Promise<z.infer<typeof answer>> => {
    const asking = request.query as z.infer<typeof query>;
    const { revision, steps } = revisionOf(ports, asking.funnel, asking.revision);
    const { fromMs, toMs } = wholePeriodOf(asking, clock.nowMs(), 'hour');
    const generation = generations.events;
    const [standing, past, { rows, truncated }] = await Promise.all([
      standingOf('events'),
      backfillOf(ports, asking.funnel, revision),
      limitedRows<{ segment: string; steps: number[] }>(run, 'funnel', {
        funnel: asking.funnel,
        revision,
        generation,
        from: clickhouseSeconds(fromMs),
        to: clickhouseSeconds(toMs),
        by: asking.by ?? '',
        limit: asking.limit,
      }),
    ]);
    return {
      ...askedOf(asking, fromMs, toMs, generation),
      ...standing,
      funnel: asking.funnel,
      revision,
      backfill: past,
      truncated,
      rows: rows.map((row) => ({ segment: row.segment, steps: stepsOf(steps, row.steps) })),
    };
  });
}
