// `flywheel status`: every partition, the parts, and what accounts may still spend, at a glance. Exits 1 if something is unhealthy.
import type { Command } from 'commander';
import { type AccountSummary, isExhausted, summaryToShow } from '../domain/account/summary.ts';
import { newAccount } from '../domain/account.ts';
import { arrange, type KeptDefinition } from '../domain/in-force.ts';
import { openClickHouse, pingClickHouse } from '../platform/clickhouse.ts';
import { decodeAccount, unpack } from '../platform/codec.ts';
import { type Config, readConfig } from '../platform/config.ts';
import { ensureGeneration, openTopicAdmin } from '../platform/kafka-topics.ts';
import { accountPartition, jobsLeaderKey, partitionKeys } from '../platform/keys.ts';
import { type Namespace, namespaceOf } from '../platform/namespace.ts';
import { type PartitionStatus, readPartitions } from '../platform/partition-status.ts';
import { PlatformError } from '../platform/platform-error.ts';
import { openRedis, type RedisClient } from '../platform/redis.ts';
import { duration, type Line, type Tone, tableOf } from './status-table.ts';

interface AccountStatus {
  readonly account: string;
  readonly currency: string;
  /** It has no budget any more, but has spent today or has money in leases. */
  readonly withdrawn: boolean;
  readonly summary: AccountSummary;
}

export interface Status {
  readonly namespace: string;
  readonly healthy: boolean;
  /** What is wrong, in words. */
  readonly faults: readonly string[];
  readonly partitions: readonly (PartitionStatus & { readonly rejects: number | null })[];
  readonly accounts: readonly AccountStatus[];
}

/** A ClickHouse that takes the connection and says nothing by then is away. */
const CLICKHOUSE_MS_MAX = 3_000;

/**
 * By `<topic>:<partition>`: what could not be taken of it in the last day.
 * @throws PlatformError CLICKHOUSE_UNREACHABLE, or the client's error
 */
async function readRejects(config: Config, namespace: Namespace): Promise<Map<string, number>> {
  const clickhouse = openClickHouse({
    url: config.clickhouseUrl,
    database: namespace.database,
    requestTimeoutMs: CLICKHOUSE_MS_MAX,
  });
  try {
    await pingClickHouse(clickhouse, config.clickhouseUrl);
    const answer = await clickhouse.query({
      // What collect turned away stands in no partition of events or spend: it is told where it was written.
      query: `SELECT if(source_topic = 'collect', 'rejected', source_topic) AS topic,
          if(source_topic = 'collect', 0, source_partition) AS partition, toUInt32(count()) AS count
        FROM rejects FINAL WHERE at > now() - INTERVAL 1 DAY GROUP BY topic, partition`,
      format: 'JSONEachRow',
    });
    const rows = await answer.json<{ topic: string; partition: number; count: number }>();
    return new Map(rows.map(({ topic, partition, count }) => [`${topic}:${partition}`, count]));
  } finally {
    await clickhouse.close();
  }
}

function rejectsFault(error: unknown): string {
  const { message } = error as Error;
  return error instanceof PlatformError ? message : `ClickHouse does not tell what was rejected: ${message}`;
}

/** Of the partition that owns each account, by what the definitions there say, or said last. */
async function readAccounts(
  namespace: Namespace,
  redis: RedisClient,
  generation: number,
  partitions: readonly PartitionStatus[],
): Promise<AccountStatus[]> {
  const spend = partitions.filter(({ topic }) => topic === 'spend');
  const each = spend.map(async ({ partition, watermarkMs }) => {
    const keys = partitionKeys(namespace, { topic: 'spend', generation, partition });
    const kept = await redis.getBuffer(keys.definitions);
    const definitions = kept === null ? [] : (unpack(kept) as KeptDefinition[]);
    const { account } = arrange(definitions);
    const own = definitions
      .filter(({ type, id }) => type === 'account' && accountPartition(id) === partition)
      .flatMap(({ id }) => account(id) ?? []);
    const shown = own.map(async (said): Promise<AccountStatus[]> => {
      const blob = await redis.getBuffer(keys.account(said.id));
      const state = blob === null ? newAccount(said.id) : decodeAccount(blob);
      const found = summaryToShow(state, said, watermarkMs);
      if (found === null) return [];
      return [{ account: said.id, withdrawn: said.isWithdrawn === true, ...found }];
    });
    return (await Promise.all(shown)).flat();
  });
  return (await Promise.all(each)).flat().sort((a, b) => (a.account < b.account ? -1 : 1));
}

/** What is wrong with a partition; of what is undelivered, how much and since when. */
export function faultOf(one: PartitionStatus, nowMs: number): string {
  const named = `${one.topic} ${one.partition}: ${one.health}`;
  if (one.health !== 'undelivered') return named;
  const { undelivered, undeliveredRecords, undeliveredMs } = one;
  const batches = `${undelivered.toLocaleString('en')} ${undelivered === 1 ? 'batch' : 'batches'}`;
  const records = `${undeliveredRecords.toLocaleString('en')} ${undeliveredRecords === 1 ? 'record' : 'records'}`;
  const since = undeliveredMs === 0 ? '' : `, since ${new Date(nowMs - undeliveredMs).toISOString()}`;
  return `${named}: ${batches} of ${records} wait for ClickHouse or Kafka${since}`;
}

/** Longer than a turn takes to pass from one process to the next. */
const JOBS_LOOK_MS = 2_500;
const JOBS_LOOK_EVERY_MS = 250;

/** Whether a process leads the jobs, asked again for a moment if none does. */
async function isLed(redis: RedisClient, namespace: Namespace): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < JOBS_LOOK_MS; waitedMs += JOBS_LOOK_EVERY_MS) {
    if ((await redis.exists(jobsLeaderKey(namespace))) === 1) return true;
    await new Promise((resolve) => setTimeout(resolve, JOBS_LOOK_EVERY_MS));
  }
  return false;
}

/** @throws PlatformError where Redis or Kafka cannot be reached: nothing can be told without them */
async function look(config: Config): Promise<Status> {
  const namespace = namespaceOf(config.namespace);
  const redis = await openRedis({ url: config.redisUrl });
  const admin = openTopicAdmin(config.kafkaBrokers);
  try {
    const { spend } = await ensureGeneration(namespace, admin, redis);
    const nowMs = Date.now();
    const partitions = await readPartitions(namespace, redis, admin, nowMs);
    const faults = partitions
      .filter(({ health }) => health !== 'ok' && health !== 'paused')
      .map((one) => faultOf(one, nowMs));
    const [rejects, accounts, led] = await Promise.all([
      readRejects(config, namespace).catch((error: unknown) => {
        faults.push(rejectsFault(error));
        return null;
      }),
      readAccounts(namespace, redis, spend, partitions),
      isLed(redis, namespace),
    ]);
    if (!led) faults.push('no process leads the jobs: no trigger is pushed, no past of a funnel computed');
    return {
      namespace: namespace.name,
      healthy: faults.length === 0,
      faults,
      partitions: partitions.map((one) => ({
        ...one,
        rejects: rejects === null ? null : (rejects.get(`${one.topic}:${one.partition}`) ?? 0),
      })),
      accounts,
    };
  } finally {
    await admin.close();
    redis.disconnect();
  }
}

function toneOf({ health }: PartitionStatus): Tone {
  if (health === 'ok') return 'good';
  return health === 'paused' ? 'plain' : 'bad';
}

function partitionLine(one: Status['partitions'][number]): Line {
  const cells = [
    `${one.topic} ${one.partition}`,
    one.health,
    one.lag.toLocaleString('en'),
    duration(one.freshnessMs),
    String(one.undelivered),
    one.rejects === null ? '?' : String(one.rejects),
    one.offset.toLocaleString('en'),
    one.owner ?? '–',
  ];
  return { cells, tone: toneOf(one) };
}

const money = (micros: number): string => (micros / 1_000_000).toFixed(2);

function accountLine({ account, currency, withdrawn, summary }: AccountStatus): Line {
  const { dailyBudgetMicros, settledTodayMicros, outstandingMicros, freeMicros, multiplier } = summary;
  const amounts = [dailyBudgetMicros, settledTodayMicros, outstandingMicros, freeMicros].map(money);
  const tone = isExhausted(summary) ? 'bad' : 'plain';
  const name = withdrawn ? `${account} (withdrawn)` : account;
  return { cells: [name, currency, ...amounts, multiplier.toFixed(2)], tone };
}

function wellLine({ partitions }: Status): string {
  const paused = partitions.filter(({ health }) => health === 'paused').length;
  return paused === 0
    ? 'all is well'
    : `all is well, ${paused} ${paused === 1 ? 'partition is' : 'partitions are'} paused`;
}

export function describeStatus(status: Status, isTerminal: boolean): string[] {
  const partitions = tableOf(
    [
      ['partition', 'left'],
      ['health', 'left'],
      ['lag', 'right'],
      ['freshness', 'right'],
      ['undelivered', 'right'],
      ['rejects 24h', 'right'],
      ['offset', 'right'],
      ['owner', 'left'],
    ],
    status.partitions.map(partitionLine),
    isTerminal,
  );
  const accounts = tableOf(
    [
      ['account', 'left'],
      ['currency', 'left'],
      ['budget today', 'right'],
      ['settled', 'right'],
      ['leased', 'right'],
      ['left', 'right'],
      ['multiplier', 'right'],
    ],
    status.accounts.map(accountLine),
    isTerminal,
  );
  const said = status.healthy ? [wellLine(status)] : status.faults.map((fault) => `unhealthy: ${fault}`);
  return [`namespace ${status.namespace}`, '', ...partitions, '', ...accounts, '', ...said];
}

async function run({ json }: { readonly json?: true }): Promise<void> {
  const status = await look(readConfig());
  const lines =
    json === true ? [JSON.stringify(status)] : describeStatus(status, process.stdout.isTTY === true);
  process.stdout.write(`${lines.join('\n')}\n`);
  if (!status.healthy) process.exitCode = 1;
}

export function register(program: Command): void {
  program
    .command('status')
    .description(
      'lag, freshness, rejects, owner and health of each partition; budgets and leases; exits 1 if unhealthy',
    )
    .option('--json', 'as JSON')
    .action(run);
}
