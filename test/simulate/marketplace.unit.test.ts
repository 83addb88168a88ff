// The marketplace: the same seed gives the same stream; it is as large, as wrong and as true as it says.
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { account, behaviours, campaign } from '../../domain/definition.ts';
import { takeMessage } from '../../serve/collect/message.ts';
import type { FeedMessage, SegmentMessage, SpendReport } from '../../simulate/feed.ts';
import { accounts, campaigns } from '../../simulate/marketplace/campaigns.ts';
import { createMarketplace, type MarketplaceOptions } from '../../simulate/marketplace/marketplace.ts';
import { busyDaysAt, timeAtBusyDays, weeklyCurve } from '../../simulate/marketplace/rhythm.ts';
import { spendRows } from '../../simulate/marketplace/spend.ts';
import type { BuyerTruth } from '../../simulate/marketplace/truth.ts';

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
const endMs = Date.UTC(2026, 4, 20, 13, 37, 11, 5);
const TIMEOUT_MS = 180_000;

function optionsOf(given: Partial<MarketplaceOptions> = {}): MarketplaceOptions {
  return { seed: 'test', startMs: endMs - 30 * DAY_MS, endMs, buyers: 1_000, idPrefix: 'test', ...given };
}

const definitionFile = (path: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../definitions/${path}.json`, import.meta.url), 'utf8'));

describe('the stream', { timeout: TIMEOUT_MS }, () => {
  it('is as large as a month of 20,000 buyers, in order of arrival, made in little time and memory', () => {
    const marketplace = createMarketplace(optionsOf({ buyers: 20_000 }));
    const before = process.cpuUsage();
    let lastMs = 0;
    let heapBytesEarly = 0;
    let heapBytesMax = 0;
    let count = 0;
    for (const { arrivalMs } of marketplace.messages()) {
      count += 1;
      if (arrivalMs < lastMs) throw new Error(`message ${count} goes back in time`);
      lastMs = arrivalMs;
      if (count % 20_000 !== 0) continue;
      const { heapUsed } = process.memoryUsage();
      heapBytesEarly ||= heapUsed;
      heapBytesMax = Math.max(heapBytesMax, heapUsed);
    }
    // busy time, so that other work on the machine changes nothing
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1_000).toBeLessThan(30_000);
    expect(lastMs).toBeLessThan(endMs);
    expect(heapBytesMax - heapBytesEarly).toBeLessThan(150e6);
    const report = marketplace.report();
    expect(report.messages).toBe(count);
    expect(count).toBeGreaterThan(180_000);
    expect(count).toBeLessThan(225_000);
    expect(report.buyers).toBeGreaterThan(19_900);
    expect(report.countries).toBeGreaterThanOrEqual(60);
    const known = new Set(
      behaviours.parse(definitionFile('behaviours/default')).rules.map((rule) => rule.event),
    );
    const names = Object.keys(report.byEvent).filter((name) => known.has(name));
    expect(names.sort()).toEqual([
      'Inquiry Sent',
      'Order Completed',
      'Order Fulfilled',
      'Product Viewed',
      'Products Searched',
      'Supplier Contacted',
    ]);
  });

  it('is the same for the same seed, another for another seed, and the same people in another period', () => {
    const take = (options: MarketplaceOptions): FeedMessage[] => [...createMarketplace(options).messages()];
    const first = take(optionsOf());
    expect(take(optionsOf())).toEqual(first);
    expect(take(optionsOf({ seed: 'other' }))).not.toEqual(first);
    const later = take(optionsOf({ startMs: endMs, endMs: endMs + 30 * DAY_MS, idPrefix: 'later' }));
    const peopleOf = (feeds: FeedMessage[]): Set<string> => new Set(feeds.map((feed) => feed.key));
    const before = peopleOf(first);
    const again = [...peopleOf(later)].filter((key) => before.has(key));
    expect(again.length).toBeGreaterThan(800);
  });

  it('plants the faults that it reports, and nothing else is wrong', () => {
    const marketplace = createMarketplace(optionsOf({ buyers: 5_000 }));
    const seen = { duplicate: 0, delayed: 0, late: 0, invalid: 0 };
    const ids = new Map<string, number>();
    for (const { planted, message, arrivalMs, key } of marketplace.messages()) {
      if (planted !== undefined) seen[planted] += 1;
      const envelope = {
        kind: undefined,
        nowMs: endMs,
        sentAt: undefined,
        receivedAt: undefined,
        trusted: true,
        source: 'test',
      };
      const outcome = takeMessage(message, envelope);
      expect(outcome.taken).toBe(planted !== 'invalid');
      if (!outcome.taken) continue;
      expect(outcome.key).toBe(key);
      const { messageId, timestamp, receivedAt } = message as SegmentMessage;
      expect(Date.parse(receivedAt)).toBe(arrivalMs);
      ids.set(messageId, (ids.get(messageId) ?? 0) + 1);
      const delayMs = arrivalMs - Date.parse(timestamp);
      if (planted === undefined) expect(delayMs).toBeLessThan(2_000);
      if (planted === 'delayed') expect(delayMs).toBeLessThan(10 * MINUTE_MS);
      if (planted === 'late') expect(delayMs).toBeGreaterThan(10 * MINUTE_MS);
    }
    const report = marketplace.report();
    expect(report.planted).toEqual(seen);
    expect([...ids.values()].filter((times) => times > 1)).toHaveLength(seen.duplicate);
    const share = (planted: keyof typeof seen): number => seen[planted] / report.messages;
    expect(share('delayed')).toBeGreaterThan(0.02);
    expect(share('late')).toBeGreaterThan(0.002);
    expect(share('duplicate')).toBeGreaterThan(0.007);
    expect(seen.invalid).toBeGreaterThan(3);
  });

  it('has people on several devices, devices of several people, companies and aliases, as many as it reports', () => {
    const marketplace = createMarketplace(optionsOf({ buyers: 5_000 }));
    const pairs = new Set<string>();
    const visitorsBefore = new Set<string>();
    const companies = new Map<string, Set<string>>();
    let joinedLater = 0;
    for (const { message, planted, key } of marketplace.messages()) {
      if (planted === 'invalid') continue;
      const { type, userId, anonymousId, previousId, groupId } = message as SegmentMessage;
      if (type === 'group') companies.set(groupId!, (companies.get(groupId!) ?? new Set()).add(userId!));
      if (key.startsWith('a:')) visitorsBefore.add(key.slice(2));
      const visitor = type === 'alias' ? previousId : anonymousId;
      if ((type !== 'identify' && type !== 'alias') || visitor === undefined) continue;
      pairs.add(`${visitor} ${userId}`);
      if (visitorsBefore.has(visitor)) joinedLater += 1;
    }
    const column = (index: number): string[] => [...pairs].map((pair) => pair.split(' ')[index]!);
    const several = (names: readonly string[]): number =>
      new Set(names.filter((name, index) => names.indexOf(name) !== index)).size;
    const { identity, byEvent } = marketplace.report();
    expect(identity).toEqual({
      visitors: new Set(column(0)).size,
      users: new Set(column(1)).size,
      usersWithSeveralVisitors: several(column(1)),
      visitorsOfSeveralUsers: several(column(0)),
      aliases: expect.any(Number),
      companies: companies.size,
      members: [...companies.values()].reduce((sum, { size }) => sum + size, 0),
    });
    expect(identity.visitors).toBeGreaterThan(300);
    expect(joinedLater).toBeGreaterThan(300);
    expect(identity.usersWithSeveralVisitors).toBeGreaterThan(5);
    expect(identity.visitorsOfSeveralUsers).toBeGreaterThan(2);
    expect(identity.aliases).toBeGreaterThan(20);
    expect(byEvent.alias).toBeGreaterThanOrEqual(identity.aliases);
    expect(identity.members).toBeGreaterThan(2 * identity.companies);
  });

  it('goes on for ever when no end is given', () => {
    const messages = createMarketplace(optionsOf({ endMs: Number.POSITIVE_INFINITY })).messages();
    for (let taken = 0; taken < 20_000; taken += 1) expect(messages.next().done).toBe(false);
  });
});

describe('the truth', { timeout: TIMEOUT_MS }, () => {
  it('is what happens: buyers go deep as often as the chain says, in every fifth of the scale', () => {
    const atMs = endMs - 12 * DAY_MS;
    const truths: BuyerTruth[] = [];
    const linked = new Map<string, string>();
    const deep = new Set<string>();
    const marketplace = createMarketplace(
      optionsOf({ buyers: 20_000, snapshotsMs: [atMs], onSnapshot: (_timeMs, all) => truths.push(...all) }),
    );
    const deepNames = new Set(['Supplier Contacted', 'Inquiry Sent', 'Order Completed']);
    for (const { message, key } of marketplace.messages()) {
      const { type, event, anonymousId, timestamp } = message as SegmentMessage;
      if (type === 'identify' && anonymousId !== undefined) linked.set(`a:${anonymousId}`, key);
      const timeMs = Date.parse(timestamp);
      if (timeMs >= atMs && timeMs < atMs + 7 * DAY_MS && deepNames.has(event ?? '')) deep.add(key);
    }
    const bands = Array.from({ length: 5 }, () => ({ people: 0, expected: 0, happened: 0 }));
    for (const { key, probability } of truths) {
      const band = bands[Math.min(4, Math.floor(probability * 5))]!;
      band.people += 1;
      band.expected += probability;
      if (deep.has(key) || deep.has(linked.get(key) ?? '')) band.happened += 1;
    }
    for (const { people, expected, happened } of bands) {
      expect(people).toBeGreaterThan(50);
      const spread = Math.sqrt(expected * (1 - expected / people));
      expect(Math.abs(happened - expected)).toBeLessThan(4 * spread + 0.02 * people);
    }
  });

  it('knows the rates of the segments, and they differ as planted', () => {
    const marketplace = createMarketplace(optionsOf({ buyers: 10_000 }));
    for (const _ of marketplace.messages());
    const { truths } = marketplace.report();
    const rate = (value: string): number => truths.find((truth) => truth.value === value)!.rate;
    expect(rate('L4')).toBeGreaterThan(1.5 * rate('L0'));
    expect(rate('DE')).toBeGreaterThan(rate('NG'));
    for (const { people, deepPeople, rate: stated } of truths) expect(stated).toBe(deepPeople / people);
  });
});

describe('the rhythm', () => {
  it('has its inverse, a mean of one, and the same busy time in every week of every place', () => {
    expect(weeklyCurve.reduce((sum, value) => sum + value, 0)).toBeCloseTo(168, 9);
    for (const offset of [-480, 0, 330, 345, 720]) {
      for (let timeMs = endMs; timeMs < endMs + 8 * DAY_MS; timeMs += 3_777_777) {
        expect(timeAtBusyDays(busyDaysAt(timeMs, offset), offset)).toBeCloseTo(timeMs, -1);
        expect(busyDaysAt(timeMs + 7 * DAY_MS, offset) - busyDaysAt(timeMs, offset)).toBeCloseTo(7, 6);
      }
    }
  });
});

describe('the spend', { timeout: TIMEOUT_MS }, () => {
  const rows = [...spendRows({ seed: 'test', startMs: endMs - 30 * DAY_MS, endMs, idPrefix: 'test' })];
  const reports = rows.flatMap(({ account: id, row }) =>
    row.kind === 'report' ? [{ account: id, row }] : [],
  );
  /** The figures that stand at the end: of each cell those as of the latest time. */
  const final = new Map<string, { account: string; row: SpendReport }>();
  for (const report of reports) {
    const { campaign: id, country, period, periodStartMs } = report.row;
    final.set(`${id}/${country}/${period}/${periodStartMs}`, report);
  }

  it('comes in order, again the same, with later figures for some hours', () => {
    expect(rows.length).toBeGreaterThan(10_000);
    rows.reduce((before, { arrivalMs }) => {
      expect(arrivalMs).toBeGreaterThanOrEqual(before);
      return arrivalMs;
    }, 0);
    expect([...spendRows({ seed: 'test', startMs: endMs - 30 * DAY_MS, endMs, idPrefix: 'test' })]).toEqual(
      rows,
    );
    expect(reports.length - final.size).toBeGreaterThan(500);
    expect(new Set(rows.map(({ row }) => row.messageId)).size).toBe(rows.length);
  });

  it('uses 60 to 110 % of each budget on a whole day, with what platforms restate', () => {
    const spent = new Map<string, number>();
    for (const { account: id, row } of final.values()) {
      const { utcOffsetMinutes } = accounts.find((each) => each.id === id)!;
      const day = Math.floor((row.periodStartMs + utcOffsetMinutes * MINUTE_MS) / DAY_MS);
      spent.set(`${id}/${day}`, (spent.get(`${id}/${day}`) ?? 0) + row.costMicros);
    }
    const shares: number[] = [];
    for (const { id, dailyBudgetMicros } of accounts) {
      const days = [...spent].filter(([name]) => name.startsWith(`${id}/`)).sort();
      for (const [, micros] of days.slice(1, -2)) shares.push(micros / dailyBudgetMicros);
    }
    expect(shares.length).toBeGreaterThan(100);
    expect(Math.min(...shares)).toBeGreaterThan(0.55);
    expect(Math.max(...shares)).toBeLessThan(1.2);
    expect(shares.filter((share) => share > 1).length).toBeGreaterThan(5);
  });

  it('has notices whose report has more', () => {
    const noticed = new Map<string, number>();
    for (const { row } of rows) {
      if (row.kind !== 'notice') continue;
      const hour = Math.floor(row.timeMs / 3_600_000) * 3_600_000;
      const cell = `${row.campaign}/${row.country}/hour/${hour}`;
      noticed.set(cell, (noticed.get(cell) ?? 0) + row.costMicros);
    }
    let replaced = 0;
    for (const [cell, micros] of noticed) {
      const report = final.get(cell);
      if (report === undefined) continue;
      replaced += 1;
      expect(micros).toBeLessThan(report.row.costMicros);
    }
    expect(replaced).toBeGreaterThan(50);
    expect(noticed.size).toBeGreaterThan(replaced);
  });

  it('has the accounts and campaigns that stand in definitions/', () => {
    const ids = (type: string): string[] =>
      readdirSync(new URL(`../../definitions/${type}/`, import.meta.url)).map((name) => name.slice(0, -5));
    expect(ids('account').sort()).toEqual(accounts.map((each) => each.id).sort());
    expect(ids('campaign').sort()).toEqual(campaigns.map((each) => each.id).sort());
    for (const { id, ...document } of accounts) {
      expect(account.parse(definitionFile(`account/${id}`))).toMatchObject(document);
    }
    for (const { id, name, accountId, channel, valueMicros, maxBidMicros, countries } of campaigns) {
      const document = { name, accountId, channel, valueMicros, maxBidMicros, countries };
      expect(campaign.parse(definitionFile(`campaign/${id}`))).toMatchObject(document);
    }
  });
});

it('takes neither the time nor chance from anywhere but its arguments', () => {
  const folder = new URL('../../simulate/', import.meta.url);
  const files = readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.ts'));
  expect(files.length).toBeGreaterThan(10);
  for (const name of files) {
    const text = readFileSync(new URL(name, folder), 'utf8');
    expect(text, name).not.toMatch(/Math\.random|Date\.now|new Date\(\)|performance\.now/);
  }
});
