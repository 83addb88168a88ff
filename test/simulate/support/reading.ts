// One reading of a set: what it came to, counted item by item without a look into the reader.
import { takeMessage } from '../../../serve/collect/message.ts';
import type { FeedItem } from '../../../simulate/feed.ts';
import type { Reader } from '../../../simulate/readers/reader.ts';

/** What one reading came to. */
export interface Seen {
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
}

function count(counts: Map<string, number>, name: unknown): void {
  if (typeof name === 'string') counts.set(name, (counts.get(name) ?? 0) + 1);
}

/** As collect judges it, with the secret key that a replay has. */
export function expectTaken(item: FeedItem): void {
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

export async function readAll(
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
  }
  return seen;
}
