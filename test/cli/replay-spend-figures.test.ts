// Spend in, report out: the figures that are known of the real sets of daily spend, after the whole engine had them.
import { describe, expect, it } from 'vitest';
import { sharedFile } from '../simulate/shared-data.ts';
import { periodOf, replayed } from './support/engine.ts';

const TIMEOUT_MS = 180_000;

type Row = Readonly<Record<'account' | 'campaign', string>> &
  Readonly<Record<'impressions' | 'clicks' | 'costMicros', number>>;

function sumOf(rows: readonly Row[], name: 'impressions' | 'clicks' | 'costMicros'): number {
  return rows.reduce((sum, row) => sum + row[name], 0);
}

describe('daily-spend', { timeout: TIMEOUT_MS }, () => {
  const file = sharedFile('ads_campaign_daily_feb2021/marketing_feb2021.csv');

  it.skipIf(file === null)('all of it: 11 campaigns of 4 categories, their cost and clicks', async () => {
    const { get, number } = await replayed('daily-spend', [{ file: file! }], Date.UTC(2021, 2, 2));
    const { rows } = await get(`/v1/reports/campaigns?${periodOf('2021-02-01', '2021-02-28')}`);
    const spent = (rows as Row[]).filter(({ costMicros }) => costMicros > 0);
    expect([new Set(spent.map(({ campaign }) => campaign)).size, sumOf(spent, 'clicks')]).toEqual([
      11, 2_999_919,
    ]);
    expect(new Set(spent.map(({ account }) => account)).size).toBe(4);
    expect(sumOf(spent, 'costMicros')).toBe(30_590_879_820_000);
    expect(await number(`SELECT countIf(verdict = 'applied') FROM spend FINAL WHERE kind = 'report'`)).toBe(
      308,
    );
  });
});

describe('kag-spend', { timeout: TIMEOUT_MS }, () => {
  const file = sharedFile('ads_kag_conversion/kag_conversion_data.csv');

  it.skipIf(file === null)('all of it: 1,143 ads of three campaigns, impressions, clicks, cost', async () => {
    const { get } = await replayed('kag-spend', [{ file: file! }], Date.UTC(2017, 7, 19));
    const { rows } = await get(`/v1/reports/campaigns?limit=10000&${periodOf('2017-08-17', '2017-08-17')}`);
    const own = (rows as Row[]).filter(({ account }) => account.startsWith('xyz-'));
    const ads = (account: string): number => own.filter((row) => row.account === account).length;
    expect([ads('xyz-916'), ads('xyz-936'), ads('xyz-1178')]).toEqual([54, 464, 625]);
    expect([sumOf(own, 'impressions'), sumOf(own, 'clicks')]).toEqual([213_434_828, 38_165]);
    expect(Math.round(sumOf(own, 'costMicros') / 10_000)).toBe(5_870_523);
  });
});
