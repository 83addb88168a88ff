// Event time goes on: the watermark rises, and what was due by then fires, in order.
import type { AccountState } from '../domain/account.ts';
import type { Buyer } from '../domain/buyer.ts';
import type { BuyerContext } from '../domain/buyer-context.ts';
import type { Effect } from '../domain/effect.ts';
import { accountDueMs, fireAccountTimer } from '../domain/transition-account.ts';
import { buyerDueMs, fireBuyerTimer } from '../domain/transition-buyer.ts';
import type { Batch } from './batch.ts';
import type { Bugs } from './bugs.ts';
import { carryOut } from './effects.ts';
import type { LiveBatch } from './live.ts';
import { versionOf } from './state.ts';
import type { TimerQueue } from './timers.ts';
import type { Work } from './work.ts';

export interface Fold {
  readonly batch: Batch;
  readonly timers: TimerQueue;
  /** How many timers this commit may still fire. */
  timersLeft: number;
  /** A definition in it has brought forward what waits: it is the last of its batch, and its commit has all timers looked at again. */
  looksAgain: boolean;
  readonly bugs: Bugs;
  /** Only while somebody looks. */
  readonly live?: LiveBatch | undefined;
}

/** The due time of a timer that is only to be set again, by the definitions in force; before all that are due by themselves. */
export const LOOK_AGAIN_MS = 1;

/** Fires what is due at or before `untilMs`; false if the commit's allowance ended before that. */
export function fireTimers(work: Work, fold: Fold, untilMs: number): boolean {
  while (fold.timers.earliestMs() <= untilMs) {
    if (fold.timersLeft === 0) return false;
    const timer = fold.timers.take(untilMs)!;
    raise(work, fold, Math.max(work.head.watermarkMs, timer.dueMs));
    fireOne(work, fold, timer.key, timer.dueMs);
    fold.timersLeft -= 1;
    work.head.fired += 1;
  }
  return true;
}

function fireOne(work: Work, fold: Fold, key: string, dueMs: number): void {
  const effects: Effect[] = [];
  if (work.id.topic === 'events') {
    const buyer = work.states.get(key) as Buyer | undefined;
    if (buyer === undefined) return;
    buyer.timerMs = 0;
    if (dueMs !== LOOK_AGAIN_MS) fireBuyerTimer(buyer, buyerContext(work, dueMs, 0), effects);
    armBuyer(work, fold, buyer);
  } else {
    const account = work.states.get(key) as AccountState | undefined;
    if (account === undefined) return;
    account.timerMs = 0;
    fireAccountTimer(account, accountContext(work, dueMs, 0), effects);
    armAccount(work, fold, account, dueMs);
  }
  work.changed.add(key);
  carryOut(work, fold.batch, effects);
}

/** The watermark rises: windows and triggers that it has passed are closed. */
export function raise(work: Work, fold: Fold, watermarkMs: number): void {
  if (watermarkMs === work.head.watermarkMs) return;
  work.head.watermarkMs = watermarkMs;
  closeWindows(work, fold);
  const { settings } = work.inForce.definitions;
  for (const trigger of work.triggers.expire(watermarkMs, settings.maxPendingTriggers)) {
    work.addTriggerRow(fold.batch, trigger, 'expired', watermarkMs);
  }
}

/** Closes the windows that are no longer held: the watermark has passed them, or a definition has them held for less long. */
export function closeWindows(work: Work, fold: Fold): void {
  const { head, inForce } = work;
  const closed = work.windows.expire(head.watermarkMs, inForce.definitions, () => versionOf(head));
  for (const aggregate of closed) work.addAggregate(fold.batch, aggregate);
}

export function buyerContext(work: Work, nowMs: number, appendMs: number): BuyerContext {
  const { partition } = work.id;
  return { nowMs, partition, offset: work.head.offset, appendMs, definitions: work.inForce.definitions };
}

export function accountContext(work: Work, nowMs: number, appendMs: number) {
  const { settings, account, campaign } = work.inForce.definitions;
  return {
    nowMs,
    appendMs,
    partition: work.id.partition,
    offset: work.head.offset,
    settings,
    account,
    campaign,
  };
}

/** Sets the buyer's timer if it must go off earlier than the one that is set; a later one waits until that fires. */
export function armBuyer(work: Work, fold: Fold, buyer: Buyer): void {
  const dueMs = buyerDueMs(buyer, work.inForce.definitions);
  if (dueMs === 0 || (buyer.timerMs !== 0 && buyer.timerMs <= dueMs)) return;
  buyer.timerMs = dueMs;
  fold.timers.arm(buyer.key, dueMs);
}

export function armAccount(work: Work, fold: Fold, account: AccountState, nowMs: number): void {
  const dueMs = accountDueMs(account, accountContext(work, nowMs, 0));
  if (dueMs === 0 || (account.timerMs !== 0 && account.timerMs <= dueMs)) return;
  account.timerMs = dueMs;
  fold.timers.arm(account.id, dueMs);
}
