// How much of its budget each account has left, for Prometheus: read from the ledger in Redis when it asks, by the process that leads.
import { Gauge, type Registry } from 'prom-client';
import { type AccountSummary, summaryToShow } from '../domain/account/summary.ts';
import { newAccount } from '../domain/account.ts';
import type { AccountDefinition, LastSaid } from '../domain/definition.ts';
import { decodeAccount } from '../platform/codec.ts';
import { accountPartition, partitionKeys } from '../platform/keys.ts';
import type { Namespace } from '../platform/namespace.ts';
import type { RedisClient } from '../platform/redis.ts';

export interface BudgetMetrics {
  /** Shown only while this process leads. */
  leads(leading: boolean): void;
}

export interface BudgetParts {
  readonly redis: Pick<RedisClient, 'getBuffer' | 'hget'>;
  readonly namespace: Namespace;
  /** Of `spend`. */
  readonly generation: number;
  /** Withdrawn ones too. */
  accounts(): readonly LastSaid<AccountDefinition>[];
}

/** Prometheus waits for 5 s, and takes a process that does not answer for dead. */
const READ_MS_MAX = 2_000;
/** More are not shown; how many those are, is. */
const ACCOUNTS_MAX = 200;

interface Shown {
  readonly account: string;
  readonly currency: string;
  readonly summary: AccountSummary;
}

const gauges: readonly [name: string, help: string, measure: (summary: AccountSummary) => number][] = [
  [
    'flywheel_account_daily_budget_micros',
    'The account’s budget of a day.',
    ({ dailyBudgetMicros }) => dailyBudgetMicros,
  ],
  [
    'flywheel_account_settled_today_micros',
    'Spent on the account’s day, by notices and reports.',
    ({ settledTodayMicros }) => settledTodayMicros,
  ],
  [
    'flywheel_account_leased_today_micros',
    'Granted in leases today and neither settled nor free again.',
    ({ outstandingMicros }) => outstandingMicros,
  ],
  ['flywheel_account_free_micros', 'What could still be granted today.', ({ freeMicros }) => freeMicros],
  [
    'flywheel_account_planned_today_micros',
    'What should have been spent today by now.',
    ({ plannedTodayMicros }) => plannedTodayMicros,
  ],
  [
    'flywheel_account_overshoot_today_micros',
    'Settled above the budget of today.',
    ({ overshootTodayMicros }) => overshootTodayMicros,
  ],
  ['flywheel_account_multiplier_ratio', 'The pacing multiplier of bids.', ({ multiplier }) => multiplier],
];

async function readAccount(
  { redis, namespace, generation }: BudgetParts,
  said: LastSaid<AccountDefinition>,
): Promise<Shown[]> {
  const { id } = said;
  const keys = partitionKeys(namespace, { topic: 'spend', generation, partition: accountPartition(id) });
  const [blob, watermark] = await Promise.all([
    redis.getBuffer(keys.account(id)),
    redis.hget(keys.head, 'watermark'),
  ]);
  const state = blob === null ? newAccount(id) : decodeAccount(blob);
  const shown = summaryToShow(state, said, Number(watermark ?? 0));
  return shown === null ? [] : [{ account: id, ...shown }];
}

async function readAccounts(parts: BudgetParts): Promise<Shown[]> {
  // Those in force first: of withdrawn ones there are ever more.
  const all = [...parts.accounts()].sort((a, b) => Number(a.isWithdrawn ?? 0) - Number(b.isWithdrawn ?? 0));
  const shown = await Promise.all(all.slice(0, ACCOUNTS_MAX).map((account) => readAccount(parts, account)));
  return shown.flat();
}

/** What was read, or nothing if that takes too long; it is shared by later scrapes until it ends. */
async function withinPatience(reading: Promise<Shown[]>): Promise<Shown[]> {
  let timer: NodeJS.Timeout | undefined;
  const impatience = new Promise<Shown[]>((resolve) => {
    timer = setTimeout(() => resolve([]), READ_MS_MAX);
  });
  return Promise.race([reading, impatience]).finally(() => clearTimeout(timer));
}

/** The amounts are in micros of the account's currency. While Redis is away, or does not answer, nothing is shown. */
export function createBudgetMetrics(registry: Registry, parts: BudgetParts): BudgetMetrics {
  let isLeading = false;
  /** All gauges are asked in one turn of the event loop, and share one reading. */
  let reading: Promise<Shown[]> | null = null;
  function read(): Promise<Shown[]> {
    if (!isLeading) return Promise.resolve([]);
    reading ??= readAccounts(parts)
      .catch(() => [])
      .finally(() => {
        reading = null;
      });
    return withinPatience(reading);
  }
  for (const [name, help, measure] of gauges) {
    new Gauge({
      name,
      help,
      labelNames: ['account', 'currency'],
      registers: [registry],
      async collect() {
        const shown = await read();
        this.reset();
        for (const { account, currency, summary } of shown) this.set({ account, currency }, measure(summary));
      },
    });
  }
  new Gauge({
    name: 'flywheel_accounts_unshown',
    help: 'Accounts beyond the first 200, withdrawn ones too: no budget of theirs is told, and no alert on it.',
    registers: [registry],
    collect() {
      if (isLeading) this.set(Math.max(0, parts.accounts().length - ACCOUNTS_MAX));
      else this.remove();
    },
  });
  return {
    leads(leading) {
      isLeading = leading;
    },
  };
}
