// What somebody is told who asks in the middle of a fault, and what of it cannot be true: nothing is there twice, nothing that
// ClickHouse had is gone, no money is settled that nobody cleared, and nobody is offered what was acknowledged before.
import type { Arena } from './arena/arena.ts';
import { AUCTIONED, TIGHT_ACCOUNT, TIGHT_CAMPAIGN } from './arena/definitions.ts';

/** Of the behaviours that the feeder's buyers begin with; what the project ships begins with visits, which they do not make. */
export const ASKED_FUNNEL = 'asked';
export const askedFunnel = {
  name: 'From a view to a contact',
  steps: ['view', 'contact'],
  windowMs: 3_600_000,
};
const OFFERED_MAX = 1_000;

export interface Answers {
  /** Rows of `events` that are no duplicates, and message ids among them. */
  readonly rows: number;
  readonly ids: number;
  /** Keys that have an applied row. */
  readonly keys: number;
  /** Steps of the rolling funnel, in order. */
  readonly steps: readonly number[];
  readonly asOf: string | null;
  /** Of the account that is soon spent. */
  readonly settledMicros: number;
  readonly clearedMicros: number;
  /** Settled and outstanding. */
  readonly takenTodayMicros: number;
  readonly budgetMicros: number;
  readonly offered: readonly string[];
  readonly acknowledged: ReadonlySet<string>;
  /** Partitions whose triggers are not offered for now. */
  readonly withheld: number;
}

async function rowsOf<Row>({ clickhouse }: Arena, query: string): Promise<Row[]> {
  return (await clickhouse.query({ query, format: 'JSONEachRow' })).json<Row>();
}

/** @throws Error if it is answered otherwise than with success */
async function get<Answer>({ url, keys }: Arena, route: string): Promise<Answer> {
  const response = await fetch(`${url}${route}`, { headers: { authorization: `Bearer ${keys.secret}` } });
  const text = await response.text();
  if (!response.ok) throw new Error(`GET ${route} was answered ${response.status}: ${text}`);
  return JSON.parse(text) as Answer;
}

/** What `serve` answers a site and a bid manager by from Redis alone. */
const DECISIONS = {
  assignment: {
    route: '/ofrep/v1/evaluate/flags/inquiry-form',
    body: { context: { targetingKey: 'user-1' } },
  },
  bid: {
    route: '/v1/bids',
    // Of an account with money to spare: nobody tells what came of this bid.
    body: { campaignId: AUCTIONED[1].campaign, bidId: 'faults-decision', buyerKey: 'user-1', country: 'US' },
  },
} as const;

/**
 * Asks for a variant and for a bid: `serve` goes on while a part is away that it does not need for them.
 * @throws Error if either is answered otherwise than with 200
 */
export async function decideNow({ url, keys }: Arena): Promise<void> {
  for (const [name, { route, body }] of Object.entries(DECISIONS)) {
    const response = await fetch(`${url}${route}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${keys.secret}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${name} was answered ${response.status}: ${text}`);
  }
}

interface Rolling {
  readonly asOf: string | null;
  readonly steps: readonly { readonly count: number }[];
}

interface Budget {
  readonly budget: { readonly dailyMicros: number };
  readonly settled: { readonly todayMicros: number; readonly totalMicros: number };
  readonly outstanding: { readonly todayMicros: number };
}

interface Offered {
  readonly triggers: readonly { readonly id: string }[];
  readonly withheld: readonly unknown[];
}

/** Asks for all of it. */
export async function answersNow(arena: Arena): Promise<Answers> {
  const [[counts], acknowledged, rolling, budget, offered] = await Promise.all([
    rowsOf<{ rows: string; ids: string; keys: string }>(
      arena,
      `SELECT count() AS rows, uniqExact(message_id) AS ids, uniqExactIf(key, verdict = 'applied') AS keys
       FROM events FINAL WHERE verdict != 'duplicate'`,
    ),
    rowsOf<{ id: string }>(
      arena,
      `SELECT DISTINCT trigger_id AS id FROM triggers FINAL WHERE status = 'acknowledged'`,
    ),
    get<Rolling>(arena, `/v1/rolling/funnels/${ASKED_FUNNEL}?window=1h`),
    get<Budget>(arena, `/v1/campaigns/${TIGHT_CAMPAIGN}/budget`),
    get<Offered>(arena, `/v1/triggers?limit=${OFFERED_MAX}`),
  ]);
  return {
    rows: Number(counts!.rows),
    ids: Number(counts!.ids),
    keys: Number(counts!.keys),
    steps: rolling.steps.map(({ count }) => count),
    asOf: rolling.asOf,
    settledMicros: budget.settled.totalMicros,
    // Of the account, which has this campaign only.
    clearedMicros: arena.exchange.clearedMicros.get(TIGHT_CAMPAIGN) ?? 0,
    takenTodayMicros: budget.settled.todayMicros + budget.outstanding.todayMicros,
    budgetMicros: budget.budget.dailyMicros,
    offered: offered.triggers.map(({ id }) => id),
    acknowledged: new Set(acknowledged.map(({ id }) => id)),
    withheld: offered.withheld.length,
  };
}

/**
 * @param before asked before the fault; @param later asked when all is made good, with every partition on offer again
 * @returns what cannot be true, or was not looked at
 */
export function wrongOffers(before: Answers, later: Answers): string[] {
  if (before.acknowledged.size === 0) return ['nothing had been acknowledged before: nothing was looked at'];
  if (later.withheld > 0) return [`the triggers of ${later.withheld} partitions are withheld`];
  return offeredAgain(before, later);
}

function offeredAgain(before: Answers, { offered }: Answers): string[] {
  const again = offered.filter((id) => before.acknowledged.has(id));
  return again.length === 0
    ? []
    : [`${again.length} triggers are offered that were acknowledged: ${again[0]}`];
}

/**
 * @param before asked before the fault; @param half asked half caught up, with so many partitions behind under a new owner
 * @returns what cannot be true
 */
export function wrongAnswers(before: Answers, half: Answers, behind: number): string[] {
  const wrong: string[] = [];
  const { steps } = half;
  if (half.rows !== half.ids) wrong.push(`${half.rows - half.ids} events are there twice`);
  if (half.rows < before.rows) wrong.push(`${before.rows - half.rows} rows of events are gone`);
  if (half.asOf === null || steps.every((count) => count === 0)) wrong.push('the rolling funnel is empty');
  if (steps.some((count) => count < 0 || count > half.keys))
    wrong.push(`the rolling funnel says ${JSON.stringify(steps)} of ${half.keys} buyers`);
  if (half.settledMicros > half.clearedMicros)
    wrong.push(`${half.settledMicros} of ${TIGHT_ACCOUNT} are settled, ${half.clearedMicros} cleared`);
  if (half.takenTodayMicros > half.budgetMicros)
    wrong.push(`${half.takenTodayMicros} are settled or outstanding of ${half.budgetMicros}`);
  if (half.withheld < behind) wrong.push(`${half.withheld} partitions are withheld, ${behind} are behind`);
  wrong.push(...offeredAgain(before, half));
  return wrong;
}
