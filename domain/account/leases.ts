// Leases: the part of the budget that a process may bid with. What was granted stays outstanding until it is settled by
// a notice, given back by a loss, returned by its process, voided before it was used, or past its horizon.
import {
  type AccountContext,
  type AccountState,
  DAY_MS,
  dayStartOf,
  HORIZON_MARGIN_MS,
  type Lease,
  MAX_REFUSALS,
  settledOnDay,
} from '../account.ts';
import type { AccountDefinition, LastSaid } from '../definition.ts';
import type { Effect } from '../effect.ts';
import { idHash53 } from '../hash.ts';
import type { LeaseRequestRecord, NoticeRecord } from '../spend-record.ts';
import { placeIn, rememberHash } from './notices.ts';

/** What may still be spent from a lease, in micros. */
export function outstandingOf(lease: Lease): number {
  return Math.max(0, lease.amountMicros - lease.settledMicros - lease.freedMicros);
}

/** Of all leases held, or of those that take from one day's budget. */
export function outstandingMicros(state: AccountState, dayMs?: number): number {
  let sum = 0;
  for (const lease of state.leases) {
    if (dayMs === undefined || lease.dayMs === dayMs) sum += outstandingOf(lease);
  }
  return sum;
}

/**
 * budget − settled − outstanding, of the day and of the whole, whichever is less; below 0 if it is overdrawn. The whole is
 * bounded by what the account can hold too: a win that it could not settle would leave its money to be granted again.
 */
export function freeMicros(state: AccountState, definition: AccountDefinition, dayMs: number): number {
  const ofDay = definition.dailyBudgetMicros - settledOnDay(state, dayMs) - outstandingMicros(state, dayMs);
  const totalMicros = definition.totalBudgetMicros ?? Number.MAX_SAFE_INTEGER;
  return Math.min(ofDay, totalMicros - state.settledMicros - outstandingMicros(state));
}

type LeaseStatus = 'granted' | 'refused' | 'voided' | 'returned' | 'freed';

function pushLease(
  state: AccountState,
  lease: Pick<Lease, 'id' | 'process' | 'untilMs'>,
  status: LeaseStatus,
  amountMicros: number,
  timeMs: number,
  effects: Effect[],
): void {
  effects.push({
    kind: 'row',
    table: 'leases',
    row: {
      account: state.id,
      time: timeMs,
      lease: lease.id,
      process: lease.process,
      status,
      amount_micros: amountMicros,
      until: lease.untilMs,
    },
  });
}

/** Ends the leases that `isOver` names, in the order of their grants; what is outstanding is free again. */
function endLeases(
  state: AccountState,
  isOver: (lease: Lease) => boolean,
  status: 'voided' | 'freed',
  nowMs: number,
  effects: Effect[],
): void {
  if (!state.leases.some(isOver)) return;
  for (const lease of state.leases) {
    if (isOver(lease)) pushLease(state, lease, status, outstandingOf(lease), nowMs, effects);
  }
  state.leases = state.leases.filter((lease) => !isOver(lease));
}

/** Ends what is past its horizon. */
export function freeLeases(state: AccountState, nowMs: number, effects: Effect[]): void {
  endLeases(state, (lease) => nowMs > lease.horizonMs, 'freed', nowMs, effects);
}

/** Frees what a process has never bid with and never will; of each lease once, so that a repeat frees nothing more. */
function takeReturns(
  state: AccountState,
  { process, returns = [] }: LeaseRequestRecord,
  nowMs: number,
  effects: Effect[],
): void {
  for (const { lease: leaseId, amountMicros } of returns) {
    const lease = findLease(state, leaseId);
    if (lease === undefined || lease.process !== process || lease.isReturned) continue;
    const returnedMicros = Math.min(amountMicros, outstandingOf(lease));
    lease.isReturned = true;
    lease.freedMicros += returnedMicros;
    pushLease(state, lease, 'returned', returnedMicros, nowMs, effects);
  }
}

/** Whether the definition lets nobody bid: it was withdrawn, or its budget is in another money than the account's. */
function grantsNothing(
  { currency }: AccountState,
  { document, isWithdrawn }: LastSaid<AccountDefinition>,
): boolean {
  return isWithdrawn === true || document.currency !== currency;
}

/** Takes back what is given back; then grants what is asked for, up to the account's share of what is free, or refuses. */
export function grantLease(
  state: AccountState,
  record: LeaseRequestRecord,
  said: LastSaid<AccountDefinition>,
  context: AccountContext,
  effects: Effect[],
): 'control' | 'duplicate' {
  const { document: definition } = said;
  if (leaseGrant(state, record.lease) !== 'pending') return 'duplicate';
  const voids = record.voids ?? [];
  const isVoid = (lease: Lease): boolean => lease.process === record.process && voids.includes(lease.id);
  endLeases(state, isVoid, 'voided', context.nowMs, effects);
  takeReturns(state, record, context.nowMs, effects);

  const fromMs = Math.max(context.nowMs, context.appendMs);
  const dayMs = dayStartOf(fromMs, state.utcOffsetMinutes);
  const freeNowMicros = grantsNothing(state, said) ? 0 : Math.max(0, freeMicros(state, definition, dayMs));
  const share = Math.floor(definition.leaseShare * freeNowMicros);
  const amountMicros = Math.min(record.amountMicros, share);
  const untilMs = Math.min(fromMs + definition.leaseTtlMs, dayMs + DAY_MS);
  const lease = { id: record.lease, process: record.process, untilMs };
  if (amountMicros < 1) {
    state.refusals.push(record.lease);
    if (state.refusals.length > MAX_REFUSALS) state.refusals.shift();
    pushLease(state, lease, 'refused', 0, context.nowMs, effects);
    return 'control';
  }
  state.leases.push({
    ...lease,
    dayMs,
    grantedMs: fromMs,
    amountMicros,
    settledMicros: 0,
    freedMicros: 0,
    horizonMs: untilMs + definition.bidLifeMs + definition.noticeHorizonMs + HORIZON_MARGIN_MS,
    seen: [],
    lost: [],
  });
  pushLease(state, lease, 'granted', amountMicros, context.nowMs, effects);
  return 'control';
}

/** What the owner answered to a request: a lease held, a refusal, or nothing (yet, or no longer). */
export function leaseGrant(
  state: AccountState,
  leaseId: string,
): { amountMicros: number; untilMs: number } | 'refused' | 'pending' {
  const lease = state.leases.find((candidate) => candidate.id === leaseId);
  if (lease !== undefined) return { amountMicros: lease.amountMicros, untilMs: lease.untilMs };
  return state.refusals.includes(leaseId) ? 'refused' : 'pending';
}

export function findLease(state: AccountState, leaseId: string | undefined): Lease | undefined {
  // Notices are mostly of young leases.
  return leaseId === undefined ? undefined : state.leases.findLast((lease) => lease.id === leaseId);
}

function bidHash(record: NoticeRecord): number {
  return idHash53(record.bid);
}

function noticeHash(record: NoticeRecord, notice: NoticeRecord['notice']): number {
  return idHash53(`${notice}|${record.bid}`);
}

function hasSeen(lease: Lease, hash: number): boolean {
  return lease.seen[placeIn(lease.seen, hash)] === hash;
}

/** Remembers the notice (kind and bid) until the lease ends. */
export function rememberLeaseNotice(lease: Lease, record: NoticeRecord): 'added' | 'known' | 'full' {
  return rememberHash(lease.seen, noticeHash(record, record.notice));
}

/** A loss gives back what the bid had set aside, at most what is outstanding; nothing if the bid is known to have won. */
export function freeLoss(state: AccountState, lease: Lease, record: NoticeRecord): void {
  if (hasSeen(lease, noticeHash(record, 'win'))) {
    contradict(state, record);
    return;
  }
  const freedMicros = Math.min(record.heldMicros ?? record.costMicros, outstandingOf(lease));
  if (freedMicros === 0) return;
  lease.freedMicros += freedMicros;
  const hash = bidHash(record);
  lease.lost.splice(placeOfLoss(lease, hash), 0, [hash, freedMicros]);
}

/**
 * A win, impression or click takes its cost from the lease, and takes back first what a loss of the same bid had given.
 * A win that says what its bid had set aside gives back what it did not cost.
 */
export function settleLease(state: AccountState, lease: Lease, record: NoticeRecord): void {
  const isContradicting = record.notice === 'win' || record.costMicros > 0;
  if (isContradicting && hasSeen(lease, noticeHash(record, 'loss'))) {
    contradict(state, record);
    takeBackLoss(lease, bidHash(record));
  }
  const beyondMicros = record.costMicros - outstandingOf(lease);
  if (beyondMicros > 0) state.counters.leaseOverspendMicros += beyondMicros;
  lease.settledMicros += record.costMicros;
  if (record.notice !== 'win' || record.heldMicros === undefined) return;
  const restMicros = Math.max(0, record.heldMicros - record.costMicros);
  lease.freedMicros += Math.min(restMicros, outstandingOf(lease));
}

function placeOfLoss(lease: Lease, hash: number): number {
  let low = 0;
  let high = lease.lost.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (lease.lost[middle]![0] < hash) low = middle + 1;
    else high = middle;
  }
  return low;
}

function takeBackLoss(lease: Lease, hash: number): void {
  const place = placeOfLoss(lease, hash);
  const lost = lease.lost[place];
  if (lost?.[0] !== hash) return;
  lease.freedMicros -= lost[1];
  lease.lost.splice(place, 1);
}

function contradict(state: AccountState, record: NoticeRecord): void {
  state.counters.contradicted += 1;
  state.counters.contradictedMicros += record.notice === 'loss' ? 0 : record.costMicros;
}
