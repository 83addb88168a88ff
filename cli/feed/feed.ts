// Sends a source to `serve` in lanes, at full speed or paced, and counts what came of it.
import { appendFile } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { accountPartition, buyerPartition } from '../../platform/keys.ts';
import type { FeedItem } from '../../simulate/feed.ts';
import type { Batch } from './batch.ts';
import { createFeedLane, type FeedLane } from './lane.ts';
import { type Answer, FeedError, request, type Target } from './post.ts';
import { countOne, type FeedReport, impliedBy } from './report.ts';
import type { Source } from './sources.ts';

/** `max`, or so many times faster than the items arrived. */
export type Speed = 'max' | number;

export interface FeedProgress {
  readonly sent: number;
  readonly rejected: number;
  readonly retries: number;
  /** Of the source, in [0, 1]. */
  readonly share: number;
  readonly elapsedMs: number;
}

export interface FeedOptions {
  readonly source: Source;
  readonly target: Target;
  readonly speed: Speed;
  /** Resolves when the engine is not too far behind for the next item. */
  readonly untilRoom: () => Promise<void>;
  /** Counted into as the feed goes; lanes that it has counted already are skipped so far. */
  readonly report: FeedReport;
  /** Message ids are added to this file as they are acknowledged. */
  readonly acknowledgedFile?: string;
  readonly onProgress: (progress: FeedProgress) => void;
  /** Called after every request that was answered. */
  readonly onAnswer: () => void;
}

interface Rejected {
  readonly index: number;
  readonly reason: string;
}

/** Exposures are not judged and move no clock: a lane of their own keeps the requests of both full. */
function laneOf(item: FeedItem): string {
  return item.to === 'spend'
    ? `spend-${accountPartition(item.account)}`
    : `${item.to}-${buyerPartition(item.key)}`;
}

/** The rejected items of an answer; a 400 that lists none means that its only item was. */
function rejectedOf({ status, body }: Answer, batch: Batch): readonly Rejected[] {
  if (Array.isArray(body.rejected)) return body.rejected as Rejected[];
  if (status === 200) return [];
  if (status === 400 && batch.items.length === 1)
    return [{ index: 0, reason: String(body.code ?? 'invalid') }];
  throw new FeedError(
    'FEED_REFUSED',
    `${batch.route} answered ${status}: ${String(body.detail ?? body.title ?? '')}`,
  );
}

function messageIdOf(item: FeedItem): string | null {
  if (item.to === 'events') return item.message.messageId as string;
  if (item.to === 'exposures') return item.row.messageId;
  // serve gives a report an id of its own, made of its figures
  return item.row.kind === 'notice' ? `${item.row.notice}:${item.row.bid}` : null;
}

/** Lateness as `definitions/settings` ships it. */
const SHIPPED_LATENESS_MS = 600_000;

function countEvent(report: FeedReport, item: Extract<FeedItem, { to: 'events' }>): void {
  countOne(report.events.byKind, String(item.message.type));
  const lane = laneOf(item);
  const timeMs = Date.parse(String(item.message.timestamp));
  const latestMs = report.latestMs[lane] ?? 0;
  if (timeMs > latestMs) report.latestMs[lane] = timeMs;
  if (timeMs < latestMs - SHIPPED_LATENESS_MS && item.planted !== 'duplicate') report.events.overtaken += 1;
}

/** Counts one answered batch; returns the ids that are now in the log. */
function countAnswer(report: FeedReport, batch: Batch, rejected: readonly Rejected[]): string[] {
  const reasons = new Map(rejected.map(({ index, reason }) => [index, reason]));
  const acknowledged: string[] = [];
  batch.items.forEach((item, index) => {
    const counts = report[item.to];
    counts.sent += 1;
    if (item.to === 'events' && item.planted !== undefined) report.planted[item.planted] += 1;
    const reason = reasons.get(index);
    if (reason !== undefined) {
      counts.rejected += 1;
      countOne(report.rejectedByReason, reason);
      return;
    }
    counts.accepted += 1;
    if (item.to === 'events') countEvent(report, item);
    else if (item.to === 'spend') report.spend[item.row.kind === 'report' ? 'reports' : 'notices'] += 1;
    const id = messageIdOf(item);
    if (id !== null) acknowledged.push(id);
  });
  report.atLeast = impliedBy(report);
  return acknowledged;
}

/** Sleeps until it is the item's turn. */
function createPace(speed: Speed, signal: AbortSignal): (item: FeedItem) => Promise<void> {
  let firstMs: number | undefined;
  const startedAt = performance.now();
  return async ({ arrivalMs }) => {
    if (speed === 'max') return;
    firstMs ??= arrivalMs;
    const aheadMs = (arrivalMs - firstMs) / speed - (performance.now() - startedAt);
    if (aheadMs > 1) await wait(aheadMs, undefined, { signal });
  };
}

/**
 * Resolves when all of the source is acknowledged; `report` has the counts then.
 * @throws FeedError, or what the source fails with
 */
export async function feed(options: FeedOptions): Promise<void> {
  const { source, target, speed, report, acknowledgedFile } = options;
  const lanes = new Map<string, FeedLane>();
  const left = new Map(Object.entries(report.lanes));
  const startedAt = performance.now();
  let share = 0;

  const sender = (name: string) => async (batch: Batch) => {
    const answer = await request(target, batch.route, batch.body);
    const acknowledged = countAnswer(report, batch, rejectedOf(answer, batch));
    report.lanes[name] = (report.lanes[name] ?? 0) + batch.items.length;
    if (acknowledgedFile !== undefined && acknowledged.length > 0) {
      await appendFile(acknowledgedFile, `${acknowledged.join('\n')}\n`);
    }
    const { events, spend, exposures, retries } = report;
    const elapsedMs = performance.now() - startedAt;
    const rejected = events.rejected + spend.rejected + exposures.rejected;
    const sent = events.sent + spend.sent + exposures.sent;
    options.onProgress({ sent, rejected, retries, share, elapsedMs });
    options.onAnswer();
  };
  const laneFor = (name: string): FeedLane => {
    const known = lanes.get(name);
    if (known !== undefined) return known;
    const lane = createFeedLane({ send: sender(name), fill: speed === 'max' });
    lanes.set(name, lane);
    return lane;
  };

  const pace = createPace(speed, target.signal);
  for await (const item of source.items) {
    target.signal.throwIfAborted();
    const name = laneOf(item);
    const skip = left.get(name) ?? 0;
    if (skip > 0) {
      left.set(name, skip - 1);
      continue;
    }
    await pace(item);
    await options.untilRoom();
    await laneFor(name).push(item);
    share = source.shareOf(item);
  }
  share = 1;
  const ends = await Promise.allSettled([...lanes.values()].map((lane) => lane.end()));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}
