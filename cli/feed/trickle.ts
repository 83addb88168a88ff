// A trickle of live events after the feed, so that rolling numbers move: the same people go on living, faster than
// in life, and a campaign of theirs goes on bidding for them, as an exchange would have it. Times are those of now.
import { setTimeout as wait } from 'node:timers/promises';
import type { FeedMessage } from '../../simulate/feed.ts';
import { campaigns } from '../../simulate/marketplace/campaigns.ts';
import { createMarketplace } from '../../simulate/marketplace/marketplace.ts';
import { FeedError, request, type Target } from './post.ts';
import { DEFAULT_SEED, SIMULATED_BUYERS } from './sources.ts';

const KEY_REFUSED = [401, 403];
const TICK_MS = 250;
const BID_EVERY_TICKS = 4;
/** Of a bid, in every second auction: the next best had bid so much. In the others, somebody bid more. */
const CLEARED_SHARE = 0.8;

export interface TrickleRequest {
  readonly url: string;
  readonly secretKey: string;
  readonly ratePerSecond: number;
  /** Ends the trickle. */
  readonly signal: AbortSignal;
  readonly seed?: string;
  readonly buyers?: number;
}

/** As it would be sent now: the delay on its way is kept, `receivedAt` is left to collect. */
function asOfNow({ message, arrivalMs }: FeedMessage, nowMs: number): Record<string, unknown> {
  const { receivedAt: _receivedAt, timestamp, ...rest } = message;
  const happenedMs = Date.parse(String(timestamp));
  if (Number.isNaN(happenedMs)) return { ...rest, timestamp };
  return { ...rest, timestamp: new Date(nowMs - (arrivalMs - happenedMs)).toISOString() };
}

interface Bid {
  readonly bidMicros?: number;
  readonly notices?: { readonly win: string; readonly loss: string } | null;
}

/** One auction: asks what to bid, and tells how it ended. Where nothing may be spent, nothing is. */
async function auction(target: Target, turn: number, visitor: Record<string, unknown>): Promise<void> {
  const campaign = campaigns.find((each) => each.notices)!;
  const country = campaign.countries[turn % campaign.countries.length];
  const { userId, anonymousId } = visitor;
  const buyerKey = userId === undefined ? anonymousId && `a:${anonymousId}` : `u:${userId}`;
  const { body } = await request(
    target,
    '/v1/bids',
    JSON.stringify({ campaignId: campaign.id, country, buyerKey }),
  );
  const { bidMicros = 0, notices } = body as Bid;
  if (bidMicros === 0 || !notices) return;
  const price = ((bidMicros * CLEARED_SHARE) / 1e6).toFixed(6);
  const told = turn % 2 === 0 ? `${notices.win}?price=${price}` : notices.loss;
  const { pathname, search } = new URL(told, target.url);
  await request(target, pathname + search);
}

async function send(target: Target, batch: readonly Record<string, unknown>[]): Promise<void> {
  const { status, body } = await request(target, '/v1/batch', JSON.stringify({ batch }));
  if (KEY_REFUSED.includes(status))
    throw new FeedError('FEED_REFUSED', `serve refuses the key: ${String(body.detail ?? status)}`);
}

/** Runs until the signal. @throws FeedError if `serve` stays away, or refuses the key */
export async function runTrickle(given: TrickleRequest): Promise<void> {
  const { url, secretKey, ratePerSecond, signal, seed = DEFAULT_SEED, buyers = SIMULATED_BUYERS } = given;
  const target: Target = { url, key: secretKey, signal, onRetry: () => {} };
  const startMs = Date.now();
  const idPrefix = `${seed}-live-${startMs.toString(36)}`;
  const endMs = Number.POSITIVE_INFINITY;
  const messages = createMarketplace({ seed, startMs, endMs, buyers, idPrefix }).messages();
  let sent = 0;
  try {
    for (let tick = 1; !signal.aborted; tick += 1) {
      const nowMs = Date.now();
      const due = Math.floor(((nowMs - startMs) / 1_000) * ratePerSecond) - sent;
      const batch: Record<string, unknown>[] = [];
      for (let left = due; left > 0; left -= 1) {
        const next = messages.next();
        if (next.done) break;
        batch.push(asOfNow(next.value, nowMs));
      }
      sent += Math.max(0, due);
      if (batch.length > 0) await send(target, batch);
      if (tick % BID_EVERY_TICKS === 0) await auction(target, tick / BID_EVERY_TICKS, batch[0] ?? {});
      await wait(TICK_MS, undefined, { signal });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
