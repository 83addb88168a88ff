// Real sets through a real serve into a real log: in the file's order, with its times, and nothing more or less.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest';
import type { FeedReport } from '../../cli/feed/report.ts';
import { type FeedRequest, runFeed } from '../../cli/feed/run.ts';
import { runTrickle } from '../../cli/feed/trickle.ts';
import { segmentKinds } from '../../domain/buyer-record.ts';
import { definitionSchemas } from '../../domain/definition.ts';
import { accountPartition, buyerPartition } from '../../platform/keys.ts';
import { topicPartitions } from '../../platform/namespace.ts';
import { readers } from '../../simulate/readers/readers.ts';
import { startChild } from '../e2e/support/child.ts';
import { readData, readTopic, serveInNamespace, type TestServing } from '../serve/serving.ts';
import { sharedFile } from '../simulate/shared-data.ts';

const TIMEOUT_MS = 240_000;
const open: TestServing[] = [];

async function servingOf(namespace: string): Promise<TestServing> {
  const serving = await serveInNamespace(namespace, {
    kafkaBrokers: inject('kafkaBrokers'),
    redisUrl: inject('redisUrl'),
    clickhouseUrl: inject('clickhouseUrl'),
  });
  open.push(serving);
  return serving;
}

afterAll(async () => {
  for (const serving of open) await serving.close();
});

function replay(
  { config, url, keys }: TestServing,
  given: Omit<FeedRequest, 'config' | 'url' | 'secretKey'>,
): Promise<FeedReport> {
  return runFeed({ config, url, secretKey: keys.secret, ...given });
}

describe('rees46', { timeout: TIMEOUT_MS }, () => {
  const file = sharedFile('clickstream_rees46_oct2019/rees46_2019_oct_head.csv.gz');
  const untilMs = Date.parse('2019-10-01T03:00:00Z');
  let serving: TestServing;
  let report: FeedReport;
  let acknowledgedFile: string;

  beforeAll(async () => {
    if (file === null) return;
    serving = await servingOf('replay-rees46');
    acknowledgedFile = path.join(serving.config.dir, 'acknowledged');
    report = await replay(serving, { format: 'rees46', file, untilMs, acknowledgedFile });
  }, TIMEOUT_MS);

  it.skipIf(file === null)(
    'has every row once, in the file’s order in each partition, then the clock',
    async () => {
      expect(report.events).toMatchObject({ sent: 17_434, accepted: 17_434, rejected: 0 });
      const records = await readData(serving, 'events');
      const events = records.filter(({ value }) => value.kind === 'track');
      expect(events).toHaveLength(17_434);
      const count = (name: string): number => events.filter(({ value }) => value.event === name).length;
      expect([count('Product Viewed'), count('Inquiry Sent'), count('Order Completed')]).toEqual([
        17_055, 165, 214,
      ]);
      for (let partition = 0; partition < topicPartitions.events; partition += 1) {
        const own = records.filter((record) => record.partition === partition);
        const rows = own.slice(0, -1).map(({ value }) => Number(value.messageId.split(':').at(-1)));
        expect(rows).toEqual([...rows].sort((a, b) => a - b));
        expect(own.at(-1)!.value).toEqual({ kind: 'clock', time: untilMs, supplied: true });
      }
      for (const { partition, key, value } of events) {
        expect(partition).toBe(buyerPartition(key!));
        expect(value).toMatchObject({ supplied: true, receivedAt: value.timestamp });
      }
    },
  );

  it.skipIf(file === null)('acknowledges exactly the ids that are in the log', async () => {
    const acknowledged = (await readFile(acknowledgedFile, 'utf8')).trim().split('\n');
    const records = await readData(serving, 'events');
    const ids = records.flatMap(({ value }) => (value.kind === 'track' ? [value.messageId as string] : []));
    expect(acknowledged.sort()).toEqual(ids.sort());
  });

  it.skipIf(file === null)('is not fed twice, and not into another namespace', async () => {
    const { high } = await size();
    expect(await replay(serving, { format: 'rees46', file: file! })).toEqual(report);
    expect(await size()).toEqual({ high });
    const config = { ...serving.config, namespace: 'elsewhere' };
    const { url, keys } = serving;
    const wrong = runFeed({ config, url, secretKey: keys.secret, format: 'rees46', file: file! });
    await expect(wrong).rejects.toThrow(/works on the namespace replay-rees46, this feed is for elsewhere/);
  });

  const size = async (): Promise<{ high: number }> => ({ high: (await readData(serving, 'events')).length });
});

describe('daily-spend', { timeout: TIMEOUT_MS }, () => {
  const file = sharedFile('ads_campaign_daily_feb2021/marketing_feb2021.csv');

  it.skipIf(file === null)(
    'brings its accounts and campaigns into force, and every row as a report',
    async () => {
      const serving = await servingOf('replay-daily');
      const report = await replay(serving, { format: 'daily-spend', file: file!, currency: 'EUR' });
      expect(report.spend).toMatchObject({ sent: 308, accepted: 308, rejected: 0, reports: 308 });
      const all = await readTopic(serving.config, serving.namespace, 'spend');
      const reports = all.filter(({ value }) => value.kind === 'report');
      expect(reports).toHaveLength(308);
      const micros = reports.reduce((sum, { value }) => sum + (value.costMicros as number), 0);
      expect(micros).toBe(30_590_879_820_000);
      const reader = readers.find((each) => each.format === 'daily-spend')!;
      const definitions = await reader.definitions(file!, { currency: 'EUR' });
      for (const { partition, key, offset, value } of reports) {
        expect(partition).toBe(accountPartition(key!));
        expect(value).toMatchObject({
          supplied: true,
          currency: 'EUR',
          period: 'day',
          receivedAt: value.asOf,
        });
        const before = all.filter((each) => each.partition === partition && each.offset < offset);
        const inForce = new Set(
          before.flatMap(({ value: { kind, type, id } }) => (kind === 'definition' ? [`${type}/${id}`] : [])),
        );
        expect(inForce).toContain(`account/${value.account}`);
        expect(inForce).toContain(`campaign/${value.campaign}`);
      }
      const accounts = definitions.filter((each) => each.type === 'account');
      expect(accounts.map((each) => definitionSchemas.account.parse(each.document).currency)).toEqual(
        accounts.map(() => 'EUR'),
      );
    },
  );
});

describe('the marketplace', { timeout: TIMEOUT_MS }, () => {
  it('feeds what it planted, and goes on as a trickle of now', async () => {
    const serving = await servingOf('replay-simulate');
    // Up to yesterday: late in the day the account that bids has spent its budget of today by what is fed.
    const endMs = Date.now() - 25 * 3_600_000;
    const report = await replay(serving, { format: 'simulate', buyers: 400, endMs });
    expect(report.events.rejected).toBe(report.planted.invalid);
    expect(report.spend.rejected).toBe(0);
    const records = await readData(serving, 'events');
    const taken = records.filter(({ value }) => value.kind !== 'clock');
    expect(taken).toHaveLength(report.events.accepted);
    const ids = new Set(taken.map(({ value }) => value.messageId as string));
    expect(taken.length - ids.size).toBe(report.planted.duplicate);
    const spend = await readData(serving, 'spend');
    expect(spend.filter(({ value }) => value.kind === 'report')).toHaveLength(report.spend.reports);
    expect(spend.filter(({ value }) => value.kind === 'notice')).toHaveLength(report.spend.notices);

    // The ledger leases what is bid.
    const { config } = serving;
    const stream = startChild('stream', {
      FLYWHEEL_NAMESPACE: config.namespace,
      FLYWHEEL_DIR: config.dir,
      KAFKA_BROKERS: config.kafkaBrokers,
      REDIS_URL: config.redisUrl,
      CLICKHOUSE_URL: config.clickhouseUrl,
      STREAM_METRICS_PORT: '0',
    });
    onTestFinished(async () => void (await stream.stop()));
    await stream.ready;
    const stopping = new AbortController();
    const startedAt = Date.now();
    const { url, keys } = serving;
    const trickle = runTrickle({ url, secretKey: keys.secret, ratePerSecond: 20, signal: stopping.signal });
    const toldOf = async (notice: string) =>
      (await readData(serving, 'spend')).filter(
        ({ value }) => value.supplied !== true && value.notice === notice,
      );
    await expect
      .poll(async () => [(await toldOf('win')).length > 1, (await toldOf('loss')).length > 1], {
        timeout: 60_000,
      })
      .toEqual([true, true]);
    stopping.abort();
    await trickle;
    const refused = runTrickle({
      url,
      secretKey: `sk_${'x'.repeat(32)}`,
      ratePerSecond: 20,
      signal: new AbortController().signal,
    });
    await expect(refused).rejects.toMatchObject({
      code: 'FEED_REFUSED',
      message: expect.stringContaining('refuses the key'),
    });
    const live = (await readData(serving, 'events')).filter(
      ({ value }) => segmentKinds.includes(value.kind) && value.supplied !== true,
    );
    expect(live.length).toBeGreaterThan(20);
    for (const { value } of live) {
      expect(value.receivedAt).toBeGreaterThanOrEqual(startedAt - 1_000);
      expect(value.timestamp).toBeLessThanOrEqual(value.receivedAt);
    }
    // What it wins it has bid for, out of a lease.
    for (const { value } of await toldOf('win')) {
      expect(value).toMatchObject({ lease: expect.any(String), costMicros: expect.any(Number) });
      expect(value.costMicros).toBeLessThan(value.heldMicros);
    }
  });
});
