// The leases of one account: what is granted, settled, given back and free again.
import type { NoticeRecord } from '../../domain/spend-record.ts';

const REFUSALS_KEPT_MAX = 64;
export const NOTICES_KEPT_MAX = 50_000;

export interface HeldLease {
  readonly id: string;
  readonly process: string;
  readonly dayMs: number;
  readonly amountMicros: number;
  readonly grantedMs: number;
  readonly untilMs: number;
  readonly horizonMs: number;
  settledMicros: number;
  freedMicros: number;
  /** Whether its process has said what it will never bid of it: it is heard once. */
  isReturned: boolean;
  /** `kind|bid` of the notices taken. */
  readonly seen: Set<string>;
  /** What each lost bid gave back. */
  readonly lost: Map<string, number>;
}

/** What happened beyond the guarantee. */
export interface Beyond {
  lateWins: number;
  lateWinMicros: number;
  contradicted: number;
  contradictedMicros: number;
  leaseOverspendMicros: number;
  closedRecords: number;
  closedRecordMicros: number;
  unremembered: number;
}

export function outstandingOf({ amountMicros, settledMicros, freedMicros }: HeldLease): number {
  return Math.max(0, amountMicros - settledMicros - freedMicros);
}

export function outstandingMicros(leases: readonly HeldLease[]): number {
  return leases.reduce((sum, lease) => sum + outstandingOf(lease), 0);
}

/** Remembers a refused request; only the latest are kept. */
export function remembersRefusal(refusals: string[], lease: string): void {
  refusals.push(lease);
  if (refusals.length > REFUSALS_KEPT_MAX) refusals.shift();
}

/** A loss frees what its bid had set aside, unless the bid is known to have won. */
export function takeLoss(
  lease: HeldLease,
  { bid, costMicros, heldMicros = costMicros }: NoticeRecord,
  beyond: Beyond,
): void {
  if (lease.seen.has(`win|${bid}`)) {
    beyond.contradicted += 1;
    return;
  }
  const freed = Math.min(heldMicros, outstandingOf(lease));
  if (freed === 0) return;
  lease.freedMicros += freed;
  lease.lost.set(bid, freed);
}

/** A win, an impression or a click takes its cost from the lease; a win gives back what its bid set aside beyond that. */
export function takeCost(
  lease: HeldLease,
  { notice, bid, costMicros, heldMicros = costMicros }: NoticeRecord,
  beyond: Beyond,
): void {
  const contradicts = (notice === 'win' || costMicros > 0) && lease.seen.has(`loss|${bid}`);
  if (contradicts) {
    beyond.contradicted += 1;
    beyond.contradictedMicros += costMicros;
    lease.freedMicros -= lease.lost.get(bid) ?? 0;
    lease.lost.delete(bid);
  }
  beyond.leaseOverspendMicros += Math.max(0, costMicros - outstandingOf(lease));
  lease.settledMicros += costMicros;
  const unspent = notice === 'win' ? Math.max(0, heldMicros - costMicros) : 0;
  lease.freedMicros += Math.min(unspent, outstandingOf(lease));
}
