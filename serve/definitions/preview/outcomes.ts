// What accounts, campaigns, opportunities and triggers would have said of what was spent and of what came of it.
import { countryMeant, UNKNOWN } from '../../../domain/attributes.ts';
import type { OpportunityStage } from '../../../domain/buyer.ts';
import type {
  AccountDefinition,
  CampaignDefinition,
  OpportunityDefinition,
} from '../../../domain/definition.ts';
import { qualityOf, subjectOf } from '../../../domain/opportunity.ts';
import type { TriggerDefinition } from '../../../domain/receiver-definition.ts';
import { problemError } from '../../problem-details.ts';
import { clickhouseSeconds } from '../../reports/named-queries.ts';
import { type Measure, mappingOf, type Past } from './past.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

interface SpendRow {
  readonly day: string;
  readonly country: string;
  readonly cost_micros: number;
}

/** When the account's hour or day that holds a time began: its days begin at its own midnight, its hours are counted from there. */
function beginMs(utcOffsetMinutes: number, grainMs: number, timeMs: number): number {
  const offsetMs = utcOffsetMinutes * 60_000;
  return Math.floor((timeMs + offsetMs) / grainMs) * grainMs - offsetMs;
}

/** What was spent against the budget of each of the account's days; of a part of one it would be too little. */
export async function measureAccount(account: AccountDefinition, past: Past, id: string): Promise<Measure[]> {
  const { utcOffsetMinutes } = account;
  const rows = await past.spend<SpendRow>('preview-spend', {
    account: id,
    campaign: '',
    offsetMinutes: utcOffsetMinutes,
    from: clickhouseSeconds(beginMs(utcOffsetMinutes, DAY_MS, past.fromMs)),
  });
  const days = new Map<string, number>();
  for (const { day, cost_micros: cost } of rows) days.set(day, (days.get(day) ?? 0) + cost);
  const budget = account.dailyBudgetMicros;
  const spent = [...days.values()];
  const above = spent.map((cost) => Math.max(0, cost - budget));
  return [
    { group: 'spent', name: 'micros', value: spent.reduce((sum, cost) => sum + cost, 0) },
    { group: 'spent', name: 'above the daily budgets, micros', value: above.reduce((a, b) => a + b, 0) },
    { group: 'spent', name: 'days above their budget', value: above.filter((cost) => cost > 0).length },
    ...[...days].map(([day, cost]) => ({
      group: 'share of the daily budget',
      name: day,
      value: budget === 0 ? 0 : cost / budget,
    })),
  ];
}

/** What the campaign spent where it would still be shown. */
export async function measureCampaign(
  campaign: CampaignDefinition,
  past: Past,
  id: string,
): Promise<Measure[]> {
  const account = past.list<AccountDefinition>('account').find((each) => each.id === campaign.accountId);
  const offsetMinutes = account?.document.utcOffsetMinutes ?? 0;
  const rows = await past.spend<SpendRow>('preview-spend', {
    account: campaign.accountId,
    campaign: id,
    offsetMinutes,
    from: clickhouseSeconds(beginMs(offsetMinutes, HOUR_MS, past.fromMs)),
  });
  const { countries, status } = campaign;
  const named = countries.map(countryMeant);
  const shownIn = (country: string): boolean =>
    status === 'active' && (named.length === 0 || named.includes(countryMeant(country || UNKNOWN.country)));
  const costOf = (kept: readonly SpendRow[]) => kept.reduce((sum, row) => sum + row.cost_micros, 0);
  const byCountry = new Map<string, SpendRow[]>();
  for (const row of rows) byCountry.set(row.country, [...(byCountry.get(row.country) ?? []), row]);
  return [
    { group: 'spent', name: 'micros', value: costOf(rows) },
    {
      group: 'spent',
      name: 'where it is shown, micros',
      value: costOf(rows.filter(({ country }) => shownIn(country))),
    },
    ...[...byCountry].map(([country, own]) => ({
      group: 'spent by country where it is shown, micros',
      name: country === '' ? '(unknown)' : country,
      value: shownIn(country) ? costOf(own) : 0,
    })),
  ];
}

/** What its record said, as far as an opportunity heeds it. */
interface DeepRow {
  readonly key: string;
  readonly behaviour: OpportunityStage;
  /** JSON; '' if none of the definition's properties is there. */
  readonly subject: string;
  readonly message_length: number;
  readonly quantity: number;
  /** 1: there is one. */
  readonly specification: number;
  /** As the buyer had said by then; '' if never. */
  readonly country: string;
  readonly level: string;
}

/** A sample by buyers does not bound what a single one did. */
const DEEP_ROWS_MAX = 300_000;
/** More than `subjectOf` keeps, so that it is what cuts. */
const SUBJECT_CHARACTERS = 200;

/** What was never said is unknown. */
function saidOr(value: string): string | undefined {
  return value === '' ? undefined : value;
}

/** @throws 422 if the buyers who are looked at did too much */
async function deepRows(definition: OpportunityDefinition, past: Past): Promise<DeepRow[]> {
  const rows = await past.events<DeepRow>('preview-deep', {
    ...mappingOf(past.rules),
    oneIn: past.oneIn,
    subjects: definition.subject,
    subjectCharacters: SUBJECT_CHARACTERS,
    limit: DEEP_ROWS_MAX + 1,
  });
  if (rows.length <= DEEP_ROWS_MAX) return rows;
  const detail = `Few buyers have more than ${DEEP_ROWS_MAX} contacts, inquiries and orders in this time, which is more than is looked at. Ask for fewer days.`;
  throw problemError({ status: 422, code: 'too_wide', detail });
}

/** Opportunities as what a buyer asked about one subject, each as good as its best contact, inquiry or order. */
export async function measureOpportunity(definition: OpportunityDefinition, past: Past): Promise<Measure[]> {
  const best = new Map<string, number>();
  for (const row of await deepRows(definition, past)) {
    const about = row.subject === '' ? undefined : JSON.parse(row.subject);
    const name = `${row.key} ${subjectOf({ [definition.subject[0]!]: about }, definition)}`;
    const { message_length: messageLength, quantity } = row;
    const said = { messageLength, quantity, specification: row.specification === 1 };
    const buyer = { country: saidOr(row.country), level: saidOr(row.level) };
    const quality = qualityOf(definition, row.behaviour, said, buyer);
    best.set(name, Math.max(best.get(name) ?? 0, quality));
  }
  const qualities = [...best.values()];
  const mean = qualities.reduce((sum, quality) => sum + quality, 0) / Math.max(1, qualities.length);
  const qualified = qualities.filter((quality) => quality >= definition.qualifiedAt);
  return [
    { group: 'opportunities', name: 'all', value: qualities.length * past.oneIn },
    { group: 'opportunities', name: 'qualified', value: qualified.length * past.oneIn },
    { group: 'opportunities', name: 'mean quality', value: mean },
  ];
}

/** How often it would have been offered. */
export async function measureTrigger(trigger: TriggerDefinition, past: Past): Promise<Measure[]> {
  const rows = await past.events<{ source: string; moment: string; count: number }>('preview-triggers');
  return trigger.to.map((moment) => ({
    group: 'triggers',
    name: moment,
    value: rows
      .filter((row) => row.source === trigger.on && row.moment === moment)
      .reduce((sum, { count }) => sum + count, 0),
  }));
}
