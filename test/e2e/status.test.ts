// `flywheel status` against what is known to be so: a record that could not be taken, one that collect turned away, one that
// waits, money that was spent, money in leases, and an account that was withdrawn.
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { Status } from '../../cli/status.ts';
import { accountPartition, buyerPartition, jobsLeaderKey } from '../../platform/keys.ts';
import { endChildren, startChild } from './support/child.ts';
import { openStage, type Stage } from './support/stage.ts';

const HOUR_MS = 3_600_000;
const SPENDER = 'display-europe';
const WITHDRAWN = 'mail-partners';
const REFUSED_PARTITION = 5;
const BUYER = 'u:waits';

let stage: Stage;

beforeAll(async () => {
  stage = await openStage('status');
});
afterEach(endChildren);
afterAll(() => stage?.close());

async function write(
  topic: 'events' | 'spend' | 'rejected',
  partition: number,
  record: unknown,
): Promise<void> {
  const value = typeof record === 'string' ? record : JSON.stringify(record);
  await stage.producer.sendBatch([{ topic: stage.namespace.topics[topic], partition, key: null, value }]);
}

async function status(...args: string[]): Promise<string> {
  const child = startChild('status', stage.environment, args);
  const { code } = await child.ended;
  expect([code, child.errors()]).toEqual([0, '']);
  return child.output();
}

const look = async (): Promise<Status> => JSON.parse(await status('--json')) as Status;

async function writeSpend(nowMs: number): Promise<void> {
  const report = (account: string, campaign: string, currency: string, costMicros: number) => ({
    ...{ kind: 'report', messageId: `of-${account}`, account, campaign, currency, costMicros },
    ...{ channel: 'display', country: 'DE', period: 'hour', impressions: 10, clicks: 1 },
    ...{ periodStart: Math.floor(nowMs / HOUR_MS) * HOUR_MS, asOf: nowMs, receivedAt: nowMs },
  });
  const lease = (account: string, amountMicros: number) => {
    return {
      kind: 'leaseRequest',
      lease: `of-${account}`,
      account,
      process: 'p',
      amountMicros,
      timestamp: nowMs,
    };
  };
  await write('spend', accountPartition(SPENDER), report(SPENDER, 'display-brands', 'EUR', 12_500_000));
  await write('spend', accountPartition(SPENDER), lease(SPENDER, 5_000_000));
  await write('spend', accountPartition(WITHDRAWN), report(WITHDRAWN, 'mail-return', 'USD', 1_000_000));
  await write('spend', accountPartition(WITHDRAWN), lease(WITHDRAWN, 2_000_000));
  await write('spend', accountPartition(WITHDRAWN), {
    ...{ kind: 'definition', type: 'account', id: WITHDRAWN, revision: 2, hash: 'f'.repeat(64) },
    ...{ previousHash: null, document: null, by: 'test', why: 'it is over', at: nowMs },
  });
}

it('says what was rejected and where, since when a record waits, and what each account has spent, leased and left', async () => {
  // Nobody leads the jobs here; that is told of in control.test.ts.
  await stage.redis.set(jobsLeaderKey(stage.namespace), 'somebody');
  const stream = startChild('stream', stage.environment);
  await stream.ready;
  await writeSpend(Date.now());
  await write('events', REFUSED_PARTITION, '{not json');
  await write('events', REFUSED_PARTITION, 'nor this');
  await write('rejected', 0, {
    ...{
      kind: 'rejected',
      sourceTopic: 'collect',
      sourcePartition: -1,
      sourceOffset: 0,
      sourceId: 'request',
    },
    ...{ route: '/v1/track', reason: 'invalid', detail: 'no event', raw: '', at: Date.now() },
  });
  await stage.untilDrained();

  const waiting = buyerPartition(BUYER);
  expect(waiting).not.toBe(REFUSED_PARTITION);
  const pausing = startChild('pause', stage.environment, ['events', String(waiting)]);
  expect((await pausing.ended).code).toBe(0);
  const before = Date.now();
  await write('events', waiting, {
    kind: 'page',
    messageId: 'm',
    userId: 'waits',
    timestamp: before,
    receivedAt: before,
  });
  // Its owner says once a tick since when the oldest waits.
  let seen = await look();
  const atPartition = (topic: string, partition: number) =>
    seen.partitions.find((one) => one.topic === topic && one.partition === partition)!;
  await expect
    .poll(
      async () => {
        seen = await look();
        return atPartition('events', waiting).freshnessMs;
      },
      { timeout: 20_000 },
    )
    .toBeGreaterThan(0);
  expect(atPartition('events', waiting)).toMatchObject({ health: 'paused', lag: 1 });
  expect(atPartition('events', waiting).freshnessMs).toBeLessThanOrEqual(Date.now() - before);

  const rejects = seen.partitions.map(({ topic, partition, rejects }) => [`${topic} ${partition}`, rejects]);
  expect(rejects.filter(([, count]) => count !== 0)).toEqual([
    [`events ${REFUSED_PARTITION}`, 2],
    ['rejected 0', 1],
  ]);
  expect(seen.accounts.map(({ account, withdrawn }) => [account, withdrawn])).toEqual([
    [SPENDER, false],
    [WITHDRAWN, true],
    ['search-portfolio', false],
    ['social-portfolio', false],
  ]);
  expect(seen.accounts[0]!.summary).toMatchObject({
    ...{ dailyBudgetMicros: 450_000_000, settledTodayMicros: 12_500_000 },
    ...{ outstandingMicros: 5_000_000, freeMicros: 432_500_000 },
  });
  expect(seen.accounts[1]!.summary).toMatchObject({
    ...{ dailyBudgetMicros: 0, settledTodayMicros: 1_000_000, outstandingMicros: 2_000_000, freeMicros: 0 },
  });

  const table = await status();
  expect(table).toMatch(/^account +currency +budget today +settled +leased +left +multiplier$/m);
  expect(table).toMatch(/^display-europe +EUR +450\.00 +12\.50 +5\.00 +432\.50 /m);
  expect(table).toMatch(/^mail-partners \(withdrawn\) +USD +0\.00 +1\.00 +2\.00 +0\.00 /m);
  expect(table).toMatch(new RegExp(`^events ${REFUSED_PARTITION} +ok +0 +0 ms +0 +2 `, 'm'));
  expect((await stream.stop()).code, stream.errors()).toBe(0);
});
