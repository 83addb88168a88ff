// What one request of a lane carries: messages for /v1/batch, reports for /v1/spend or notices for /v1/notices, exposures for /v1/exposures.
import type { FeedExposure, FeedItem, FeedSpend } from '../../simulate/feed.ts';

export type BatchRoute = '/v1/batch' | '/v1/spend' | '/v1/notices' | '/v1/exposures';

export interface Batch {
  readonly route: BatchRoute;
  readonly items: readonly FeedItem[];
  readonly body: string;
}

/** A request holds at most so many items and about so many bytes. */
const ITEMS_MAX = 500;
const BYTES_MAX = 500_000;

const containers: Readonly<Record<BatchRoute, string>> = {
  '/v1/batch': 'batch',
  '/v1/spend': 'rows',
  '/v1/notices': 'notices',
  '/v1/exposures': 'exposures',
};

function routeOf(item: FeedItem): BatchRoute {
  if (item.to === 'events') return '/v1/batch';
  if (item.to === 'exposures') return '/v1/exposures';
  return item.row.kind === 'report' ? '/v1/spend' : '/v1/notices';
}

/** A row as the API wants it; `serve` finds the account by the campaign. */
function spendBody({ row, arrivalMs }: FeedSpend): Record<string, unknown> {
  const { campaign, channel, country, costMicros, currency } = row;
  const receivedAt = new Date(arrivalMs).toISOString();
  const common = { campaign, channel, country, costMicros, currency, receivedAt };
  if (row.kind === 'notice') {
    const { notice, bid, timeMs } = row;
    return { ...common, notice, bid, timestamp: new Date(timeMs).toISOString() };
  }
  const { period, periodStartMs, impressions, clicks, asOfMs } = row;
  const start = new Date(periodStartMs).toISOString();
  return { ...common, period, start, impressions, clicks, asOf: new Date(asOfMs).toISOString() };
}

function exposureBody({ key, row }: FeedExposure): Record<string, unknown> {
  const { messageId, experiment, variant, timeMs } = row;
  const who = key.startsWith('u:') ? { userId: key.slice(2) } : { anonymousId: key.slice(2) };
  return { messageId, ...who, experiment, variant, timestamp: new Date(timeMs).toISOString() };
}

function bodyOf(item: FeedItem): string {
  if (item.to === 'events') return JSON.stringify(item.message);
  return JSON.stringify(item.to === 'exposures' ? exposureBody(item) : spendBody(item));
}

/** The next request from the front of `waiting`, which is not empty: one route, in order. */
export function nextBatch(waiting: readonly FeedItem[]): Batch {
  const route = routeOf(waiting[0]!);
  const bodies: string[] = [];
  let bytes = 0;
  for (const item of waiting) {
    if (bodies.length === ITEMS_MAX || routeOf(item) !== route) break;
    const body = bodyOf(item);
    bytes += body.length;
    if (bodies.length > 0 && bytes > BYTES_MAX) break;
    bodies.push(body);
  }
  return {
    route,
    items: waiting.slice(0, bodies.length),
    body: `{"${containers[route]}":[${bodies.join(',')}]}`,
  };
}

/** A lane holds at most so many items: four requests. */
export const LANE_ITEMS_MAX = 4 * ITEMS_MAX;
export const BATCH_ITEMS_MAX = ITEMS_MAX;
