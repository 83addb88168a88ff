// Leases as a process holds them: money that the stream has granted, spent in memory, never beyond. Pure: the keeper
// asks for them and says what time it is.

import { HORIZON_MARGIN_MS, type Lease } from '../../domain/account.ts';
import type { AccountDefinition } from '../../domain/definition.ts';

/** A lease that this process asked for and was granted. */
export interface HeldLease {
  readonly id: string;
  readonly amountMicros: number;
  /** On the process's own monotonic clock, counted from before the request was sent. */
  readonly deadlineMs: number;
  /** How long it was good for when it was asked for. */
  readonly ttlMs: number;
  /** How long a bid from it may win at the most, whatever the account's definition becomes. */
  readonly bidLifeMs: number;
  /** What no bid has set aside yet. It never rises: a lost bid frees in the ledger only. */
  leftMicros: number;
  /** Bids have used it, and since then one passed it over: its rest is below what that one needs at the least. */
  isRest: boolean;
}

/** A new lease is asked for when less than this part of the money, or of the time, is left. */
const LOW_WATER = 0.3;

export function isGood(lease: HeldLease, nowMs: number): boolean {
  return nowMs < lease.deadlineMs && lease.leftMicros > 0;
}

/**
 * How long bids from a lease may win: what its owner keeps it for them after its end, which the definition at its grant
 * has fixed. A bid that lives longer would find its money free again.
 */
export function bidLifeMsOf(
  { untilMs, horizonMs }: Pick<Lease, 'untilMs' | 'horizonMs'>,
  { bidLifeMs, noticeHorizonMs }: Pick<AccountDefinition, 'bidLifeMs' | 'noticeHorizonMs'>,
): number {
  const keptMs = horizonMs - untilMs - noticeHorizonMs - HORIZON_MARGIN_MS;
  return Math.max(0, Math.min(bidLifeMs, keptMs));
}

/** No bid was placed from it, so it can be given back whole. */
export function isUntouched(lease: HeldLease): boolean {
  return lease.leftMicros === lease.amountMicros;
}

/** The lease to bid from: the first to end that holds enough, else the one that holds most; undefined if none is good. */
export function leaseFor(
  leases: readonly HeldLease[],
  wantedMicros: number,
  nowMs: number,
): HeldLease | undefined {
  const good = leases.filter((lease) => isGood(lease, nowMs)).sort((a, b) => a.deadlineMs - b.deadlineMs);
  const enough = good.find((lease) => lease.leftMicros >= wantedMicros);
  return enough ?? good.sort((a, b) => b.leftMicros - a.leftMicros)[0];
}

/** Marks the leases that a bid which must not be below this passes over; a small one that nobody has used is none of them. */
export function passOver(leases: readonly HeldLease[], leastMicros: number): void {
  for (const lease of leases) {
    if (lease.leftMicros < leastMicros && !isUntouched(lease)) lease.isRest = true;
  }
}

/** Sets a bid's price aside. @throws RangeError beyond what is left: that would be a bug, and somebody's money */
export function reserve(lease: HeldLease, priceMicros: number): void {
  if (!(priceMicros >= 0 && priceMicros <= lease.leftMicros)) {
    throw new RangeError(
      `${priceMicros} micros are more than the ${lease.leftMicros} left of lease ${lease.id}`,
    );
  }
  lease.leftMicros -= priceMicros;
  lease.isRest = false;
}

/** Whether the next lease should be asked for: too little money has enough time left. */
export function isLow(leases: readonly HeldLease[], nowMs: number): boolean {
  let leftMicros = 0;
  let amountMicros = 0;
  for (const lease of leases) {
    if (lease.deadlineMs - nowMs < LOW_WATER * lease.ttlMs) continue;
    leftMicros += lease.leftMicros;
    amountMicros = Math.max(amountMicros, lease.amountMicros);
  }
  return leftMicros < LOW_WATER * amountMicros || amountMicros === 0;
}

export interface LeaseNeed {
  /** What the account should spend within a lease's life. */
  readonly plannedNextMicros: number;
  /** What bids set aside within the last lease's life: most of them lose, so it is more than is spent. */
  readonly reservedMicros: number;
  /** The dearest bid since the last lease. */
  readonly dearestMicros: number;
}

/**
 * Bids that a lease should carry at the least. Few: what a lease holds beyond its bids is kept from other processes until
 * it ends, and until its horizon where its process dies.
 */
const BIDS_MIN = 4;

/**
 * What to ask for; the account's owner grants at most its share of what is free. It follows the plan and the demand,
 * which grows by half with each lease that is used up; an account behind its plan bids higher, so that demand shows it.
 */
export function amountToAsk(need: LeaseNeed): number {
  const byPlan = 2 * need.plannedNextMicros;
  const byDemand = Math.ceil(1.5 * need.reservedMicros);
  return Math.max(byPlan, byDemand, BIDS_MIN * need.dearestMicros, 1);
}
