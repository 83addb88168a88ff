// What must hold after every fault: nothing lost, nothing twice, nobody told twice, no budget overspent, and the oracle
// finds no difference.

import type { DeliveriesTopicRecord } from '../../domain/delivery.ts';
import type { Config } from '../../platform/config.ts';
import { readDeliveryRecords } from '../../platform/delivery-log.ts';
import { nothingImplied } from '../../verify/implied.ts';
import { type Verdict, verify } from '../../verify/main.ts';
import type { Arena } from './arena/arena.ts';
import { AUCTIONED, TIGHT_CAMPAIGN } from './arena/definitions.ts';
import { until } from './arena/wait.ts';
import type { Fault } from './fault.ts';
import { foldAttempts, receiptFaults } from './receipts.ts';
import { type Spent, tooLittleSpent } from './spent.ts';

const VERIFY_WAIT_MS = 20_000;
/** A clock's record or a flush may be on its way at each look, by chance. */
const VERIFICATIONS_MAX = 3;
const TOLD_WITHIN_MS = 60_000;
const FAULTS_SHOWN = 5;
/** What a run must have met: first links, shared devices, and links that were taken back. */
const LINK_CHANGES = ['linked', 'superseded', 'revoked'];

interface Money extends Spent {
  readonly settled: number;
  readonly budget: number;
}

export interface Judgement {
  readonly acknowledged: number;
  /** Rows of `events` that were applied or late, as documented queries read them. */
  readonly rows: number;
  readonly triggers: number;
  /** Messages that came again under the same `webhook-id`. */
  readonly webhookRepeats: number;
  /** Attempts whose sender was gone before it wrote what came of them: what a message may come again for. */
  readonly attemptsCutOff: number;
  /** Attempts that the receiver did not answer in time: for these it may come again too. */
  readonly attemptsUnanswered: number;
  /** Campaign → in micros. */
  readonly money: Readonly<Record<string, Money>>;
  readonly verified: {
    readonly compared: number;
    readonly differences: number;
    /** What the oracle could say nothing of, and why. */
    readonly leftOut: Verdict['leftOut'];
  };
  /** What became of links in its course, by change. */
  readonly links: Readonly<Record<string, number>>;
  /** What does not hold; empty if all does. */
  readonly faults: readonly string[];
}

async function rowsOf<Row>({ clickhouse }: Arena, query: string): Promise<Row[]> {
  return (await clickhouse.query({ query, format: 'JSONEachRow' })).json<Row>();
}

/**
 * The message ids of the feeder are the message ids of the table, each applied once. A late event changes nothing and is
 * not remembered: sent again, it is late again. One that was applied is remembered: sent again, it is a duplicate and never late.
 */
async function judgeEvents(arena: Arena, faults: string[]): Promise<number> {
  const rows = await rowsOf<{ id: string; applied: string; late: string }>(
    arena,
    `SELECT message_id AS id, countIf(verdict = 'applied') AS applied, countIf(verdict = 'late') AS late
     FROM events FINAL WHERE verdict != 'duplicate' GROUP BY id`,
  );
  const taken = ({ applied, late }: { applied: string; late: string }): number =>
    Number(applied) === 0 ? 0 : Number(applied) + Number(late);
  const counts = new Map(rows.map((row) => [row.id, taken(row)]));
  const { acknowledged } = arena.feeder;
  if (acknowledged.size === 0) faults.push('no event was acknowledged');
  const lost = [...acknowledged].filter((id) => !counts.has(id));
  const twice = [...counts].filter(([, times]) => times > 1).map(([id]) => id);
  const unknown = [...counts.keys()].filter((id) => !acknowledged.has(id));
  for (const [what, ids] of Object.entries({ lost, twice, unknown })) {
    if (ids.length > 0) faults.push(`${ids.length} events ${what}: ${ids.slice(0, FAULTS_SHOWN).join(', ')}`);
  }
  return rows.length;
}

/** Ids of all triggers that there were, and of those that were on offer until they were acknowledged. */
async function triggersOf(arena: Arena): Promise<{ all: Set<string>; offered: string[] }> {
  const rows = await rowsOf<{ id: string; expired: string }>(
    arena,
    `SELECT trigger_id AS id, countIf(status = 'expired') AS expired FROM triggers FINAL GROUP BY id`,
  );
  const offered = rows.filter(({ expired }) => Number(expired) === 0).map(({ id }) => id);
  return { all: new Set(rows.map(({ id }) => id)), offered };
}

/** What `jobs` wrote of a trigger last. */
function lastWordsOf(log: readonly (DeliveriesTopicRecord | null)[], trigger: string): string {
  const last = log.findLast((record) => record?.kind === 'delivery' && record.trigger.id === trigger);
  return last?.kind === 'delivery' ? `${last.status}: ${last.detail}` : 'no delivery of it';
}

/** Every trigger is told, and none more often than `jobs` wrote down that it would (receipts.ts). */
async function judgeTriggers(
  arena: Arena,
  sparesJobs: boolean,
  faults: string[],
): Promise<Pick<Judgement, 'triggers' | 'webhookRepeats' | 'attemptsCutOff' | 'attemptsUnanswered'>> {
  const { received } = arena.receiver;
  const { all, offered: created } = await triggersOf(arena);
  if (created.length === 0) faults.push('no trigger was on offer');
  const untold = (): string[] => created.filter((id) => !received.has(id));
  await until('every trigger is told', () => untold().length === 0, TOLD_WITHIN_MS).catch(() => {});
  const said = (await readDeliveryRecords(arena.config.kafkaBrokers, arena.namespace)).map(
    ({ record }) => record,
  );
  if (untold().length > 0)
    faults.push(
      `${untold().length} triggers untold: ${untold()
        .slice(0, FAULTS_SHOWN)
        .map((id) => `${id} (${lastWordsOf(said, id)})`)
        .join(', ')}`,
    );
  const attempts = foldAttempts(said.filter((record) => record !== null));
  faults.push(...receiptFaults({ received, attempts, triggers: all, sparesJobs }));
  const repeats = [...received.values()]
    .flatMap((ids) => [...ids.values()])
    .filter((count) => count > 1).length;
  const sumOf = (what: 'interrupted' | 'unanswered'): number =>
    [...attempts.values()].reduce((sum, one) => sum + one[what], 0);
  return {
    triggers: created.length,
    webhookRepeats: repeats,
    attemptsCutOff: sumOf('interrupted'),
    attemptsUnanswered: sumOf('unanswered'),
  };
}

interface BudgetAnswer {
  readonly campaignSettled: { readonly totalMicros: number };
  readonly settled: { readonly todayMicros: number; readonly totalMicros: number };
  readonly outstanding: { readonly totalMicros: number };
  readonly budget: { readonly dailyMicros: number };
}

/** What the exchange cleared is what the ledger settled, and within the account's budget. */
async function judgeMoney(arena: Arena, killsServe: boolean, faults: string[]): Promise<Judgement['money']> {
  const money: Record<string, Money> = {};
  for (const { campaign } of AUCTIONED) {
    const response = await fetch(`${arena.url}/v1/campaigns/${campaign}/budget`, {
      headers: { authorization: `Bearer ${arena.keys.secret}` },
    });
    if (!response.ok) throw new Error(`the budget of ${campaign} was answered ${response.status}`);
    const answer = (await response.json()) as BudgetAnswer;
    const cleared = arena.exchange.clearedMicros.get(campaign) ?? 0;
    const settled = answer.campaignSettled.totalMicros;
    const outstanding = answer.outstanding.totalMicros;
    const spent = { cleared, untold: arena.exchange.untoldMicros.get(campaign) ?? 0, outstanding };
    money[campaign] = { ...spent, settled, budget: answer.budget.dailyMicros };
    if (cleared !== settled) faults.push(`${campaign}: cleared ${cleared}, settled ${settled}`);
    // One campaign an account: what the exchange cleared and may still clear is at most what a day may cost, unless a day has ended.
    if (answer.settled.todayMicros > answer.budget.dailyMicros)
      faults.push(`${campaign}: settled ${answer.settled.todayMicros} of ${answer.budget.dailyMicros}`);
    if (campaign === TIGHT_CAMPAIGN) faults.push(...tooLittleSpent(spent, killsServe));
    const taken = cleared + outstanding;
    if (taken > answer.budget.dailyMicros && answer.settled.todayMicros === answer.settled.totalMicros)
      faults.push(
        `${campaign}: cleared ${cleared}, with what is outstanding ${taken}, of ${answer.budget.dailyMicros}`,
      );
  }
  return money;
}

/** A run in which no link ever ended says nothing of those that did. */
async function judgeLinks(arena: Arena, faults: string[]): Promise<Judgement['links']> {
  const rows = await rowsOf<{ change: string; count: string }>(
    arena,
    'SELECT change, count() AS count FROM identities FINAL GROUP BY change ORDER BY change',
  );
  const links = Object.fromEntries(rows.map(({ change, count }) => [change, Number(count)]));
  for (const change of LINK_CHANGES)
    if ((links[change] ?? 0) === 0) faults.push(`no link was ever ${change}`);
  return links;
}

/** Of a partition that never rests the oracle reads only a part, and can say nothing of the rest. */
async function verifyAtRest(config: Config, faults: string[]): Promise<Verdict> {
  for (let verifications = 1; ; verifications += 1) {
    const verdict = await verify({
      config,
      implied: nothingImplied,
      waitMs: VERIFY_WAIT_MS,
      onProgress: () => {},
    });
    if (verdict.restless.length === 0) return verdict;
    if (verifications < VERIFICATIONS_MAX) continue;
    faults.push(`verify: ${verdict.restless.join(', ')} never at rest, compared only in part`);
    return verdict;
  }
}

async function judgeByOracle(arena: Arena, faults: string[]): Promise<Judgement['verified']> {
  const verdict = await verifyAtRest(arena.config, faults);
  for (const difference of verdict.differences.slice(0, FAULTS_SHOWN))
    faults.push(`verify: ${JSON.stringify(difference).slice(0, 500)}`);
  const compared = verdict.kinds.reduce((sum, kind) => sum + kind.compared, 0);
  if (compared === 0) faults.push('verify compared nothing');
  return { compared, differences: verdict.differenceCount, leftOut: verdict.leftOut };
}

/** The load has finished and everything is drained. */
export async function judge(
  arena: Arena,
  { sparesJobs = false, killsServe = false }: Fault,
): Promise<Judgement> {
  const faults: string[] = [];
  const rows = await judgeEvents(arena, faults);
  const told = await judgeTriggers(arena, sparesJobs, faults);
  const links = await judgeLinks(arena, faults);
  const money = await judgeMoney(arena, killsServe, faults);
  const verified = await judgeByOracle(arena, faults);
  return {
    acknowledged: arena.feeder.acknowledged.size,
    rows,
    ...told,
    links,
    money,
    verified,
    faults,
  };
}
