// How much of its budget a campaign and its account have spent, hold in leases and still have free: one trip to Redis.
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { accountSummary, campaignSettled, withoutBudget } from '../../domain/account/summary.ts';
import { HOURS, newAccount } from '../../domain/account.ts';
import type { AccountDefinition, CampaignDefinition } from '../../domain/definition.ts';
import { lastSaid } from '../../platform/last-said.ts';
import { iso, isoOrNull, isoTime, unknownDefinition } from '../answer.ts';
import type { Dependencies } from '../dependencies.ts';
import { problemError } from '../problem-details.ts';
import { requestSchema, responses } from '../schema.ts';
import type { StateReader } from '../state.ts';

const micros = z.int();
const version = z.object({ id: z.string(), revision: z.int(), hash: z.string() });

const budgetAnswer = z.object({
  campaign: z.string(),
  account: z.string(),
  currency: z.string().meta({ examples: ['EUR'] }),
  status: z.enum(['active', 'paused', 'withdrawn']).meta({
    description: '`withdrawn`: the campaign is defined no more; what was spent for it counts all the same.',
  }),
  asOf: isoTime
    .nullable()
    .meta({ description: 'The watermark of the account’s partition; null before its first record.' }),
  day: z.object({ start: isoTime, end: isoTime }).nullable().meta({ description: 'The account’s own day.' }),
  campaignSettled: z.object({ todayMicros: micros, totalMicros: micros }),
  budget: z
    .object({ dailyMicros: micros, totalMicros: micros.nullable() })
    .meta({ description: 'As the account’s definition says; none (0) once that was withdrawn.' }),
  settled: z.object({ todayMicros: micros, totalMicros: micros }),
  outstanding: z
    .object({ todayMicros: micros, totalMicros: micros })
    .meta({ description: 'Granted in leases and neither settled nor free again.' }),
  freeMicros: micros.meta({ description: 'What could still be granted today.' }),
  multiplier: z.number(),
  plan: z.object({
    plannedTodayMicros: micros.meta({ description: 'What should have been spent today by now.' }),
    plannedNextMicros: micros.meta({ description: 'What should be spent within the next lease’s life.' }),
    hourShares: z
      .array(z.number())
      .meta({ description: 'The part of the day’s traffic in each hour of the account’s day.' }),
  }),
  overshoot: z.object({ todayMicros: micros, totalMicros: micros, reportedMicros: micros }),
  counters: z.record(z.string(), z.int()).meta({ description: 'What happened outside the guarantee.' }),
  versions: z.object({ campaign: version, account: version }),
});

/** Register under a secret key. */
export function registerBudgets(
  app: FastifyInstance,
  { definitionLog }: Pick<Dependencies, 'definitionLog'>,
  reader: StateReader,
): void {
  const schema = {
    tags: ['budgets'],
    summary: 'May we still spend: a campaign’s budget, its account’s pacing and plan',
    params: requestSchema(
      z.object({
        id: z
          .string()
          .max(128)
          .meta({ examples: ['search-machinery'] }),
      }),
    ),
    response: responses({ 200: budgetAnswer }),
  };
  app.get('/v1/campaigns/:id/budget', { schema }, async (request): Promise<z.infer<typeof budgetAnswer>> => {
    const { id } = request.params as { id: string };
    // Withdrawn ones too: what was spent for them is settled, and takes from the account's budget.
    const campaign = lastSaid<CampaignDefinition>(definitionLog.historyOf('campaign', id));
    if (campaign === undefined) throw unknownDefinition('campaign', id);
    const { accountId } = campaign.document;
    const account = lastSaid<AccountDefinition>(definitionLog.historyOf('account', accountId));
    if (account === undefined) {
      const detail = `The campaign names the account ${JSON.stringify(accountId)}, which is not defined.`;
      throw problemError({ status: 409, code: 'unknown_account', detail });
    }
    const { state: stored, watermarkMs } = await reader.account(accountId);
    const state = stored ?? newAccount(accountId);
    const defined = accountSummary(state, account.document, watermarkMs);
    const summary = account.isWithdrawn ? withoutBudget(defined) : defined;
    const own = campaignSettled(state, id, watermarkMs);
    const isPlanned = state.pacing.dayMs === summary.dayStartMs && state.pacing.hourShares.length === HOURS;
    return {
      campaign: id,
      account: accountId,
      currency: state.currency === '' ? account.document.currency : state.currency,
      status: campaign.isWithdrawn ? 'withdrawn' : campaign.document.status,
      asOf: isoOrNull(watermarkMs),
      day: watermarkMs === 0 ? null : { start: iso(summary.dayStartMs), end: iso(summary.dayEndMs) },
      campaignSettled: { todayMicros: own.settledTodayMicros, totalMicros: own.settledTotalMicros },
      budget: { dailyMicros: summary.dailyBudgetMicros, totalMicros: summary.totalBudgetMicros },
      settled: { todayMicros: summary.settledTodayMicros, totalMicros: summary.settledTotalMicros },
      outstanding: { todayMicros: summary.outstandingMicros, totalMicros: summary.outstandingTotalMicros },
      freeMicros: summary.freeMicros,
      multiplier: summary.multiplier,
      plan: {
        plannedTodayMicros: summary.plannedTodayMicros,
        plannedNextMicros: summary.plannedNextMicros,
        hourShares: isPlanned
          ? state.pacing.hourShares.map((share) => share / 1_000_000)
          : new Array<number>(HOURS).fill(1 / HOURS),
      },
      overshoot: {
        todayMicros: summary.overshootTodayMicros,
        totalMicros: summary.overshootTotalMicros,
        reportedMicros: summary.reportedOverspendMicros,
      },
      counters: { ...summary.counters },
      versions: {
        campaign: { id, revision: campaign.revision, hash: campaign.hash },
        account: { id: accountId, revision: account.revision, hash: account.hash },
      },
    };
  });
}
