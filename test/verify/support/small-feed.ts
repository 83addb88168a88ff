// A small log in which everything happens that the oracle looks at: behaviours in and out of order, late ones, repeats,
// garbage, links, exposures, timers; notices, reports over them, leases that are used, refused and freed.
import { accountPartition, buyerPartition } from '../../../platform/keys.ts';
import { topicPartitions } from '../../../platform/namespace.ts';
import type { LogEntry } from '../../e2e/support/mixed-log.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Nine in the morning, UTC. */
const START_MS = Date.UTC(2024, 2, 4, 9);
const BUYERS = 16;
const countries = ['DE', 'US', 'FR', 'CN', 'BR'];
/** One buyer's way, one behaviour every two minutes. */
const way = [
  'page',
  'Products Searched',
  'Product Viewed',
  'Supplier Contacted',
  'Inquiry Sent',
  'Something Else',
  'Order Completed',
  'Order Fulfilled',
];

type Body = Record<string, unknown>;

function event(
  key: string,
  messageId: string,
  timestamp: number,
  name: string,
  properties: Body = {},
): LogEntry {
  const who = key.startsWith('u:') ? { userId: key.slice(2) } : { anonymousId: key.slice(2) };
  const kind = name === 'page' ? { kind: 'page' } : { kind: 'track', event: name };
  const body = {
    ...kind,
    messageId,
    ...who,
    properties,
    timestamp,
    receivedAt: timestamp + 1_000,
    supplied: true,
  };
  return { topic: 'events', partition: buyerPartition(key), key, value: JSON.stringify(body) };
}

function keyOf(number: number): string {
  return `${number % 4 === 3 ? 'a' : 'u'}:buyer-${number}`;
}

/** How far buyer `number` goes: each a step less than the one before, round and round. */
function stepsOf(number: number): number {
  return way.length - (number % way.length);
}

function journeys(startMs: number, round: number): LogEntry[] {
  const entries: { readonly atMs: number; readonly entry: LogEntry }[] = [];
  for (let number = 0; number < BUYERS; number += 1) {
    const key = keyOf(number);
    way.slice(0, stepsOf(number + round)).forEach((name, step) => {
      const atMs = startMs + (number + 2 * step) * MINUTE_MS;
      const properties = {
        category: `c${number % 2}`,
        country: countries[number % countries.length],
        messageLength: 40 * number,
        quantity: 10 ** (number % 4),
        ...(number % 3 === 0 ? { specification: 'steel' } : {}),
      };
      const messageId = `${round}-${number}-${step}`;
      // Every fifth arrives five minutes late, behind its successors.
      const delayMs = (number + step) % 5 === 0 ? 5 * MINUTE_MS : 0;
      entries.push({ atMs: atMs + delayMs, entry: event(key, messageId, atMs, name, properties) });
    });
  }
  return entries.sort((a, b) => a.atMs - b.atMs).map(({ entry }) => entry);
}

function oddities(nowMs: number): LogEntry[] {
  const key = keyOf(0);
  const partition = buyerPartition(key);
  const raw = (value: string): LogEntry => ({ topic: 'events', partition, key, value });
  const exposure = {
    kind: 'exposure',
    messageId: 'exposure-1',
    key,
    experiment: 'form',
    revision: 1,
    reason: 'SPLIT',
  };
  const common = {
    messageId: 'identify-1',
    userId: key.slice(2),
    timestamp: nowMs,
    receivedAt: nowMs,
    supplied: true,
  };
  return [
    // Repeats of applied records, and one that comes too late.
    ...journeys(START_MS, 0).slice(-6),
    event(key, 'late-1', nowMs - 2 * HOUR_MS, 'Product Viewed'),
    event(key, 'late-2', nowMs - 3 * HOUR_MS, 'Inquiry Sent', { category: 'c9' }),
    raw(
      JSON.stringify({
        kind: 'identify',
        ...common,
        anonymousId: 'buyer-3',
        traits: { level: 'gold', country: 'US' },
      }),
    ),
    raw(JSON.stringify({ kind: 'group', ...common, messageId: 'group-1', groupId: 'g1' })),
    raw(JSON.stringify({ ...exposure, variant: 'long', timestamp: nowMs })),
    raw(
      JSON.stringify({ ...exposure, messageId: 'exposure-0', variant: 'short', timestamp: nowMs - HOUR_MS }),
    ),
    raw('{"kind":"track", garbage'),
    raw(JSON.stringify({ kind: 'track', messageId: 'no-time', userId: 'x' })),
    { ...event(key, 'misplaced', nowMs, 'page'), partition: (partition + 1) % topicPartitions.events },
    ...hostile(nowMs),
  ];
}

/** The longest id, a level that every object has as a member, a subject that is cut in the middle of a character. */
function hostile(nowMs: number): LogEntry[] {
  const id = 'h'.repeat(256);
  const key = `u:${id}`;
  const category = `${'c'.repeat(127)}😀`;
  const group = { kind: 'group', messageId: 'hostile-group', userId: id, groupId: id, supplied: true };
  const value = JSON.stringify({ ...group, timestamp: nowMs, receivedAt: nowMs });
  return [
    { topic: 'events', partition: buyerPartition(key), key, value },
    event(key, 'hostile-1', nowMs, 'Supplier Contacted', { category, level: 'constructor' }),
    event(key, 'hostile-2', nowMs, 'Inquiry Sent', { category, level: '__proto__', messageLength: 50 }),
  ];
}

function clocks(topic: 'events' | 'spend', time: number): LogEntry[] {
  const value = JSON.stringify({ kind: 'clock', time, supplied: true });
  return Array.from({ length: topicPartitions[topic] }, (_, partition) => ({
    topic,
    partition,
    key: null,
    value,
  }));
}

function spend(account: string, body: Body): LogEntry {
  return {
    topic: 'spend',
    partition: accountPartition(account),
    key: account,
    value: JSON.stringify({ account, ...body }),
  };
}

function notice(number: number, timestamp: number, body: Body): LogEntry {
  const common = { campaign: 'slow-display', channel: 'display', country: 'DE', currency: 'EUR' };
  const times = { timestamp, receivedAt: timestamp, supplied: true };
  return spend('slow', {
    kind: 'notice',
    messageId: `n${number}`,
    bid: `bid-${number}`,
    ...common,
    ...times,
    ...body,
  });
}

function report(messageId: string, hourMs: number, asOf: number, body: Body): LogEntry {
  const common = {
    campaign: 'slow-display',
    channel: 'display',
    country: '',
    currency: 'EUR',
    period: 'hour',
  };
  const times = { periodStart: hourMs, asOf, receivedAt: asOf, supplied: true };
  return spend('slow', {
    kind: 'report',
    messageId,
    impressions: 9,
    clicks: 1,
    ...common,
    ...times,
    ...body,
  });
}

function slowAccount(): LogEntry[] {
  const notices = Array.from({ length: 12 }, (_, number) =>
    notice(number, START_MS + number * 5 * MINUTE_MS, { notice: 'win', costMicros: 100_000 + number }),
  );
  const end = START_MS + HOUR_MS;
  return [
    ...notices,
    notices[3]!,
    notice(50, end, { notice: 'click', costMicros: 0 }),
    // The report has counted half of the hour's notices; a revision counts all.
    report('r1', START_MS, START_MS + 30 * MINUTE_MS, { costMicros: 700_000 }),
    report('r2', START_MS, end + MINUTE_MS, { costMicros: 1_250_000 }),
    report('r1-again', START_MS, START_MS + 30 * MINUTE_MS, { costMicros: 700_000 }),
    report('r3', START_MS + HOUR_MS, end + 10 * MINUTE_MS, { costMicros: 400_000, country: 'DE' }),
    notice(60, end + 20 * MINUTE_MS, { notice: 'win', costMicros: 90_000 }),
    report('bad', START_MS + MINUTE_MS, end, { costMicros: 1 }),
    notice(61, end + 21 * MINUTE_MS, { notice: 'win', costMicros: 1, campaign: 'unknown' }),
  ];
}

/** Leases are granted from the append time on, so these records are of now. */
function quickAccount(nowMs: number): LogEntry[] {
  const request = (lease: string, amountMicros: number, more: Body = {}): LogEntry =>
    spend('quick', {
      kind: 'leaseRequest',
      lease,
      process: 'serve-1',
      amountMicros,
      timestamp: nowMs,
      ...more,
    });
  const common = { campaign: 'quick-search', channel: 'search', country: 'US', currency: 'USD' };
  const told = (number: number, body: Body): LogEntry =>
    spend('quick', {
      kind: 'notice',
      messageId: `q${number}`,
      ...common,
      timestamp: nowMs,
      receivedAt: nowMs,
      ...body,
    });
  return [
    request('lease-1', 1_000_000),
    request('lease-2', 9_000_000),
    request('lease-2', 9_000_000),
    request('lease-3', 500_000, { voids: ['lease-1'] }),
    told(1, { notice: 'win', bid: 'q1', lease: 'lease-2', costMicros: 300_000 }),
    told(2, { notice: 'loss', bid: 'q2', lease: 'lease-2', costMicros: 200_000 }),
    told(3, { notice: 'loss', bid: 'q1', lease: 'lease-2', costMicros: 300_000 }),
    told(4, { notice: 'win', bid: 'q4', lease: 'lease-1', costMicros: 50_000 }),
    request('lease-4', 0),
  ];
}

/** Two rounds of everybody's journeys with a week between, in which timers fire, and a last hour that stays open. */
export function smallFeed(nowMs: number): LogEntry[] {
  const weekLaterMs = START_MS + 7 * DAY_MS;
  return [
    ...journeys(START_MS, 0),
    ...oddities(START_MS + 40 * MINUTE_MS),
    ...clocks('events', weekLaterMs - DAY_MS),
    ...journeys(weekLaterMs, 3),
    ...slowAccount(),
    ...quickAccount(nowMs),
  ];
}

/** A lease of the quick account, and the bids from it. */
export const QUICK_LEASE_MS = 2_000;

/**
 * Frees what the quick account's leases still hold, and asks for one that stays: to be sent more than that
 * behind the rest.
 */
export function laterLeases(nowMs: number): LogEntry[] {
  const partition = accountPartition('quick');
  const clock = clocks('spend', nowMs + 5 * MINUTE_MS).filter((each) => each.partition === partition);
  const last = {
    kind: 'leaseRequest',
    lease: 'lease-5',
    process: 'serve-2',
    amountMicros: 400_000,
    timestamp: nowMs,
  };
  return [...clock, spend('quick', last)];
}

/** A receiver has these triggers. */
export function receipts(triggers: readonly { readonly id: string; readonly key: string }[]): LogEntry[] {
  return triggers.map(({ id, key }) => {
    const body = {
      kind: 'receipt',
      messageId: `receipt-${id}`,
      key,
      trigger: id,
      timestamp: START_MS + 8 * DAY_MS,
    };
    return { topic: 'events', partition: buyerPartition(key), key, value: JSON.stringify(body) };
  });
}
