// Events in, report out: the figures that are known of the real sets, after the whole engine had them. A large set goes
// through as a head of whole days or rows; its reader has all of it in readers.contract.unit.test.ts.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { sharedFile } from '../simulate/shared-data.ts';
import { periodOf, replayed } from './support/engine.ts';

const TIMEOUT_MS = 180_000;
const folder = mkdtempSync(path.join(tmpdir(), 'replay-figures-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** The first rows of a set as a file of its own, and as cells, which know nothing of a reader. */
async function headOf(file: string, rows: number): Promise<{ file: string; cells: string[][] }> {
  const lines = gunzipSync(await readFile(file))
    .toString('utf8')
    .split(/\r?\n/)
    .slice(0, rows + 1);
  const head = path.join(folder, path.basename(file, '.gz'));
  writeFileSync(head, `${lines.join('\n')}\n`);
  return {
    file: head,
    cells: lines
      .slice(1)
      .filter((line) => line !== '')
      .map((line) => line.split(',')),
  };
}

/** Steps of a report's one row. */
function steps(body: { rows: { steps: { count: number }[] }[] }): number[] {
  return body.rows[0]!.steps.map(({ count }) => count);
}

function sumOf(rows: readonly Record<string, number>[], name: string): number {
  return rows.reduce((sum, row) => sum + row[name]!, 0);
}

describe('rees46', { timeout: TIMEOUT_MS }, () => {
  const file = sharedFile('clickstream_rees46_oct2019/rees46_2019_oct_head.csv.gz');

  it.skipIf(file === null)('all of it: views, carts, purchases, buyers', async () => {
    const { get, stage } = await replayed('rees46', [{ file: file! }], Date.UTC(2019, 9, 1, 3));
    const behaviours = await stage.rows<{ behaviour: string; count: string }>(
      `SELECT behaviour, countIf(verdict = 'applied') AS count FROM events FINAL GROUP BY behaviour`,
    );
    expect(Object.fromEntries(behaviours.map(({ behaviour, count }) => [behaviour, Number(count)]))).toEqual({
      view: 17_055,
      inquiry: 165,
      order: 214,
    });
    const { rows } = await get(`/v1/reports/north-star?${periodOf('2019-10-01', '2019-10-01')}`);
    expect(sumOf(rows, 'visitors')).toBe(4_504);
  });
});

describe('online-retail', { timeout: TIMEOUT_MS }, () => {
  const file = sharedFile('lifecycle_online_retail/online_retail.csv.gz');

  it.skipIf(file === null)(
    'all of it: invoices, cancellations, customers, their worth, countries',
    async () => {
      const { number } = await replayed('online-retail', [{ file: file! }], Date.UTC(2011, 11, 10));
      const count = (what: string): Promise<number> => number(`SELECT ${what} FROM events FINAL`);
      expect(await count(`countIf(verdict = 'applied')`)).toBe(25_900);
      expect(await count(`countIf(behaviour = 'order')`)).toBe(22_064);
      expect(await count(`countIf(event = 'Order Cancelled')`)).toBe(3_836);
      expect(await count(`uniqExactIf(key, startsWith(key, 'u:'))`)).toBe(4_372);
      expect(await count(`round(sum(JSONExtractFloat(record, 'properties', 'value')), 2)`)).toBe(
        9_747_747.93,
      );
      expect(await count(`uniqExact(JSONExtractString(record, 'properties', 'country'))`)).toBe(36);
    },
  );
});

describe('eshop2008', { timeout: TIMEOUT_MS }, () => {
  const file = sharedFile('clickstream_eshop_2008/eshop_clothing_2008.csv.gz');

  it.skipIf(file === null)('its first days: clicks, sessions as visitors, categories, Poland', async () => {
    const head = await headOf(file!, 12_000);
    const until = Date.UTC(2008, 3, 8);
    const { get, number } = await replayed('eshop2008', [{ file: head.file }], until);
    expect(await number(`SELECT count() FROM events FINAL WHERE verdict = 'applied'`)).toBe(12_000);
    const sessions = new Set(head.cells.map((cells) => cells[5]));
    expect(await number('SELECT uniqExact(key) FROM events FINAL')).toBe(sessions.size);
    // a session is of one day, so its visitor is one of that day
    const report = await get(`/v1/reports/north-star?by=country&${periodOf('2008-04-01', '2008-04-08')}`);
    expect(sumOf(report.rows, 'visitors')).toBe(sessions.size);
    const polish = new Set(head.cells.filter((cells) => cells[4] === '29').map((cells) => cells[5]));
    const ofPoland = report.rows.filter(({ segment }: { segment: string }) => segment === 'PL');
    expect(sumOf(ofPoland, 'visitors')).toBe(polish.size);
    const sale = head.cells.filter((cells) => cells[6] === '4').length;
    expect(
      await number(
        `SELECT countIf(JSONExtractString(record, 'properties', 'category') = 'sale') FROM events FINAL`,
      ),
    ).toBe(sale);
  });
});

describe('ipinyou', { timeout: TIMEOUT_MS }, () => {
  const file = sharedFile('ads_ipinyou_raw/ipinyou_20131021_adv2821_impressions.csv.gz');
  const clicks = sharedFile('ads_ipinyou_raw/ipinyou_20131021_adv2821_clicks.csv.gz');

  it.skipIf(file === null || clicks === null)(
    'all of it: cost and impressions without the repeats',
    async () => {
      const until = Date.UTC(2013, 9, 22);
      const { get, number } = await replayed('ipinyou', [{ file: file! }, { file: clicks! }], until);
      const { rows } = await get(`/v1/reports/campaigns?${periodOf('2013-10-21', '2013-10-21')}`);
      const shown = rows.filter(({ account }: { account: string }) => account === 'advertiser-2821');
      expect(shown).toHaveLength(9);
      // of 10,000 rows 40 repeat a bid: 875,561 without them is 873,434, in CNY for a thousand
      expect(sumOf(shown, 'impressions')).toBe(9_960);
      expect(sumOf(shown, 'costMicros')).toBe(873_434_000);
      expect(sumOf(shown, 'clicks')).toBe(433);
      expect(
        await number(`SELECT countIf(verdict = 'duplicate') FROM spend FINAL WHERE kind = 'click'`),
      ).toBe(9);
    },
  );
});

describe('x-education', { timeout: TIMEOUT_MS }, () => {
  const file = sharedFile('leads_x_education/leads.csv.gz');

  it.skipIf(file === null)('all of it: 9,240 leads, 38.54 % converted', async () => {
    const { get } = await replayed('x-education', [{ file: file! }], Date.UTC(2018, 0, 4));
    const report = await get(`/v1/reports/funnel?funnel=lead&${periodOf('2018-01-01', '2018-01-04')}`);
    expect(steps(report)).toEqual([9_240, 3_561]);
    expect(report.rows[0].steps[1].rateFromFirst).toBeCloseTo(0.3854, 4);
    const period = periodOf('2018-01-01', '2018-01-04');
    const india = await get(`/v1/reports/funnel?funnel=lead&by=country&${period}`);
    const row = india.rows.find(({ segment }: { segment: string }) => segment === 'IN');
    expect(steps({ rows: [row] })[0]).toBe(6_492);
  });
});

describe('olist', { timeout: TIMEOUT_MS }, () => {
  const file = sharedFile('leads_olist_funnel/olist_marketing_qualified_leads.csv.gz');

  it.skipIf(file === null)('all of it: 8,000 leads, 842 deals, origins', async () => {
    const { get, number } = await replayed('olist', [{ file: file! }], Date.UTC(2018, 11, 1));
    expect(await number(`SELECT countIf(behaviour = 'order') FROM events FINAL`)).toBe(842);
    const period = periodOf('2017-06-14', '2018-11-30');
    // the deal that was won before its contact is none of the funnel
    expect(steps(await get(`/v1/reports/funnel?funnel=seller&${period}`))).toEqual([8_000, 841]);
    const { rows } = await get(`/v1/reports/funnel?funnel=seller&by=channel&${period}`);
    const leads = Object.fromEntries(
      rows.map((row: { segment: string; steps: { count: number }[] }) => [
        row.segment,
        steps({ rows: [row] })[0],
      ]),
    );
    expect(leads).toMatchObject({ organic_search: 2_296, paid_search: 1_586, social: 1_350 });
  });
});

describe('cdnow', { timeout: TIMEOUT_MS }, () => {
  const file = sharedFile('lifecycle_cdnow/cdnow_sample.csv.gz');
  const summaryFile = sharedFile('lifecycle_cdnow/cdnow_customers_summary.csv.gz');

  it.skipIf(file === null || summaryFile === null)(
    'the published sample: customers, transactions, who came again',
    async () => {
      const { get, number } = await replayed('cdnow', [{ file: file! }], Date.UTC(1998, 6, 31));
      expect(await number(`SELECT count() FROM events FINAL WHERE verdict = 'applied'`)).toBe(6_919);
      expect(
        await number(
          `SELECT round(sum(JSONExtractFloat(record, 'properties', 'value')), 2) FROM events FINAL`,
        ),
      ).toBe(244_091.94);
      expect(await number('SELECT uniqExact(key) FROM events FINAL')).toBe(2_357);
      // the models' calibration: up to 30 September 1997 each customer has bought on 1 + frequency days
      const summary = await headOf(summaryFile!, 3_000);
      const days = summary.cells.reduce((sum, [, frequency]) => sum + 1 + Number(frequency), 0);
      const calibration = await get(`/v1/reports/north-star?${periodOf('1997-01-01', '1997-09-30')}`);
      expect(sumOf(calibration.rows, 'visitors')).toBe(days);
      expect(days).toBeGreaterThan(2_357);
    },
  );
});

/** Exposed buyers by variant, and how many of them did something: what an experiment's report starts from. */
function arms(behaviour: string, day = ''): string {
  return `SELECT variant, count() AS exposed, countIf(key IN (
      SELECT key FROM events FINAL WHERE verdict = 'applied' AND behaviour = '${behaviour}'
        AND ('${day}' = '' OR JSONExtractRaw(record, 'properties', 'day') = '${day}'))) AS did
    FROM (SELECT key, argMin(variant, (time, message_id)) AS variant FROM exposures FINAL GROUP BY key)
    GROUP BY variant ORDER BY variant`;
}

interface Arm {
  readonly variant: string;
  readonly exposed: string;
  readonly did: string;
}

function counts(found: readonly Arm[]): Record<string, [exposed: number, did: number]> {
  return Object.fromEntries(
    found.map(({ variant, exposed, did }) => [variant, [Number(exposed), Number(did)]]),
  );
}

describe('hillstrom', { timeout: TIMEOUT_MS }, () => {
  const file = sharedFile('ab_hillstrom_email/hillstrom.csv.gz');

  it.skipIf(file === null)('all of it: three arms, visits, conversions, spend', async () => {
    const { stage, get } = await replayed('hillstrom', [{ file: file! }], Date.UTC(2008, 2, 24));
    const visits = counts(await stage.rows<Arm>(arms('visit')));
    expect(visits).toEqual({ none: [21_306, 2_262], mens: [21_307, 3_894], womens: [21_387, 3_238] });
    const rates = Object.values(visits).map(([exposed, did]) => Number((did / exposed).toFixed(6)));
    expect(rates.sort()).toEqual([0.106167, 0.1514, 0.182757]);
    const orders = counts(await stage.rows<Arm>(arms('order')));
    expect(orders).toEqual({ none: [21_306, 122], mens: [21_307, 267], womens: [21_387, 189] });
    const spent = await stage.rows<{ variant: string; spend: number }>(`
      SELECT variant, sum(JSONExtractFloat(record, 'properties', 'value')) AS spend
      FROM events FINAL INNER JOIN exposures FINAL USING (key) WHERE behaviour = 'order' GROUP BY variant`);
    const perHead = Object.fromEntries(
      spent.map((row) => [row.variant, row.spend / visits[row.variant]![0]]),
    );
    expect(perHead.none).toBeCloseTo(0.652789, 6);
    expect(perHead.mens).toBeCloseTo(1.422617, 6);
    expect(perHead.womens).toBeCloseTo(1.077202, 6);
    const { rows } = await get(`/v1/reports/north-star?${periodOf('2008-03-21', '2008-03-21')}`);
    expect(sumOf(rows, 'visitors')).toBe(2_262 + 3_894 + 3_238);
  });
});

describe('udacity-ab', { timeout: TIMEOUT_MS }, () => {
  const file = sharedFile('ab_udacity_landing/ab_data.csv.gz');

  it.skipIf(file === null)('its first 25,000 rows: exposures and conversions of who is clear', async () => {
    const head = await headOf(file!, 25_000);
    const { stage, number } = await replayed('udacity-ab', [{ file: head.file }], Date.UTC(2017, 0, 25));
    const clear = head.cells.filter(([, , group, page]) => (group === 'control') === (page === 'old_page'));
    const expected: Record<string, [number, number]> = {};
    for (const variant of ['control', 'treatment']) {
      const own = clear.filter(([, , group]) => group === variant);
      const users = (rows: string[][]): number => new Set(rows.map(([user]) => user)).size;
      expected[variant] = [users(own), users(own.filter((cells) => cells[4] === '1'))];
    }
    expect(counts(await stage.rows<Arm>(arms('order')))).toEqual(expected);
    expect(await number(`SELECT count() FROM events FINAL WHERE event = 'Assignment Unclear'`)).toBe(
      25_000 - clear.length,
    );
    expect(await number(`SELECT countIf(verdict != 'applied') FROM events FINAL`)).toBe(0);
  });
});

describe('cookie-cats', { timeout: TIMEOUT_MS }, () => {
  const file = sharedFile('ab_cookie_cats/cookie_cats.csv.gz');

  it.skipIf(file === null)('its first 15,000 players: gates, and who came back when', async () => {
    const head = await headOf(file!, 15_000);
    const { stage } = await replayed('cookie-cats', [{ file: head.file }], Date.UTC(2016, 0, 10));
    for (const [day, column] of [
      ['1', 3],
      ['7', 4],
    ] as const) {
      const expected: Record<string, [number, number]> = {};
      for (const gate of ['gate_30', 'gate_40']) {
        const own = head.cells.filter(([, version]) => version === gate);
        expected[gate] = [own.length, own.filter((cells) => cells[column] === 'True').length];
      }
      expect(counts(await stage.rows<Arm>(arms('visit', day)))).toEqual(expected);
    }
  });
});
