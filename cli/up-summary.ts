// What happened, for people and as JSON: read from ClickHouse and from the API, as anybody else would read it.

import type { ClickHouse } from '../platform/clickhouse.ts';
import { readCounts } from './up-counts.ts';

const TOP_OPPORTUNITIES = 5;
const FUNNELS_MAX = 5;

export interface SummarySource {
  readonly clickhouse: ClickHouse;
  /** Address of `serve`. */
  readonly url: string;
  readonly secretKey: string;
  readonly namespace: string;
}

interface Period {
  from: string;
  to: string;
}

interface Funnel {
  funnel: string;
  steps: { step: string; buyers: number }[];
}

interface Opportunities {
  opened: number;
  qualified: number;
  orders: number;
  open: number;
  lost: number;
  top: { key: string; subject: string; stage: string; quality: number; country: string; industry: string }[];
}

/** Who turned out to be one person. */
interface Identity {
  /** Visitors that were linked to a user, which was not taken back. */
  visitorsJoined: number;
  users: number;
  usersWithSeveralVisitors: number;
  sharedDevices: number;
  companies: number;
  members: number;
}

interface Campaign {
  campaign: string;
  account: string;
  currency: string | null;
  impressions: number;
  clicks: number;
  costMicros: number;
}

interface Account {
  account: string;
  currency: string;
  /** Null where no total is set. */
  totalBudgetMicros: number | null;
  dailyBudgetMicros: number;
  settledTodayMicros: number;
  settledTotalMicros: number;
  outstandingMicros: number;
}

/** The summary that `flywheel up --once` prints as JSON on its last line. Counts are of rows without repeats. */
export interface Summary {
  namespace: string;
  /** Times of what is there; null while nothing is. */
  period: Period | null;
  events: { total: number; buyers: number; byVerdict: Record<string, number> };
  rejects: { total: number; byReason: Record<string, number> };
  identity: Identity | null;
  funnels: Funnel[];
  opportunities: Opportunities | null;
  campaigns: Campaign[];
  /** Spend against budget, of every account with a campaign above. */
  accounts: Account[];
  /** How often buyers came to a stage by themselves; not where links put them. */
  transitions: Record<string, number>;
  /** Each trigger once: waiting, acknowledged or expired. */
  triggers: Record<string, number>;
}

/** Reads the whole summary; the period of the reports is that of the events that are there. */
export async function readSummary(source: SummarySource): Promise<Summary> {
  const { clickhouse, namespace } = source;
  const { events, rejects, transitions, triggers } = await readCounts(clickhouse);
  const { buyers, records, ...times } = await readTimes(clickhouse);
  const period = records === 0 ? null : times;
  const campaigns = period === null ? [] : await readCampaigns(source, period);
  return {
    namespace,
    period,
    events: { total: sum(events), buyers, byVerdict: events },
    rejects: { total: sum(rejects), byReason: rejects },
    identity: period === null ? null : await readIdentity(source, period),
    funnels: period === null ? [] : await readFunnels(source, period),
    opportunities: period === null ? null : await readOpportunities(source, period),
    campaigns,
    accounts: await readAccounts(source, campaigns),
    transitions,
    triggers,
  };
}

/** Reports look at no longer period: one event of long ago must not keep the summary from the rest. */
const REPORTED_MS_MAX = 799 * 86_400_000;

/** Times of all that was taken, behaviour and spend, and of what followed: a link is made when its record is read. */
async function readTimes(clickhouse: ClickHouse): Promise<Period & { buyers: number; records: number }> {
  const query = `SELECT toUnixTimestamp64Milli(min(time)) AS from_ms, toUnixTimestamp64Milli(max(time)) AS to_ms,
      count() AS records, (SELECT uniqExact(key) FROM events) AS buyers
    FROM (SELECT time FROM events UNION ALL SELECT time FROM spend UNION ALL SELECT time FROM identities)`;
  const result = await clickhouse.query({ query, format: 'JSONEachRow' });
  const [row] = await result.json<Record<'from_ms' | 'to_ms' | 'buyers' | 'records', string | number>>();
  const toMs = Number(row?.to_ms ?? 0) + 1;
  return {
    from: new Date(Math.max(Number(row?.from_ms ?? 0), toMs - REPORTED_MS_MAX)).toISOString(),
    to: new Date(toMs).toISOString(),
    buyers: Number(row?.buyers ?? 0),
    records: Number(row?.records ?? 0),
  };
}

interface IdentityAnswer {
  joined: {
    visitors: number;
    users: number;
    usersWithSeveralVisitors: number;
    visitorsOfSeveralUsers: number;
  };
  companies: { companies: number; members: number };
}

async function readIdentity(source: SummarySource, period: Period): Promise<Identity> {
  const { joined, companies } = await ask<IdentityAnswer>(source, '/v1/reports/identity', { ...period });
  return {
    visitorsJoined: joined.visitors,
    users: joined.users,
    usersWithSeveralVisitors: joined.usersWithSeveralVisitors,
    sharedDevices: joined.visitorsOfSeveralUsers,
    ...companies,
  };
}

const HOUR_MS = 3_600_000;

/** Reports by the hour count those that begin in the period: the first event's hour began before it. */
function wholeHours({ from, to }: Period): Period {
  const first = Math.floor(Date.parse(from) / HOUR_MS) * HOUR_MS;
  const end = Math.ceil(Date.parse(to) / HOUR_MS) * HOUR_MS;
  return { from: new Date(first).toISOString(), to: new Date(end).toISOString() };
}

/** Hours of an account begin at any minute: the one that holds its first record less than an hour before that. */
function hoursOfAccounts({ from, to }: Period): Period {
  return { from: new Date(Date.parse(from) - HOUR_MS + 1).toISOString(), to };
}

async function readFunnels(source: SummarySource, period: Period): Promise<Funnel[]> {
  const { definitions } = await ask<{ definitions: { id: string }[] }>(source, '/v1/definitions/funnel', {});
  const funnels = await Promise.all(
    definitions.slice(0, FUNNELS_MAX).map(async ({ id }) => {
      const { rows } = await ask<{ rows: { steps: { step: string; count: number }[] }[] }>(
        source,
        '/v1/reports/funnel',
        { ...wholeHours(period), funnel: id },
      );
      return {
        funnel: id,
        steps: (rows[0]?.steps ?? []).map(({ step, count }) => ({ step, buyers: count })),
      };
    }),
  );
  return funnels.filter(({ steps }) => steps.length > 0);
}

async function readOpportunities(source: SummarySource, period: Period): Promise<Opportunities | null> {
  const { rows, top } = await ask<{ rows: Omit<Opportunities, 'top'>[]; top: Opportunities['top'] }>(
    source,
    '/v1/reports/opportunities',
    { ...period, top: String(TOP_OPPORTUNITIES) },
  );
  const [total] = rows;
  if (total === undefined) return null;
  const { opened, qualified, orders, open, lost } = total;
  return {
    opened,
    qualified,
    orders,
    open,
    lost,
    top: top.map(({ key, subject, stage, quality, country, industry }) => ({
      key,
      subject,
      stage,
      quality,
      country,
      industry,
    })),
  };
}

async function readCampaigns(source: SummarySource, period: Period): Promise<Campaign[]> {
  const { rows } = await ask<{ rows: Campaign[] }>(source, '/v1/reports/campaigns', {
    ...hoursOfAccounts(period),
  });
  return rows.map(({ campaign, account, currency, impressions, clicks, costMicros }) => ({
    campaign,
    account,
    currency,
    impressions,
    clicks,
    costMicros,
  }));
}

interface BudgetAnswer {
  account: string;
  currency: string;
  budget: { dailyMicros: number; totalMicros: number | null };
  settled: { todayMicros: number; totalMicros: number };
  outstanding: { todayMicros: number };
}

async function readAccounts(source: SummarySource, campaigns: readonly Campaign[]): Promise<Account[]> {
  const oneOfEach = new Map(campaigns.map(({ account, campaign }) => [account, campaign]));
  return Promise.all(
    [...oneOfEach.values()].sort().map(async (campaign) => {
      const route = `/v1/campaigns/${encodeURIComponent(campaign)}/budget`;
      const { account, currency, budget, settled, outstanding } = await ask<BudgetAnswer>(source, route, {});
      return {
        account,
        currency,
        totalBudgetMicros: budget.totalMicros,
        dailyBudgetMicros: budget.dailyMicros,
        settledTodayMicros: settled.todayMicros,
        settledTotalMicros: settled.totalMicros,
        outstandingMicros: outstanding.todayMicros,
      };
    }),
  );
}

async function ask<Answer>(
  { url, secretKey }: SummarySource,
  route: string,
  query: Record<string, string>,
): Promise<Answer> {
  const address = `${url}${route}?${new URLSearchParams(query)}`;
  const response = await fetch(address, { headers: { authorization: `Bearer ${secretKey}` } });
  if (!response.ok) throw new Error(`${address} answered ${response.status}: ${await response.text()}`);
  return (await response.json()) as Answer;
}

function sum(counts: Record<string, number>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

/** The summary as lines for people. */
export function describeSummary(summary: Summary): string[] {
  const { period, events, rejects, opportunities } = summary;
  const lines = [
    `namespace ${summary.namespace}: ${count(events.total)} events of ${count(events.buyers)} keys, visitors and users (${counts(events.byVerdict)})`,
  ];
  if (period !== null) lines.push(`from ${period.from} to ${period.to}`);
  lines.push(`rejects: ${count(rejects.total)}${rejects.total > 0 ? ` (${counts(rejects.byReason)})` : ''}`);
  if (summary.identity !== null) lines.push(describeIdentity(summary.identity));
  for (const { funnel, steps } of summary.funnels) {
    lines.push(
      `funnel ${funnel}: ${steps.map(({ step, buyers }) => `${step} ${count(buyers)}`).join(' → ')}`,
    );
  }
  if (opportunities !== null) {
    const { opened, qualified, orders, open, lost, top } = opportunities;
    lines.push(
      `opportunities: ${count(opened)} opened; of them ${count(qualified)} are of quality, ${count(orders)} came to an order; now ${count(open)} are open, ${count(lost)} lost, ${count(opened - open - lost)} closed otherwise`,
    );
    for (const best of top) {
      const where = [best.country, best.industry].filter((part) => part !== '').join(', ');
      lines.push(
        `  quality ${best.quality.toFixed(2)}: ${best.key}, ${best.stage}, ${best.subject} (${where})`,
      );
    }
  }
  for (const { campaign, impressions, clicks, costMicros, currency } of summary.campaigns) {
    const cost = money(costMicros, currency ?? '');
    lines.push(`campaign ${campaign}: ${cost}, ${count(impressions)} impressions, ${count(clicks)} clicks`);
  }
  for (const account of summary.accounts) {
    const { currency, dailyBudgetMicros, totalBudgetMicros, settledTodayMicros, settledTotalMicros } =
      account;
    const total = totalBudgetMicros === null ? '' : ` of ${money(totalBudgetMicros, currency)}`;
    lines.push(
      `account ${account.account}: today ${money(settledTodayMicros, currency)} of ${money(dailyBudgetMicros, currency)}, in all ${money(settledTotalMicros, currency)}${total}`,
    );
  }
  lines.push(`lifecycle, times that a buyer became: ${counts(summary.transitions) || 'nobody anything yet'}`);
  lines.push(`triggers, as they stand: ${counts(summary.triggers) || 'none'}`);
  return lines;
}

function describeIdentity(identity: Identity): string {
  const { visitorsJoined, users, usersWithSeveralVisitors, sharedDevices, companies, members } = identity;
  return (
    `people: ${count(visitorsJoined)} visitors are known as ${count(users)} users ` +
    `(${count(usersWithSeveralVisitors)} have several devices, ${count(sharedDevices)} devices have several users); ` +
    `${count(companies)} companies have ${count(members)} members`
  );
}

function counts(byName: Record<string, number>): string {
  return Object.entries(byName)
    .map(([name, value]) => `${name} ${count(value)}`)
    .join(', ');
}

function count(value: number): string {
  return value.toLocaleString('en');
}

function money(micros: number, currency: string): string {
  const amount = (micros / 1e6).toLocaleString('en', { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  return `${amount} ${currency}`.trim();
}
