// Reports from ClickHouse: opportunities, campaigns and the north star of a period, by segment.
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { AccountDefinition, CampaignDefinition, DefinitionType } from '../../domain/definition.ts';
import { lastSaid } from '../../platform/last-said.ts';
import { clickhouseTime } from '../../platform/named-query.ts';
import { definedHistory, iso, isoTime } from '../answer.ts';
import { querySchema, responses } from '../schema.ts';
import type { StateReader } from '../state.ts';
import { asked, askedOf, countedSegment, type ReportPorts, segment, tags } from './asked.ts';
import { registerFunnelReport } from './funnel.ts';
import { ratio } from './funnel-steps.ts';
import { registerIdentityReport } from './identity.ts';
import { clickhouseSeconds, limitedRows, reportProblems, reportRunner } from './named-queries.ts';
import {
  accountHoursNote,
  accountHoursOf,
  periodOf,
  periodQuery,
  truncated,
  wholePeriodNote,
  wholePeriodOf,
} from './period.ts';
import { standingReader } from './standing.ts';

const share = z.number().nullable();

const opportunityRow = z.object({
  segment,
  opened: z.int(),
  qualified: z.int(),
  inquiries: z.int().meta({ description: 'Those that came as far as an inquiry.' }),
  orders: z.int().meta({ description: 'Those that came as far as an order.' }),
  open: z.int(),
  fulfilled: z.int(),
  completed: z.int().meta({ description: 'Ordered, and closed by time.' }),
  lost: z.int(),
  evicted: z.int(),
  meanQuality: z.number().nullable(),
  qualifiedRate: share,
  orderRate: share,
});
const topOpportunity = z.object({
  id: z.string(),
  key: z.string(),
  subject: z.string(),
  stage: z.string(),
  quality: z.number(),
  qualified: z.boolean(),
  opened: isoTime,
  changed: isoTime,
  country: z.string(),
  industry: z.string(),
  channel: z.string(),
  level: z.string(),
});

interface OpportunityRow
  extends Omit<z.infer<typeof opportunityRow>, 'meanQuality' | 'qualifiedRate' | 'orderRate'> {
  mean_quality: number | null;
}
interface TopRow extends Omit<z.infer<typeof topOpportunity>, 'opened' | 'changed' | 'qualified'> {
  opened_ms: number;
  changed_ms: number;
  qualified: number;
}

function registerOpportunities(app: FastifyInstance, deps: ReportPorts): void {
  const { run, standingOf } = deps;
  const query = periodQuery.extend({ top: z.int().min(0).max(1_000).default(10) });
  const answer = z.object({
    ...asked,
    truncated,
    rows: z.array(opportunityRow),
    top: z.array(topOpportunity),
  });
  const schema = {
    tags,
    summary: 'Opportunities opened in a period, as they stand now, and the best that are open',
    description: 'The largest segments come first; `truncated` says nothing of `top`.',
    querystring: querySchema(query),
    response: responses({ 200: answer }, reportProblems),
  };
  app.get('/v1/reports/opportunities', { schema }, async (request): Promise<z.infer<typeof answer>> => {
    const asking = request.query as z.infer<typeof query>;
    const { fromMs, toMs } = periodOf(asking, deps.clock.nowMs());
    const generation = deps.generations.events;
    const within = { generation, from: clickhouseTime(fromMs), to: clickhouseTime(toMs) };
    const [standing, { rows, truncated }, top] = await Promise.all([
      standingOf('events'),
      limitedRows<OpportunityRow>(run, 'opportunities', {
        ...within,
        by: asking.by ?? '',
        limit: asking.limit,
      }),
      asking.top === 0 ? [] : run<TopRow>('opportunities-top', { ...within, limit: asking.top }),
    ]);
    return {
      ...askedOf(asking, fromMs, toMs, generation),
      ...standing,
      truncated,
      rows: rows.map(({ mean_quality: meanQuality, ...row }) => ({
        ...row,
        meanQuality,
        qualifiedRate: ratio(row.qualified, row.opened),
        orderRate: ratio(row.orders, row.opened),
      })),
      top: top.map(({ opened_ms, changed_ms, qualified, ...row }) => ({
        ...row,
        qualified: qualified === 1,
        opened: iso(opened_ms),
        changed: iso(changed_ms),
      })),
    };
  });
}

interface CampaignRow {
  readonly campaign: string;
  readonly account: string;
  readonly segment: string;
  readonly impressions: number;
  readonly clicks: number;
  readonly cost_micros: number;
}

/** What begins from a time on begins from here: hours begin at full seconds. */
function firstSecond(ms: number): string {
  return clickhouseSeconds(ms + 999);
}

function registerCampaigns(app: FastifyInstance, deps: ReportPorts): void {
  const { run, standingOf } = deps;
  const query = periodQuery.extend({
    by: z.enum(['country', 'channel']).optional().meta({ description: 'Spend knows no industry.' }),
    campaign: z.string().max(256).optional().meta({ description: 'Only this campaign.' }),
  });
  const row = z.object({
    campaign: z.string(),
    name: z.string().nullable().meta({ description: 'Null if no definition in force has this id.' }),
    account: z.string(),
    currency: z.string().nullable(),
    segment,
    impressions: z.int(),
    clicks: z.int(),
    costMicros: z.int(),
    clickRate: share,
    costPerClickMicros: share,
    costPerThousandMicros: share,
  });
  const answer = z.object({ ...asked, truncated, rows: z.array(row) });
  const schema = {
    tags,
    summary: 'Impressions, clicks and cost of campaigns in a period, by whole hours',
    description: `What cost most comes first. ${accountHoursNote}`,
    querystring: querySchema(query),
    response: responses({ 200: answer }, reportProblems),
  };
  /** Withdrawn ones too: what was spent by them was spent in their currency, and their hours. */
  const said = <Document>(type: DefinitionType, id: string) =>
    lastSaid<Document>(deps.definitionLog.historyOf(type, id))?.document;
  /** Of a campaign's own account; where it has none, or all are asked for, of all in force and UTC, by which what nobody has defined is counted. */
  function offsetsOf(campaign: string | undefined): number[] {
    const document = campaign === undefined ? undefined : said<CampaignDefinition>('campaign', campaign);
    const own = document && said<AccountDefinition>('account', document.accountId);
    if (own !== undefined) return [own.utcOffsetMinutes];
    const all = deps.definitionLog.list<AccountDefinition>('account');
    return [0, ...all.map((account) => account.document.utcOffsetMinutes)];
  }

  app.get('/v1/reports/campaigns', { schema }, async (request): Promise<z.infer<typeof answer>> => {
    const asking = request.query as z.infer<typeof query>;
    const { fromMs, toMs } = accountHoursOf(asking, deps.clock.nowMs(), offsetsOf(asking.campaign));
    const generation = deps.generations.spend;
    const [standing, { rows, truncated }] = await Promise.all([
      standingOf('spend'),
      limitedRows<CampaignRow>(run, 'campaigns', {
        campaign: asking.campaign ?? '',
        generation,
        from: firstSecond(fromMs),
        to: firstSecond(toMs),
        by: asking.by ?? '',
        limit: asking.limit,
      }),
    ]);
    // Money may have been spent for a campaign that nobody has defined.
    if (rows.length === 0 && asking.campaign !== undefined)
      definedHistory(deps.definitionLog, 'campaign', asking.campaign);
    return {
      ...askedOf(asking, fromMs, toMs, generation),
      ...standing,
      truncated,
      rows: rows.map(({ cost_micros: costMicros, ...counts }) => ({
        ...counts,
        costMicros,
        name: said<CampaignDefinition>('campaign', counts.campaign)?.name ?? null,
        currency: said<AccountDefinition>('account', counts.account)?.currency ?? null,
        clickRate: ratio(counts.clicks, counts.impressions),
        costPerClickMicros: ratio(costMicros, counts.clicks),
        costPerThousandMicros: ratio(costMicros * 1_000, counts.impressions),
      })),
    };
  });
}

interface NorthStarRow {
  day: string;
  segment: string;
  visitors: number;
  opportunities: number;
  quality_opportunities: number;
}

/** The query's order within a day stays. */
function byDay(one: NorthStarRow, other: NorthStarRow): number {
  return one.day < other.day ? -1 : Number(one.day > other.day);
}

function registerNorthStar(app: FastifyInstance, deps: ReportPorts): void {
  const { run, standingOf } = deps;
  const query = periodQuery.extend({
    people: z
      .boolean()
      .default(false)
      .meta({ description: 'Count people too: reads the events of the period, which takes longer.' }),
  });
  const row = z.object({
    day: z.string().meta({ format: 'date', examples: ['2026-01-15'] }),
    segment: countedSegment,
    visitors: z.int(),
    people: z.int().nullable().meta({ description: 'Null unless `people` is asked for, and with `by`.' }),
    opportunities: z.int(),
    qualityOpportunities: z.int(),
    opportunitiesPerVisitor: share,
    qualityPerVisitor: share.meta({ description: 'The north star: quality opportunities for each visitor.' }),
  });
  const answer = z.object({ ...asked, truncated, rows: z.array(row) });
  const schema = {
    tags,
    summary: 'Visitors, opportunities and quality opportunities by day (UTC)',
    description:
      'A visitor is counted under the key and in the segment of then, and stays counted: who came under two keys in a day, and ' +
      'was joined only later, is two visitors, but one of the people, who are counted anew by the links as they stand now. ' +
      'Of more rows than `limit` the newest days are told, and of the oldest of these the largest segments. ' +
      wholePeriodNote('day'),
    querystring: querySchema(query),
    response: responses({ 200: answer }, reportProblems),
  };
  app.get('/v1/reports/north-star', { schema }, async (request): Promise<z.infer<typeof answer>> => {
    const asking = request.query as z.infer<typeof query>;
    const { fromMs, toMs } = wholePeriodOf(asking, deps.clock.nowMs(), 'day');
    const generation = deps.generations.events;
    const within = { generation, from: clickhouseSeconds(fromMs), to: clickhouseSeconds(toMs) };
    const countsPeople = asking.people && asking.by === undefined;
    const [standing, { rows, truncated }, people] = await Promise.all([
      standingOf('events'),
      limitedRows<NorthStarRow>(run, 'north-star', { ...within, by: asking.by ?? '', limit: asking.limit }),
      countsPeople ? run<{ day: string; people: number }>('north-star-people', within) : [],
    ]);
    const peopleOf = new Map(people.map((row) => [row.day, row.people]));
    return {
      ...askedOf(asking, fromMs, toMs, generation),
      ...standing,
      truncated,
      rows: rows.sort(byDay).map(({ quality_opportunities: qualityOpportunities, ...counts }) => ({
        ...counts,
        people: countsPeople ? (peopleOf.get(counts.day) ?? 0) : null,
        qualityOpportunities,
        opportunitiesPerVisitor: ratio(counts.opportunities, counts.visitors),
        qualityPerVisitor: ratio(qualityOpportunities, counts.visitors),
      })),
    };
  });
}

/** Register under a secret key. */
export function registerReports(
  app: FastifyInstance,
  dependencies: Omit<ReportPorts, 'run' | 'standingOf'>,
  reader: StateReader,
): void {
  const ports: ReportPorts = {
    ...dependencies,
    run: reportRunner(dependencies.clickhouse),
    standingOf: standingReader(dependencies, reader),
  };
  registerFunnelReport(app, ports);
  registerOpportunities(app, ports);
  registerCampaigns(app, ports);
  registerNorthStar(app, ports);
  registerIdentityReport(app, ports);
}
