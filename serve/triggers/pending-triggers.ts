// Reads the triggers that wait to be delivered, from those partitions only whose owner is known to be at the log's
// end and alive: an old copy of Redis, or one that is being replayed, must not write to people twice.
import { setImmediate as others } from 'node:timers/promises';
import type { WaitingTrigger } from '../../domain/delivery.ts';
import { topicPartitions } from '../../platform/namespace.ts';
import { type WithholdingReason, withholdingReason } from '../../platform/trigger-offer.ts';
import { fromRedis, type StateReader } from '../state.ts';

/** Triggers that one partition gives in one trip; between trips others are answered. */
const PAGE = 200;

export interface WithheldPartition {
  readonly partition: number;
  readonly reason: WithholdingReason;
}

export interface Offer {
  readonly triggers: readonly WaitingTrigger[];
  readonly withheld: readonly WithheldPartition[];
}

/** Looks on until the signal ends it. */
type FurtherScan = (signal?: AbortSignal) => Promise<void>;

export interface OfferRequest {
  readonly partitions: readonly number[];
  readonly limit: number;
  nowMs(): number;
  /** Called where the first page of each partition is not enough: a partition may have a million that nobody asked for. */
  further(scan: FurtherScan): Promise<void>;
  accepts(trigger: WaitingTrigger): boolean;
}

interface PartitionScan {
  readonly partition: number;
  cursor: string;
  done: boolean;
  withheld: WithholdingReason | null;
  found: Map<string, WaitingTrigger>;
}

export const allPartitions: readonly number[] = Array.from(
  { length: topicPartitions.events },
  (_, index) => index,
);

type Page = [head: [string | null, string | null], triggers: [cursor: string, entries: string[]]];

/** One page of one partition; the stamp comes in the same trip and is judged after it. */
function readPage(reader: StateReader, scan: PartitionScan): Promise<Page> {
  const keys = reader.keysOf('events', scan.partition);
  const reading = Promise.all([
    reader.redis.hmget(keys.head, 'ready', 'stamp'),
    reader.redis.hscan(keys.triggers, scan.cursor, 'COUNT', PAGE),
  ]);
  return fromRedis(reading as Promise<Page>);
}

function takePage(scan: PartitionScan, [[ready, stamp], [cursor, entries]]: Page, request: OfferRequest) {
  scan.withheld = withholdingReason(ready, stamp, request.nowMs());
  scan.cursor = cursor;
  scan.done = scan.withheld !== null || cursor === '0';
  if (scan.withheld !== null) {
    scan.found.clear();
    return;
  }
  for (let index = 1; index < entries.length; index += 2) {
    const trigger = JSON.parse(entries[index]!) as WaitingTrigger;
    if (request.accepts(trigger)) scan.found.set(trigger.id, trigger);
  }
}

/** A page of each partition that has more, all in one trip; what they hold is parsed page by page, and others are answered between. */
async function nextPages(
  reader: StateReader,
  scans: readonly PartitionScan[],
  request: OfferRequest,
  signal?: AbortSignal,
): Promise<void> {
  signal?.throwIfAborted();
  const unfinished = scans.filter(({ done }) => !done);
  const pages = await Promise.all(unfinished.map((scan) => readPage(reader, scan)));
  for (const [index, scan] of unfinished.entries()) {
    signal?.throwIfAborted();
    takePage(scan, pages[index]!, request);
    await others();
  }
}

/**
 * Up to `limit` triggers, the oldest first among those looked at: one trip unless many are filtered out. It looks on until it has
 * `limit` or has seen all, so that nothing which fits is hidden behind others; the stream keeps at most `maxPendingTriggers` in a partition.
 */
export async function offerTriggers(reader: StateReader, request: OfferRequest): Promise<Offer> {
  const scans = request.partitions.map(
    (partition): PartitionScan => ({
      partition,
      cursor: '0',
      done: false,
      withheld: null,
      found: new Map(),
    }),
  );
  const isOver = (): boolean =>
    scans.every(({ done }) => done) || scans.reduce((sum, { found }) => sum + found.size, 0) >= request.limit;
  await nextPages(reader, scans, request);
  if (!isOver())
    await request.further(async (signal) => {
      while (!isOver()) await nextPages(reader, scans, request, signal);
    });
  const triggers = scans
    .flatMap((scan) => [...scan.found.values()])
    .sort((a, b) => a.timeMs - b.timeMs || (a.id < b.id ? -1 : 1))
    .slice(0, request.limit);
  const withheld = scans.flatMap(({ partition, withheld: reason }) =>
    reason === null ? [] : [{ partition, reason }],
  );
  return { triggers, withheld };
}
