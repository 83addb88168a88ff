// Who turned out to be one person: links that were made, ended and taken back, devices that are shared, ids that may be one.
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { clickhouseTime } from '../../platform/named-query.ts';
import { iso, isoTime } from '../answer.ts';
import { querySchema, responses } from '../schema.ts';
import type { ReportPorts } from './asked.ts';
import { limitedRows, reportProblems } from './named-queries.ts';
import { period, periodOf, periodQuery, truncated } from './period.ts';
import { standing as standingShape } from './standing.ts';

const query = periodQuery.omit({ by: true });

const answer = z.object({
  period,
  generation: z.int(),
  ...standingShape,
  truncated: truncated.meta({
    description:
      'True if there are more aliases or experiments than `limit`: of aliases the newest are told. Ask again with a higher one, or ' +
      'for parts of the period by `from` and `to`.',
  }),
  links: z.object({
    made: z.int(),
    superseded: z
      .int()
      .meta({ description: 'Another user came on the same device, and kept what came from there on.' }),
    revoked: z.int(),
    expired: z.int(),
    merged: z.int().meta({ description: 'Histories that were joined at their users.' }),
    inseparable: z.int().meta({ description: 'Taken back too late: what they brought stays.' }),
  }),
  joined: z.object({
    visitors: z.int().meta({
      description:
        'Visitors with a link that was made in the period and has not been taken back; what one that ended has brought stays.',
    }),
    users: z.int(),
    usersWithSeveralVisitors: z.int(),
    visitorsOfSeveralUsers: z.int().meta({ description: 'Shared devices.' }),
  }),
  companies: z.object({
    companies: z.int(),
    members: z
      .int()
      .meta({ description: 'People: who said so also as a visitor that is known by now is one.' }),
  }),
  aliasesOfUsers: z.object({
    count: z
      .int()
      .meta({ description: 'Aliases whose previous id is another user’s: they are not followed.' }),
    rows: z.array(
      z.object({ userId: z.string(), previousId: z.string(), time: isoTime, messageId: z.string() }),
    ),
  }),
  crossovers: z
    .array(z.object({ experiment: z.string(), people: z.int(), crossovers: z.int() }))
    .meta({ description: 'People who were exposed, and those of them who were shown different variants.' }),
});

type Links = z.infer<typeof answer>['links'];

interface CountsRow extends Links {
  readonly visitors: number;
  readonly users: number;
  readonly users_with_several_visitors: number;
  readonly visitors_of_several_users: number;
  readonly companies: number;
  readonly members: number;
}

interface AliasRow {
  readonly user_id: string;
  readonly previous_id: string;
  readonly first_ms: number;
  readonly message_id: string;
  readonly total: number;
}

type CrossoverRow = z.infer<typeof answer>['crossovers'][number];

/** The query's order at one time stays. */
function byFirstTime(one: AliasRow, other: AliasRow): number {
  return one.first_ms - other.first_ms;
}

/** Register under a secret key. */
export function registerIdentityReport(
  app: FastifyInstance,
  { generations, clock, run, standingOf }: ReportPorts,
): void {
  const schema = {
    tags: ['reports'],
    summary: 'Links between visitors and users, shared devices, companies, crossovers of experiments',
    description: 'Links by the time at which the owners carried them out, the rest by event time.',
    querystring: querySchema(query),
    response: responses({ 200: answer }, reportProblems),
  };
  app.get('/v1/reports/identity', { schema }, async (request): Promise<z.infer<typeof answer>> => {
    const asking = request.query as z.infer<typeof query>;
    const { fromMs, toMs } = periodOf(asking, clock.nowMs());
    const within = {
      generation: generations.events,
      from: clickhouseTime(fromMs),
      to: clickhouseTime(toMs),
    };
    const [standing, [counts], aliases, crossovers] = await Promise.all([
      standingOf('events'),
      run<CountsRow>('identity', within),
      limitedRows<AliasRow>(run, 'identity-aliases', { ...within, limit: asking.limit }),
      limitedRows<CrossoverRow>(run, 'identity-crossovers', { ...within, limit: asking.limit }),
    ]);
    const { made, superseded, revoked, expired, merged, inseparable, ...rest } = counts!;
    return {
      period: { from: iso(fromMs), to: iso(toMs) },
      generation: within.generation,
      ...standing,
      truncated: aliases.truncated || crossovers.truncated,
      links: { made, superseded, revoked, expired, merged, inseparable },
      joined: {
        visitors: rest.visitors,
        users: rest.users,
        usersWithSeveralVisitors: rest.users_with_several_visitors,
        visitorsOfSeveralUsers: rest.visitors_of_several_users,
      },
      companies: { companies: rest.companies, members: rest.members },
      aliasesOfUsers: {
        count: aliases.rows[0]?.total ?? 0,
        rows: aliases.rows.sort(byFirstTime).map((row) => ({
          userId: row.user_id,
          previousId: row.previous_id,
          time: iso(row.first_ms),
          messageId: row.message_id,
        })),
      },
      crossovers: crossovers.rows,
    };
  });
}
