// A seeded log of everything that a partition meets: behaviours in and out of order, ties, late ones, duplicates,
// garbage, exposures, identifies, spend. The same options give the same records.
import { accountPartition, buyerPartition } from '../../../platform/keys.ts';

/** One record to produce; `topic` is the name without its namespace. */
export interface LogEntry {
  readonly topic: 'events' | 'spend';
  readonly partition: number;
  readonly key: string | null;
  readonly value: string;
}

export interface MixedLogOptions {
  readonly seed: number;
  readonly startMs: number;
  readonly days: number;
  readonly records: number;
  /** Buyer keys, `u:…` or `a:…`. */
  readonly buyers: readonly string[];
  /** Goes in front of every message id. */
  readonly prefix: string;
  /** Users identify as visitors of `buyers`, and say aliases. */
  readonly linked?: boolean;
  /** Campaigns by account that spend is reported for; none when left out. */
  readonly campaigns?: readonly { account: string; campaign: string; currency: string }[];
}

/** A small random source (mulberry32): numbers in [0, 1). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Buyer keys that belong to one partition. */
export function buyersOf(partition: number, count: number, prefix: string): string[] {
  const keys: string[] = [];
  for (let number = 0; keys.length < count; number += 1) {
    const key = `${number % 5 === 4 ? 'a' : 'u'}:${prefix}${number}`;
    if (buyerPartition(key) === partition) keys.push(key);
  }
  return keys;
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const events = [
  'Product Viewed',
  'Products Searched',
  'Product Viewed',
  'Supplier Contacted',
  'Inquiry Sent',
  'Order Completed',
  'Order Fulfilled',
  'Something Else',
];
const countries = ['DE', 'US', 'CN', 'BR', 'FR', 'xx1'];
const industries = ['machinery', 'textiles', 'food', 'chemicals'];
const channels = ['search', 'social', 'email', 'dis|play'];

type Random = () => number;
type Body = Record<string, unknown>;

function pick<Value>(random: Random, values: readonly Value[]): Value {
  return values[Math.floor(random() * values.length)]!;
}

function eventTime(random: Random, nowMs: number): number {
  const chance = random();
  if (chance < 0.04) return nowMs - Math.floor((11 + random() * 60) * MINUTE_MS);
  if (chance < 0.3) return nowMs - Math.floor(random() * 9 * MINUTE_MS);
  // Many at the same instant.
  if (chance < 0.6) return Math.floor(nowMs / (10 * MINUTE_MS)) * 10 * MINUTE_MS;
  return nowMs;
}

function propertiesOf(random: Random): Body {
  return {
    category: `c${Math.floor(random() * 3)}`,
    ...(random() < 0.3 ? { country: pick(random, countries) } : {}),
    ...(random() < 0.2 ? { industry: pick(random, industries) } : {}),
    ...(random() < 0.3 ? { channel: pick(random, channels) } : {}),
    ...(random() < 0.5 ? { message: 'm'.repeat(Math.floor(random() * 500)) } : {}),
    ...(random() < 0.5 ? { quantity: Math.floor(random() * 2_000) } : {}),
    ...(random() < 0.3 ? { specification: true } : {}),
    ...(random() < 0.05 ? { note: 'half of a pair: \ud83d, 名前' } : {}),
  };
}

/** Who a user says to have been, among visitors that several may claim. */
function claimOf(random: Random, { buyers, linked }: MixedLogOptions): Body {
  const visitors = buyers.filter((key) => key.startsWith('a:'));
  if (linked !== true || visitors.length === 0) return {};
  return { anonymousId: pick(random, visitors).slice(2) };
}

function segmentBody(
  random: Random,
  options: MixedLogOptions,
  key: string,
  messageId: string,
  nowMs: number,
): Body {
  const who = key.startsWith('u:') ? { userId: key.slice(2) } : { anonymousId: key.slice(2) };
  const timestamp = eventTime(random, nowMs);
  const common = { messageId, ...who, timestamp, receivedAt: nowMs + 1_000, supplied: true };
  const chance = random();
  if (chance < 0.03) {
    const traits = { country: pick(random, countries), industry: pick(random, industries), level: 'gold' };
    return { kind: 'identify', ...common, ...(key.startsWith('u:') ? claimOf(random, options) : {}), traits };
  }
  if (options.linked === true && chance < 0.08 && key.startsWith('u:')) {
    return { kind: random() < 0.7 ? 'identify' : 'alias', ...common, ...claimOf(random, options) };
  }
  if (chance < 0.05) return { kind: 'group', ...common, groupId: `g${Math.floor(random() * 5)}` };
  if (chance < 0.35) return { kind: 'page', ...common, properties: propertiesOf(random) };
  return { kind: 'track', event: pick(random, events), ...common, properties: propertiesOf(random) };
}

/** What cannot be taken: not JSON, not of the schema, of another partition, from the future, without a buyer. */
function unusable(
  random: Random,
  options: MixedLogOptions,
  key: string,
  messageId: string,
  nowMs: number,
): LogEntry {
  const partition = buyerPartition(key);
  const body = segmentBody(random, options, key, messageId, nowMs);
  const entry = (value: unknown, at = partition): LogEntry => ({
    topic: 'events',
    partition: at,
    key,
    value: typeof value === 'string' ? value : JSON.stringify(value),
  });
  switch (Math.floor(random() * 5)) {
    case 0:
      return entry('{"kind":"track", garbage');
    case 1:
      return entry({ ...body, timestamp: 'yesterday' });
    case 2:
      return entry(body, (partition + 1) % 12);
    case 3:
      return entry({ ...body, timestamp: nowMs + 3_600_000 });
    default:
      return entry({ ...body, userId: undefined, anonymousId: undefined });
  }
}

function spendEntry(random: Random, options: MixedLogOptions, messageId: string, nowMs: number): LogEntry {
  const { account, campaign, currency } = pick(random, options.campaigns!);
  const common = { messageId, account, campaign, currency, receivedAt: nowMs + 1_000, supplied: true };
  const costMicros = Math.floor(random() * 2_000_000);
  const cell = { channel: 'display', country: pick(random, ['', 'DE', 'FR']) };
  const hourMs = Math.floor((nowMs - random() * 5 * 3_600_000) / 3_600_000) * 3_600_000;
  const body =
    random() < 0.5
      ? {
          kind: 'report',
          ...common,
          ...cell,
          period: 'hour',
          periodStart: hourMs,
          asOf: nowMs,
          impressions: Math.floor(random() * 1_000),
          clicks: Math.floor(random() * 50),
          costMicros,
        }
      : {
          kind: 'notice',
          ...common,
          ...cell,
          notice: pick(random, ['impression', 'click', 'win', 'loss']),
          bid: `bid-${Math.floor(random() * 200)}`,
          costMicros,
          timestamp: nowMs,
        };
  const value = random() < 0.03 ? 'no spend' : JSON.stringify(body);
  return { topic: 'spend', partition: accountPartition(account), key: account, value };
}

/** Records in the order in which they are to be produced. */
export function mixedLog(options: MixedLogOptions): LogEntry[] {
  const random = seeded(options.seed);
  const entries: LogEntry[] = [];
  const sent: LogEntry[] = [];
  for (let number = 0; number < options.records; number += 1) {
    const nowMs = options.startMs + Math.floor((number * options.days * DAY_MS) / options.records);
    const key = pick(random, options.buyers);
    const messageId = `${options.prefix}-${number}`;
    const partition = buyerPartition(key);
    const chance = random();
    if (chance < 0.03) entries.push(unusable(random, options, key, messageId, nowMs));
    else if (chance < 0.08 && sent.length > 0)
      entries.push(sent[sent.length - 1 - Math.floor(random() * Math.min(20, sent.length))]!);
    else if (chance < 0.11) {
      const variant = pick(random, ['short', 'long']);
      const at = { experiment: 'inquiry-form', revision: 1, variant, reason: 'SPLIT' };
      const body = { kind: 'exposure', messageId, key, ...at, timestamp: nowMs };
      entries.push({ topic: 'events', partition, key, value: JSON.stringify(body) });
    } else if (chance < 0.2 && options.campaigns !== undefined) {
      entries.push(spendEntry(random, options, messageId, nowMs));
    } else {
      const value = JSON.stringify(segmentBody(random, options, key, messageId, nowMs));
      const entry: LogEntry = { topic: 'events', partition, key, value };
      sent.push(entry);
      entries.push(entry);
    }
  }
  return entries;
}
