// The log that the stream benchmark reads: buyers with 20 events each, about 335 bytes an event, some of whom come as
// visitors first, and the definitions that make the engine work for them (10 funnels, 3 scores).
import type { Outgoing } from '../../platform/kafka.ts';
import { buyerPartition } from '../../platform/keys.ts';

const DAY_MS = 86_400_000;
/** Out of 200 events. Deep behaviours are rare, as in real shops: 2 % of the REES46 events of October 2019 are. */
const sites: readonly (readonly [share: number, kind: string, event: string | undefined])[] = [
  [40, 'page', undefined],
  [26, 'track', 'Products Searched'],
  [122, 'track', 'Product Viewed'],
  [6, 'track', 'Product List Viewed'],
  [2, 'track', 'Supplier Contacted'],
  [2, 'track', 'Inquiry Sent'],
  [2, 'track', 'Order Completed'],
];
const siteEvents = sites.flatMap(([share, kind, event]) =>
  Array.from({ length: share }, () => [kind, event] as const),
);
const countries = ['DE', 'US', 'CN', 'BR', 'IN', 'FR', 'NG', 'MX', 'VN', 'PL', 'TR', 'ZA'];
const industries = ['machinery', 'electronics', 'textiles', 'chemicals', 'packaging'];
const channels = ['search', 'social', 'email', 'display', 'direct'];

/** mulberry32: small, seeded, good enough for a workload. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export interface Workload {
  readonly events: number;
  readonly eventsPerBuyer: number;
  /** Event time of the last event. */
  readonly endMs: number;
  readonly spanMs: number;
  readonly seed: number;
}

export const defaultSpanMs = DAY_MS / 2;

/** One buyer of so many comes as a visitor and says who it is halfway: its histories become one. */
const VISITOR_EVERY = 5;

/** Messages in order of event time, a few of them late within ten minutes. */
export function* workloadMessages(topic: string, workload: Workload): Generator<Outgoing> {
  const random = seededRandom(workload.seed);
  const buyers = Math.ceil(workload.events / workload.eventsPerBuyer);
  const identifiedAt = Math.max(1, Math.floor(workload.eventsPerBuyer / 2));
  const seen = new Uint32Array(buyers);
  const pick = <Item>(list: readonly Item[]): Item => list[Math.floor(random() * list.length)]!;
  for (let index = 0; index < workload.events; index += 1) {
    const buyer = Math.floor(random() * buyers);
    const jitterMs = random() < 0.05 ? Math.floor(random() * 500_000) : 0;
    const timestamp =
      Math.floor(workload.endMs - workload.spanMs + (index / workload.events) * workload.spanMs) - jitterMs;
    const earlier = seen[buyer]!;
    seen[buyer] = earlier + 1;
    const isVisitor = buyer % VISITOR_EVERY === 0;
    const identifies = isVisitor && earlier === identifiedAt;
    const [kind, event] = identifies ? (['identify', undefined] as const) : pick(siteEvents);
    const userId = `buyer-${buyer}`;
    const anonymousId = `visitor-${buyer}`;
    const isUnknown = isVisitor && earlier < identifiedAt;
    const record = {
      kind,
      messageId: `bench-${workload.seed}-${index}-5c3d1be6`,
      ...(isUnknown ? {} : { userId }),
      ...(isUnknown || identifies ? { anonymousId } : {}),
      ...(event === undefined ? {} : { event }),
      [identifies ? 'traits' : 'properties']: {
        category: `category-${buyer % 40}`,
        country: countries[buyer % countries.length],
        industry: industries[buyer % industries.length],
        channel: channels[buyer % channels.length],
        quantity: Math.floor(random() * 900),
      },
      context: { library: { name: 'bench', version: '1.0.0' } },
      timestamp,
      receivedAt: timestamp + 800,
      supplied: true,
      source: 'bench',
    };
    const key = isUnknown ? `a:${anonymousId}` : `u:${userId}`;
    yield { topic, partition: buyerPartition(key), key, value: JSON.stringify(record) };
  }
}

/** Documents by `<type>/<id>`, beside those that the project ships. */
export function benchDefinitions(): Record<string, unknown> {
  const steps = ['visit', 'search', 'view', 'contact', 'inquiry', 'order'];
  const documents: Record<string, unknown> = {};
  for (let index = 0; index < 10; index += 1) {
    const length = 2 + (index % 5);
    documents[`funnel/bench-${index}`] = {
      name: `bench ${index}`,
      steps: steps.slice(index % 2, (index % 2) + length),
      windowMs: (1 + (index % 3)) * DAY_MS,
      mode: index === 9 ? 'strict_order' : 'default',
    };
  }
  for (const halfLifeDays of [1, 7, 30]) {
    documents[`score/bench-${halfLifeDays}`] = {
      name: `bench ${halfLifeDays}`,
      horizonMs: 7 * DAY_MS,
      halfLifeMs: halfLifeDays * DAY_MS,
      intercept: -3,
      engagement: { view: 0.4, contact: 1, inquiry: 1.4 },
    };
  }
  return documents;
}
