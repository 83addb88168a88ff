// One suite that every reader passes, on the real set: the checked figures of its README, a stream and not a
// buffer, the same again, ids that are its own, and faults named by their row.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { definitionSchemas } from '../../domain/definition.ts';
import { takeMessage } from '../../serve/collect/message.ts';
import type { FeedItem } from '../../simulate/feed.ts';
import { cdnow } from '../../simulate/readers/cdnow.ts';
import { cookieCats } from '../../simulate/readers/cookie-cats.ts';
import { FileError } from '../../simulate/readers/csv-rows.ts';
import { dailySpend } from '../../simulate/readers/daily-spend.ts';
import { eshop2008 } from '../../simulate/readers/eshop-2008.ts';
import { hillstrom } from '../../simulate/readers/hillstrom.ts';
import { ipinyou } from '../../simulate/readers/ipinyou.ts';
import { kagSpend } from '../../simulate/readers/kag-spend.ts';
import { olist } from '../../simulate/readers/olist.ts';
import { onlineRetail } from '../../simulate/readers/online-retail.ts';
import type { Reader } from '../../simulate/readers/reader.ts';
import { readers } from '../../simulate/readers/readers.ts';
import { rees46 } from '../../simulate/readers/rees46.ts';
import { udacityAb } from '../../simulate/readers/udacity-ab.ts';
import { xEducation } from '../../simulate/readers/x-education.ts';
import { sharedFile } from './shared-data.ts';

/** The largest set has half a million rows. */
const TIMEOUT_MS = 180_000;

/** What one reading came to. */
interface Seen {
  items: number;
  readonly ids: Set<string>;
  readonly events: Map<string, number>;
  readonly keys: Set<string>;
  readonly countries: Map<string, number>;
  readonly categories: Map<string, number>;
  readonly channels: Map<string, number>;
  readonly months: Map<string, number>;
  readonly bids: Set<string>;
  readonly notices: Map<string, number>;
  readonly exposed: Map<string, number>;
  /** What somebody did, by their variant: `<variant> <event>`. */
  readonly outcomes: Map<string, number>;
  readonly variantOf: Map<string, string>;
  readonly accounts: Map<string, number>;
  readonly campaigns: Set<string>;
  lines: number;
  quantity: number;
  value: number;
  costMicros: number;
  impressions: number;
  clicks: number;
  firstMs: number;
  lastMs: number;
  backwards: number;
  heapBytesMax: number;
}

interface Case {
  readonly reader: Reader;
  readonly path: string;
  /** A cell of the header that the format cannot do without, and a row that is wrong, in terms of a good one. */
  readonly needed: string;
  readonly spoil: (cells: string[]) => void;
  readonly figures: (seen: Seen) => void;
}

function count(counts: Map<string, number>, name: unknown): void {
  if (typeof name === 'string') counts.set(name, (counts.get(name) ?? 0) + 1);
}

/** As collect judges it, with the secret key that a replay has. */
function expectTaken(item: FeedItem): void {
  if (item.to !== 'events') return;
  const envelope = {
    kind: undefined,
    nowMs: item.arrivalMs,
    sentAt: undefined,
    receivedAt: undefined,
    trusted: true,
    source: 'test',
  };
  const outcome = takeMessage(item.message, envelope);
  if (!outcome.taken) throw new Error(`collect would refuse ${JSON.stringify(item)}: ${outcome.detail}`);
  const record = JSON.parse(outcome.value) as { timestamp: number };
  if (outcome.key !== item.key || record.timestamp !== item.arrivalMs)
    throw new Error(`collect reads ${JSON.stringify(item)} as ${outcome.key} at ${record.timestamp}`);
}

/** A buyer is counted once, in the first variant. */
function addExposure(seen: Seen, item: FeedItem): void {
  if (item.to !== 'exposures' || seen.variantOf.has(item.key)) return;
  seen.variantOf.set(item.key, item.row.variant);
  count(seen.exposed, item.row.variant);
}

function addOutcome(seen: Seen, key: string, name: string): void {
  count(seen.outcomes, `${seen.variantOf.get(key) ?? 'nobody'} ${name}`);
}

function addEvent(seen: Seen, item: FeedItem): void {
  if (item.to !== 'events') return;
  const message = item.message as { type: string; event?: string; properties: Record<string, unknown> };
  seen.keys.add(item.key);
  count(seen.events, message.event ?? message.type);
  addOutcome(seen, item.key, `${message.event ?? message.type} ${message.properties.day ?? ''}`.trim());
  count(seen.categories, message.properties.category);
  count(seen.channels, message.properties.channel ?? 'none');
  count(seen.months, new Date(item.arrivalMs).toISOString().slice(0, 7));
  if (typeof message.properties.lines === 'number') seen.lines += message.properties.lines;
  if (typeof message.properties.value === 'number') seen.value += message.properties.value;
  if (typeof message.properties.quantity === 'number') seen.quantity += message.properties.quantity;
  count(seen.countries, message.properties.country);
}

function addSpend(seen: Seen, item: FeedItem): void {
  if (item.to !== 'spend') return;
  seen.accounts.set(item.account, (seen.accounts.get(item.account) ?? 0) + 1);
  seen.campaigns.add(item.row.campaign);
  seen.costMicros += item.row.costMicros;
  if (item.row.kind === 'notice') {
    count(seen.notices, item.row.notice);
    seen.bids.add(item.row.bid);
    return;
  }
  seen.impressions += item.row.impressions;
  seen.clicks += item.row.clicks;
}

async function readAll(
  reader: Reader,
  file: string,
  check: (item: FeedItem) => void = () => {},
): Promise<Seen> {
  const seen: Seen = {
    items: 0,
    ids: new Set(),
    events: new Map(),
    keys: new Set(),
    countries: new Map(),
    categories: new Map(),
    channels: new Map(),
    months: new Map(),
    bids: new Set(),
    notices: new Map(),
    exposed: new Map(),
    outcomes: new Map(),
    variantOf: new Map(),
    accounts: new Map(),
    campaigns: new Set(),
    lines: 0,
    quantity: 0,
    value: 0,
    costMicros: 0,
    impressions: 0,
    clicks: 0,
    firstMs: Number.POSITIVE_INFINITY,
    lastMs: 0,
    backwards: 0,
    heapBytesMax: 0,
  };
  for await (const item of reader.read(file, {})) {
    seen.items += 1;
    check(item);
    const { messageId } = item.to === 'events' ? item.message : item.row;
    seen.ids.add(messageId as string);
    addExposure(seen, item);
    addEvent(seen, item);
    addSpend(seen, item);
    if (item.arrivalMs < seen.lastMs) seen.backwards += 1;
    seen.firstMs = Math.min(seen.firstMs, item.arrivalMs);
    seen.lastMs = Math.max(seen.lastMs, item.arrivalMs);
    if (seen.items % 1_000 === 0) {
      seen.heapBytesMax = Math.max(seen.heapBytesMax, process.memoryUsage().heapUsed);
    }
  }
  return seen;
}

const cases: readonly Case[] = [
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

it('covers every format', () => {
  expect(cases.map((each) => each.reader)).toEqual(readers);
});

describe.each(cases)('$reader.format', ({ reader, path, needed, spoil, figures }) => {
  const file = sharedFile(path);
  let folder = '';
  let plain = '';

  beforeAll(() => {
    if (file === null) return;
    folder = mkdtempSync(join(tmpdir(), 'readers-'));
    const bytes = readFileSync(file);
    plain = (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
  });
  afterAll(() => {
    if (folder !== '') rmSync(folder, { recursive: true });
  });

  /** The whole set, read once for the tests that look at its figures. */
  let whole: Promise<{ seen: Seen; heapBytesBefore: number }> | undefined;
  const readWhole = (): Promise<{ seen: Seen; heapBytesBefore: number }> => {
    const heapBytesBefore = process.memoryUsage().heapUsed;
    whole ??= readAll(reader, file!).then((seen) => ({ seen, heapBytesBefore }));
    return whole;
  };
  const written = (name: string, content: string | Buffer): string => {
    const target = join(folder, name);
    writeFileSync(target, content);
    return target;
  };
  /** The header and the first 200 rows. */
  const head = (): string[] => plain.split(/\r?\n/).slice(0, 201);
  const failure = async (target: string): Promise<FileError> => {
    const outcome = await readAll(reader, target).catch((error: unknown) => error);
    expect(outcome).toBeInstanceOf(FileError);
    return outcome as FileError;
  };

  it.skipIf(file === null)(
    'gives the figures that were checked, in order, with ids of its own',
    async () => {
      const seen = await readAll(reader, file!, expectTaken);
      figures(seen);
      expect(seen.ids.size).toBe(seen.items);
      expect(seen.backwards).toBe(0);
      const form = new RegExp(`^${reader.format}:[^:]+:[1-9][0-9]*(:[a-z]+)?$`);
      expect([...seen.ids].filter((id) => !form.test(id))).toEqual([]);
    },
    TIMEOUT_MS,
  );

  it.skipIf(file === null)(
    'streams: a first item before the file is read, and no growth with its length',
    async () => {
      const items = reader.read(file!, {});
      const first = await items.next();
      expect(first.done).toBe(false);
      await items.return();
      const { seen, heapBytesBefore } = await readWhole();
      expect(seen.heapBytesMax - heapBytesBefore).toBeLessThan(150e6);
    },
    TIMEOUT_MS,
  );

  it.skipIf(file === null)('gives the same again, packed or not, from the start', async () => {
    const text = `${head().join('\n')}\n`;
    const take = async (target: string): Promise<FeedItem[]> => {
      const items: FeedItem[] = [];
      for await (const item of reader.read(target, {})) items.push(item);
      return items;
    };
    const open = written('a/../part.csv', text);
    const first = await take(open);
    expect(first.length).toBeGreaterThan(0);
    expect(await take(open)).toEqual(first);
    // by its first bytes, whatever it is called; the name stands in the ids
    writeFileSync(open, gzipSync(text));
    expect(await take(open)).toEqual(first);
  });

  it.skipIf(file === null)('names the row that is wrong', async () => {
    const lines = head();
    const cells = lines[7]!.split(',');
    spoil(cells);
    const error = await failure(written('wrong.csv', lines.with(7, cells.join(',')).join('\n')));
    expect(error.code).toBe('ROW_WRONG');
    expect(error.message).toMatch(/wrong\.csv, row 7: /);
  });

  it.skipIf(file === null)('refuses what is not of its format, is cut off or is not there', async () => {
    const lines = head();
    const other = await failure(
      written('other.csv', lines.with(0, lines[0]!.replace(needed, 'x')).join('\n')),
    );
    expect(other.code).toBe('FILE_NOT_OF_FORMAT');
    expect(other.message).toContain(needed);
    expect((await failure(written('empty.csv', ''))).code).toBe('FILE_NOT_OF_FORMAT');
    expect((await failure(join(folder, 'none.csv'))).code).toBe('FILE_UNREADABLE');
    const packed = gzipSync(plain);
    const cut = await failure(written('cut.csv.gz', packed.subarray(0, packed.length >> 1)));
    expect(cut.message).toMatch(/cut\.csv\.gz, after row \d+: .*unexpected end/i);
    const ragged = await failure(written('ragged.csv', [...lines.slice(0, 4), 'one,two'].join('\n')));
    expect(ragged.code).toBe('ROW_WRONG');
  });

  it.skipIf(file === null)(
    'offers definitions that fit its spend',
    async () => {
      const definitions = await reader.definitions(file!, {});
      for (const { type, document } of definitions) definitionSchemas[type].parse(document);
      const ofSpend = definitions.filter(({ type }) => type === 'account' || type === 'campaign');
      const ids = new Set(ofSpend.map((each) => `${each.type}/${each.id}`));
      const { accounts, campaigns } = (await readWhole()).seen;
      expect(ids).toEqual(
        new Set([
          ...[...accounts.keys()].map((id) => `account/${id}`),
          ...[...campaigns].map((id) => `campaign/${id}`),
        ]),
      );
    },
    TIMEOUT_MS,
  );
});

it('takes the day and the currency that are given', async () => {
  const file = sharedFile('ads_kag_conversion/kag_conversion_data.csv');
  if (file === null) return;
  for await (const item of kagSpend.read(file, { date: '2020-02-29', currency: 'EUR' })) {
    expect(item.to === 'spend' && item.row).toMatchObject({
      periodStartMs: Date.UTC(2020, 1, 29),
      currency: 'EUR',
    });
    break;
  }
  await expect(kagSpend.read(file, { date: 'today' }).next()).rejects.toThrow('not YYYY-MM-DD');
});
