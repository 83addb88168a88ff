// Every format with its real set, how a row of it goes wrong, and the figures that the data's README has.
import { expect } from 'vitest';
import { cdnow } from '../../../simulate/readers/cdnow.ts';
import { cookieCats } from '../../../simulate/readers/cookie-cats.ts';
import { dailySpend } from '../../../simulate/readers/daily-spend.ts';
import { eshop2008 } from '../../../simulate/readers/eshop-2008.ts';
import { hillstrom } from '../../../simulate/readers/hillstrom.ts';
import { ipinyou } from '../../../simulate/readers/ipinyou.ts';
import { kagSpend } from '../../../simulate/readers/kag-spend.ts';
import { olist } from '../../../simulate/readers/olist.ts';
import { onlineRetail } from '../../../simulate/readers/online-retail.ts';
import type { Reader } from '../../../simulate/readers/reader.ts';
import { rees46 } from '../../../simulate/readers/rees46.ts';
import { udacityAb } from '../../../simulate/readers/udacity-ab.ts';
import { xEducation } from '../../../simulate/readers/x-education.ts';
import type { Seen } from './reading.ts';

export interface Case {
  readonly reader: Reader;
  readonly path: string;
  /** A cell of the header that the format cannot do without, and a row that is wrong, in terms of a good one. */
  readonly needed: string;
  readonly spoil: (cells: string[]) => void;
  readonly figures: (seen: Seen) => void;
}

export const cases: readonly Case[] = [
  {
    reader: rees46,
    path: 'clickstream_rees46_oct2019/rees46_2019_oct_head.csv.gz',
    needed: 'event_type',
    spoil: (cells) => {
      cells[0] = 'noon';
    },
    figures: (seen) => {
      expect(seen.items).toBe(17_434);
      expect(Object.fromEntries(seen.events)).toEqual({
        'Product Viewed': 17_055,
        'Inquiry Sent': 165,
        'Order Completed': 214,
      });
      expect(seen.keys.size).toBe(4_504);
      expect(seen.firstMs).toBe(Date.parse('2019-10-01T00:00:00Z'));
      expect(seen.lastMs).toBeLessThanOrEqual(Date.parse('2019-10-01T02:50:00Z'));
    },
  },
  {
    reader: onlineRetail,
    path: 'lifecycle_online_retail/online_retail.csv.gz',
    needed: 'InvoiceNo',
    spoil: (cells) => {
      cells[5] = 'cheap';
    },
    figures: (seen) => {
      expect(seen.items).toBe(25_900);
      expect(seen.lines).toBe(541_909);
      expect(Object.fromEntries(seen.events)).toEqual({
        'Order Completed': 22_064,
        'Order Cancelled': 3_836,
      });
      expect([...seen.keys].filter((key) => key.startsWith('u:'))).toHaveLength(4_372);
      expect(Math.round(seen.value * 100) / 100).toBe(9_747_747.93);
      // 38 names, three of which have no code of their own
      expect(seen.countries.size).toBe(36);
      expect([...seen.countries.keys()]).toContain('ZZ');
      expect(new Date(seen.firstMs).toISOString()).toBe('2010-12-01T08:26:00.000Z');
      expect(new Date(seen.lastMs).toISOString()).toBe('2011-12-09T12:50:00.000Z');
    },
  },
  {
    reader: kagSpend,
    path: 'ads_kag_conversion/kag_conversion_data.csv',
    needed: 'Spent',
    spoil: (cells) => {
      cells[9] = '-';
    },
    figures: (seen) => {
      expect(seen.items).toBe(1_143);
      expect(seen.campaigns.size).toBe(1_143);
      expect(Object.fromEntries(seen.accounts)).toEqual({ 'xyz-916': 54, 'xyz-936': 464, 'xyz-1178': 625 });
      expect(seen.impressions).toBe(213_434_828);
      expect(seen.clicks).toBe(38_165);
      expect(Math.round(seen.costMicros / 10_000) / 100).toBe(58_705.23);
    },
  },
  {
    reader: dailySpend,
    path: 'ads_campaign_daily_feb2021/marketing_feb2021.csv',
    needed: 'mark_spent',
    spoil: (cells) => {
      cells[1] = '01.02.2021';
    },
    figures: (seen) => {
      expect(seen.items).toBe(308);
      expect(seen.campaigns.size).toBe(11);
      expect(seen.accounts.size).toBe(4);
      expect(seen.costMicros).toBe(30_590_879_820_000);
      expect(seen.clicks).toBe(2_999_919);
    },
  },
  {
    reader: eshop2008,
    path: 'clickstream_eshop_2008/eshop_clothing_2008.csv.gz',
    needed: 'session_id',
    spoil: (cells) => {
      cells[4] = '48';
    },
    figures: (seen) => {
      expect(Object.fromEntries(seen.events)).toEqual({ 'Product Viewed': 165_474 });
      expect(seen.keys.size).toBe(24_026);
      expect(Object.fromEntries(seen.months)).toEqual({
        '2008-04': 48_199,
        '2008-05': 35_654,
        '2008-06': 32_242,
        '2008-07': 35_231,
        '2008-08': 14_148,
      });
      expect(Object.fromEntries(seen.categories)).toEqual({
        trousers: 49_742,
        skirts: 38_408,
        blouses: 38_577,
        sale: 38_747,
      });
      expect(seen.countries.get('PL')).toBe(133_963);
      // 47 numbers, six of which name no country
      expect(seen.countries.size).toBe(42);
      expect(seen.countries.get('ZZ')).toBe(210 + 31 + 1_385 + 6 + 2_522 + 7);
    },
  },
  {
    reader: ipinyou,
    path: 'ads_ipinyou_raw/ipinyou_20131021_adv2821_impressions.csv.gz',
    needed: 'paying_price',
    spoil: (cells) => {
      cells[1] = 'noon';
    },
    figures: (seen) => {
      expect(Object.fromEntries(seen.notices)).toEqual({ win: 10_000, impression: 10_000 });
      expect(seen.bids.size).toBe(9_960);
      expect(seen.campaigns.size).toBe(9);
      // CNY for a thousand: 875,561 / 1000
      expect(seen.costMicros).toBe(875_561_000);
      // 19:29 and 23:53 in China
      expect(new Date(seen.firstMs).toISOString()).toBe('2013-10-21T10:29:02.623Z');
      expect(new Date(seen.lastMs).toISOString()).toBe('2013-10-21T15:53:29.599Z');
    },
  },
  {
    reader: xEducation,
    path: 'leads_x_education/leads.csv.gz',
    needed: 'Converted',
    spoil: (cells) => {
      cells[6] = 'maybe';
    },
    figures: (seen) => {
      expect(seen.events.get('Inquiry Sent')).toBe(9_240);
      expect(seen.events.get('Order Completed')).toBe(3_561);
      expect(seen.events.get('Supplier Contacted')).toBe(1_755);
      expect(seen.keys.size).toBe(9_240);
      // not answered, unknown, Asia/Pacific Region
      expect([...seen.countries.keys()]).toContain('ZZ');
      expect([...seen.countries.keys()].every((code) => /^[A-Z]{2}$/.test(code))).toBe(true);
    },
  },
  {
    reader: olist,
    path: 'leads_olist_funnel/olist_marketing_qualified_leads.csv.gz',
    needed: 'first_contact_date',
    spoil: (cells) => {
      cells[1] = '01.02.2018';
    },
    figures: (seen) => {
      expect(Object.fromEntries(seen.events)).toEqual({ 'Inquiry Sent': 8_000, 'Order Completed': 842 });
      expect(seen.keys.size).toBe(8_000);
      expect(seen.channels.get('organic_search')).toBe(2_296);
      expect(seen.channels.get('paid_search')).toBe(1_586);
      expect(seen.channels.get('social')).toBe(1_350);
      expect(new Date(seen.firstMs).toISOString()).toBe('2017-06-14T00:00:00.000Z');
    },
  },
  {
    reader: cdnow,
    path: 'lifecycle_cdnow/cdnow_transactions.csv.gz',
    needed: 'n_cds',
    spoil: (cells) => {
      cells[3] = 'cheap';
    },
    figures: (seen) => {
      expect(seen.items).toBe(69_659);
      expect(seen.keys.size).toBe(23_570);
      expect(seen.quantity).toBe(167_881);
      expect(Math.round(seen.value * 100) / 100).toBe(2_500_315.63);
      expect(new Date(seen.firstMs).toISOString()).toBe('1997-01-01T00:00:00.000Z');
      expect(new Date(seen.lastMs).toISOString()).toBe('1998-06-30T00:00:00.000Z');
    },
  },
  {
    reader: hillstrom,
    path: 'ab_hillstrom_email/hillstrom.csv.gz',
    needed: 'segment',
    spoil: (cells) => {
      cells[8] = 'Childrens E-Mail';
    },
    figures: (seen) => {
      const arms = { none: 21_306, mens: 21_307, womens: 21_387 };
      expect(Object.fromEntries(seen.exposed)).toEqual(arms);
      const rate = (arm: keyof typeof arms, name: string) =>
        Number(((seen.outcomes.get(`${arm} ${name}`) ?? 0) / arms[arm]).toFixed(6));
      const names = ['none', 'mens', 'womens'] as const;
      expect(names.map((arm) => rate(arm, 'page'))).toEqual([0.106167, 0.182757, 0.1514]);
      expect(names.map((arm) => rate(arm, 'Order Completed'))).toEqual([0.005726, 0.012531, 0.008837]);
      const spent = 0.652789 * 21_306 + 1.422617 * 21_307 + 1.077202 * 21_387;
      expect(Math.abs(seen.value - spent)).toBeLessThan(0.05);
    },
  },
  {
    reader: udacityAb,
    path: 'ab_udacity_landing/ab_data.csv.gz',
    needed: 'landing_page',
    spoil: (cells) => {
      cells[4] = '2';
    },
    figures: (seen) => {
      // 294,478 rows, of which group and page disagree in 3,893, and one user is left twice
      expect(seen.events.get('Assignment Unclear')).toBe(3_893);
      expect(seen.variantOf.size).toBe(290_584);
      expect(seen.items - seen.events.get('Order Completed')!).toBe(294_478);
      const rate = (group: string) =>
        seen.outcomes.get(`${group} Order Completed`)! / seen.exposed.get(group)!;
      expect(rate('control').toFixed(5)).toBe('0.12039');
      expect(rate('treatment').toFixed(5)).toBe('0.11881');
      expect(seen.outcomes.has('nobody Order Completed')).toBe(false);
    },
  },
  {
    reader: cookieCats,
    path: 'ab_cookie_cats/cookie_cats.csv.gz',
    needed: 'retention_7',
    spoil: (cells) => {
      cells[3] = 'perhaps';
    },
    figures: (seen) => {
      expect(Object.fromEntries(seen.exposed)).toEqual({ gate_30: 44_700, gate_40: 45_489 });
      const rate = (gate: string, day: number) =>
        (seen.outcomes.get(`${gate} page ${day}`)! / seen.exposed.get(gate)!).toFixed(4);
      expect([rate('gate_30', 1), rate('gate_40', 1)]).toEqual(['0.4482', '0.4423']);
      expect([rate('gate_30', 7), rate('gate_40', 7)]).toEqual(['0.1902', '0.1820']);
    },
  },
];
