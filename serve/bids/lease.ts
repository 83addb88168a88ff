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
  /** By the wall clock: the monotonic one stands still while a machine sleeps. */
  readonly wallDeadlineMs: number;
  /** How long it was good for when it was asked for. */
  readonly ttlMs: number;
  /** How long its owner keeps it after its end, for bids and their notices: fixed by the definition at its grant. */
  readonly keptMs: number;
  /** What no bid has set aside yet. It never rises: a lost bid frees in the ledger only. */
  leftMicros: number;
  /** Bids have used it, and since then one passed it over: its rest is below what that one needs at the least. */
  isRest: boolean;
}

/** A new lease is asked for when less than this part of the money, or of the time, is left. */
const LOW_WATER = 0.3;

/** The process's monotonic clock and its wall clock, read together. */
export interface Moment {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

/** When a lease that was asked for then is over, by both clocks. The wall clock may be off by the ledger's own margin. */
export function deadlinesOf(
  sent: Moment,
  ttlMs: number,
): Pick<HeldLease, 'ttlMs' | 'deadlineMs' | 'wallDeadlineMs'> {
  const wallDeadlineMs = sent.wallMs + ttlMs + HORIZON_MARGIN_MS;
  return { ttlMs, deadlineMs: sent.monotonicMs + ttlMs, wallDeadlineMs };
}

export function isOver(
  lease: Pick<HeldLease, 'deadlineMs' | 'wallDeadlineMs'>,
  { monotonicMs, wallMs }: Moment,
): boolean {
  return monotonicMs >= lease.deadlineMs || wallMs > lease.wallDeadlineMs;
}

/** How long the owner keeps a lease after its end, but for its own margin. */
export function keptMsOf({ untilMs, horizonMs }: Pick<Lease, 'untilMs' | 'horizonMs'>): number {
  return horizonMs - untilMs - HORIZON_MARGIN_MS;
}

/**
 * How long bids from a lease may win: what its owner keeps it for them after its end, but for the time that their notices
 * may take by now. A bid that lives longer would find its money free again. 0 without a definition.
 */
export function bidLifeMsOf(
  { keptMs }: Pick<HeldLease, 'keptMs'>,
  definition: Pick<AccountDefinition, 'bidLifeMs' | 'noticeHorizonMs'> | undefined,
): number {
  if (definition === undefined) return 0;
  return Math.max(0, Math.min(definition.bidLifeMs, keptMs - definition.noticeHorizonMs));
}

/** No bid was placed from it, so it can be given back whole. */
export function isUntouched(lease: HeldLease): boolean {
  return lease.leftMicros === lease.amountMicros;
}

/** Of good leases the one to bid from: the first to end that holds enough, else the one that holds most. */
export function leaseFor(leases: readonly HeldLease[], wantedMicros: number): HeldLease | undefined {
  const good = [...leases].sort((a, b) => a.deadlineMs - b.deadlineMs);
  const enough = good.find((lease) => lease.leftMicros >= wantedMicros);
  return enough ?? good.sort((a, b) => b.leftMicros - a.leftMicros)[0];
}

/** What one bid would set aside, and what a lease must hold for it at the least: its floor, or a micro. */
export interface BidNeed {
  readonly wantedMicros: number;
  readonly leastMicros: number;
}

/** Those of a request's bids, placed in their order, that find no lease: the ones before them have used it up. */
export function unserved(good: readonly HeldLease[], needs: readonly BidNeed[]): BidNeed[] {
  let leases = good.map((lease) => ({ ...lease }));
  return needs.filter(({ wantedMicros, leastMicros }) => {
    leases = leases.filter(({ leftMicros }) => leftMicros > 0);
    const lease = leaseFor(leases, wantedMicros);
    if (lease === undefined || lease.leftMicros < leastMicros) return true;
    lease.leftMicros -= Math.min(wantedMicros, lease.leftMicros);
    return false;
  });
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
  /** What the bids of one request want together beyond what is held. */
  readonly beyondMicros: number;
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
  return Math.max(byPlan, byDemand, BIDS_MIN * need.dearestMicros, need.beyondMicros, 1);
}
