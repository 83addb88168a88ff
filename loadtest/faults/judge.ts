// What must hold after every fault: nothing lost, nothing twice, nobody told twice, no budget overspent, and the oracle
// finds no difference.
import { nothingImplied } from '../../verify/implied.ts';
import { verify } from '../../verify/main.ts';
import type { Arena } from './arena/arena.ts';
import { AUCTIONED } from './arena/definitions.ts';
import { until } from './arena/wait.ts';

const VERIFY_WAIT_MS = 20_000;
const TOLD_WITHIN_MS = 60_000;
const FAULTS_SHOWN = 5;

export interface Judgement {
  readonly acknowledged: number;
  /** Rows of `events` that were applied or late, as documented queries read them. */
  readonly rows: number;
  readonly triggers: number;
  /** Messages that came again under the same `webhook-id`. */
  readonly webhookRepeats: number;
  /** Campaign → cleared, settled, in micros. */
  readonly money: Readonly<Record<string, { cleared: number; settled: number; budget: number }>>;
  readonly verified: { readonly compared: number; readonly differences: number };
  /** What does not hold; empty if all does. */
  readonly faults: readonly string[];
}

async function rowsOf<Row>({ clickhouse }: Arena, query: string): Promise<Row[]> {
  return (await clickhouse.query({ query, format: 'JSONEachRow' })).json<Row>();
}

/**
 * The message ids of the feeder are the message ids of the table, each applied once. A late event changes nothing and is
 * not remembered: sent again, it is late again.
 */
async function judgeEvents(arena: Arena, faults: string[]): Promise<number> {
  const rows = await rowsOf<{ id: string; applied: string }>(
    arena,
    `SELECT message_id AS id, countIf(verdict = 'applied') AS applied FROM events FINAL
     WHERE verdict != 'duplicate' GROUP BY id`,
  );
  const counts = new Map(rows.map(({ id, applied }) => [id, Number(applied)]));
  const { acknowledged } = arena.feeder;
  const lost = [...acknowledged].filter((id) => !counts.has(id));
  const twice = [...counts].filter(([, applied]) => applied > 1).map(([id]) => id);
  const unknown = [...counts.keys()].filter((id) => !acknowledged.has(id));
  for (const [what, ids] of Object.entries({ lost, twice, unknown })) {
    if (ids.length > 0) faults.push(`${ids.length} events ${what}: ${ids.slice(0, FAULTS_SHOWN).join(', ')}`);
  }
  return rows.length;
}

async function offeredTriggers(arena: Arena): Promise<string[]> {
  const rows = await rowsOf<{ id: string }>(
    arena,
    `SELECT trigger_id AS id FROM triggers FINAL GROUP BY id HAVING countIf(status = 'expired') = 0`,
  );
  return rows.map(({ id }) => id);
}

/** Every trigger is told, under one `webhook-id` only; a repeat under the same one is what a receiver drops. */
async function judgeTriggers(arena: Arena, faults: string[]): Promise<{ triggers: number; repeats: number }> {
  const { received } = arena.receiver;
  const created = await offeredTriggers(arena);
  const untold = (): string[] => created.filter((id) => !received.has(id));
  await until('every trigger is told', () => untold().length === 0, TOLD_WITHIN_MS).catch(() => {
    faults.push(`${untold().length} triggers untold: ${untold().slice(0, FAULTS_SHOWN).join(', ')}`);
  });
  const twice = [...received].filter(([, webhookIds]) => webhookIds.size > 1);
  if (twice.length > 0)
    faults.push(`${twice.length} triggers told twice: ${JSON.stringify(twice.slice(0, FAULTS_SHOWN))}`);
  const repeats = [...received.values()]
    .flatMap((ids) => [...ids.values()])
    .filter((count) => count > 1).length;
  return { triggers: created.length, repeats };
}

interface BudgetAnswer {
  readonly campaignSettled: { readonly totalMicros: number };
  readonly settled: { readonly todayMicros: number; readonly totalMicros: number };
  readonly budget: { readonly dailyMicros: number };
}

/** What the exchange cleared is what the ledger settled, and within the account's budget. */
async function judgeMoney(arena: Arena, faults: string[]): Promise<Judgement['money']> {
  const money: Record<string, { cleared: number; settled: number; budget: number }> = {};
  for (const { campaign } of AUCTIONED) {
    const response = await fetch(`${arena.url}/v1/campaigns/${campaign}/budget`, {
      headers: { authorization: `Bearer ${arena.keys.secret}` },
    });
    if (!response.ok) throw new Error(`the budget of ${campaign} was answered ${response.status}`);
    const answer = (await response.json()) as BudgetAnswer;
    const cleared = arena.exchange.clearedMicros.get(campaign) ?? 0;
    const settled = answer.campaignSettled.totalMicros;
    money[campaign] = { cleared, settled, budget: answer.budget.dailyMicros };
    if (cleared !== settled) faults.push(`${campaign}: cleared ${cleared}, settled ${settled}`);
    // One campaign an account: what the exchange cleared in all is at most what a day may cost, unless a day has ended.
    if (answer.settled.todayMicros > answer.budget.dailyMicros)
      faults.push(`${campaign}: settled ${answer.settled.todayMicros} of ${answer.budget.dailyMicros}`);
    if (cleared > answer.budget.dailyMicros && answer.settled.todayMicros === answer.settled.totalMicros)
      faults.push(`${campaign}: cleared ${cleared} of ${answer.budget.dailyMicros}`);
  }
  return money;
}

async function judgeByOracle(arena: Arena, faults: string[]): Promise<Judgement['verified']> {
  const verdict = await verify({
    config: arena.config,
    implied: nothingImplied,
    waitMs: VERIFY_WAIT_MS,
    onProgress: () => {},
  });
  for (const difference of verdict.differences.slice(0, FAULTS_SHOWN))
    faults.push(`verify: ${JSON.stringify(difference).slice(0, 500)}`);
  const compared = verdict.kinds.reduce((sum, kind) => sum + kind.compared, 0);
  if (compared === 0) faults.push('verify compared nothing');
  return { compared, differences: verdict.differenceCount };
}

/** The load has finished and everything is drained. */
export async function judge(arena: Arena): Promise<Judgement> {
  const faults: string[] = [];
  const rows = await judgeEvents(arena, faults);
  const { triggers, repeats } = await judgeTriggers(arena, faults);
  const money = await judgeMoney(arena, faults);
  const verified = await judgeByOracle(arena, faults);
  return {
    acknowledged: arena.feeder.acknowledged.size,
    rows,
    triggers,
    webhookRepeats: repeats,
    money,
    verified,
    faults,
  };
}
