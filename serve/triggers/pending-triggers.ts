// Reads the triggers that wait to be delivered, from those partitions only whose owner is known to be at the log's
// end and alive: an old copy of Redis, or one that is being replayed, must not write to people twice.
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

export interface OfferRequest {
  readonly partitions: readonly number[];
  readonly limit: number;
  nowMs(): number;
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

/** One page of one partition; the stamp comes in the same trip and is judged after it. */
async function scanPage(reader: StateReader, scan: PartitionScan, request: OfferRequest): Promise<void> {
  const keys = reader.keysOf('events', scan.partition);
  const [[ready, stamp], [cursor, entries]] = await fromRedis(
    Promise.all([
      reader.redis.hmget(keys.head, 'ready', 'stamp'),
      reader.redis.hscan(keys.triggers, scan.cursor, 'COUNT', PAGE),
    ]),
  );
  scan.withheld = withholdingReason(ready ?? null, stamp ?? null, request.nowMs());
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
  const foundCount = (): number => scans.reduce((sum, scan) => sum + scan.found.size, 0);
  do {
    await Promise.all(scans.filter((scan) => !scan.done).map((scan) => scanPage(reader, scan, request)));
  } while (foundCount() < request.limit && scans.some((scan) => !scan.done));
  const triggers = scans
    .flatMap((scan) => [...scan.found.values()])
    .sort((a, b) => a.timeMs - b.timeMs || (a.id < b.id ? -1 : 1))
    .slice(0, request.limit);
  const withheld = scans.flatMap(({ partition, withheld: reason }) =>
    reason === null ? [] : [{ partition, reason }],
  );
  return { triggers, withheld };
}
