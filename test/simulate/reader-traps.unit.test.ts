// What is wrong or missing in the sets themselves, and what the readers make of it.
import { expect, it } from 'vitest';
import type { FeedItem, SegmentMessage } from '../../simulate/feed.ts';
import { cdnow } from '../../simulate/readers/cdnow.ts';
import { ipinyou } from '../../simulate/readers/ipinyou.ts';
import { olist } from '../../simulate/readers/olist.ts';
import type { Reader } from '../../simulate/readers/reader.ts';
import { xEducation } from '../../simulate/readers/x-education.ts';
import { sharedFile } from './shared-data.ts';

async function all(reader: Reader, file: string): Promise<FeedItem[]> {
  const items: FeedItem[] = [];
  for await (const item of reader.read(file, {})) items.push(item);
  return items;
}

function messages(items: readonly FeedItem[]): SegmentMessage[] {
  return items.flatMap((item) => (item.to === 'events' ? [item.message as SegmentMessage] : []));
}

const leads = sharedFile('leads_x_education/leads.csv.gz');
it.skipIf(leads === null)('x-education: nothing unanswered, nothing that tells the outcome', async () => {
  const items = messages(await all(xEducation, leads!));
  const values = new Set(items.flatMap(({ properties }) => Object.values(properties!)));
  for (const wrong of ['', 'Select', 'Low in Relevance', 'Will revert after reading the email', 'Modified'])
    expect(values).not.toContain(wrong);
  const names = new Set(items.flatMap(({ properties }) => Object.keys(properties!)));
  expect([...names].sort()).toEqual(
    ['channel', 'country', 'industry', 'occupation', 'origin', 'secondsOnSite', 'visits'].sort(),
  );
  // Google and google are one source
  expect(values).toContain('google');
  expect(values).not.toContain('Google');
});

const sellers = sharedFile('leads_olist_funnel/olist_marketing_qualified_leads.csv.gz');
it.skipIf(sellers === null)('olist: the deals stand beside the leads, one before its contact', async () => {
  const items = messages(await all(olist, sellers!));
  const contacted = new Map<string, number>();
  const orders = items.filter(({ event }) => event === 'Order Completed');
  for (const { event, userId, timestamp } of items)
    if (event === 'Inquiry Sent') contacted.set(userId!, Date.parse(timestamp));
  const days = orders
    .map(({ userId, timestamp }) =>
      Math.floor((Date.parse(timestamp) - contacted.get(userId!)!) / 86_400_000),
    )
    .sort((a, b) => a - b);
  expect(days).toHaveLength(842);
  expect(days[0]).toBe(-2);
  expect(days.filter((each) => each < 0)).toHaveLength(1);
  expect((days[420]! + days[421]!) / 2).toBe(14);
  expect(orders[0]!.messageId).toMatch(/^olist:olist_closed_deals\.csv\.gz:\d+$/);
});

const clicks = sharedFile('ads_ipinyou_raw/ipinyou_20131021_adv2821_clicks.csv.gz');
it.skipIf(clicks === null)('ipinyou: clicks cost nothing more, nine come twice', async () => {
  const notices = (await all(ipinyou, clicks!)).map((item) => (item.to === 'spend' ? item.row : null));
  expect(notices).toHaveLength(442);
  const bids = new Set(notices.map((row) => (row?.kind === 'notice' ? row.bid : '')));
  expect(bids.size).toBe(433);
  for (const row of notices) expect(row).toMatchObject({ notice: 'click', costMicros: 0, country: 'CN' });
});

const sample = sharedFile('lifecycle_cdnow/cdnow_sample.csv.gz');
it.skipIf(sample === null)('cdnow: the sample goes by the ids of the whole set', async () => {
  const items = messages(await all(cdnow, sample!));
  expect(items).toHaveLength(6_919);
  const customers = new Set(items.map(({ userId }) => userId));
  expect(customers.size).toBe(2_357);
  expect(customers).toContain('00004');
});
