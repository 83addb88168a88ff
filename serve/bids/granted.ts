// What the ledger has granted, as a process may hold it: for how long, and whether any bid from it would live.
import type { Lease } from '../../domain/account.ts';
import type { AccountDefinition } from '../../domain/definition.ts';
import { bidLifeMsOf, deadlinesOf, type HeldLease, isOver, keptMsOf, type Moment } from './lease.ts';

export type Granted =
  | { readonly kind: 'held'; readonly lease: HeldLease }
  /** It ended with the account's day before it came. */
  | { readonly kind: 'cutShort' }
  | {
      readonly kind: 'useless';
      readonly why: string;
      readonly fields: Readonly<Record<string, number | undefined>>;
    };

/** A lease that was asked for then, by what the account's definition says now. */
export function judgeGrant(
  request: { readonly sent: Moment; readonly ttlMs: number },
  lease: Lease,
  now: Moment,
  definition: AccountDefinition | undefined,
): Granted {
  const { id, amountMicros, untilMs, grantedMs } = lease;
  const { sent, ttlMs } = request;
  // The day may end before the lease would: the ledger's `until` says so, in the time of the log, and so is when that
  // life began: not before the request was sent, whatever this process's own wall clock says.
  const lifeMs = untilMs - (grantedMs ?? sent.wallMs);
  const deadlines = deadlinesOf(sent, Math.min(ttlMs, lifeMs));
  if (isOver(deadlines, now)) {
    // What the day's end has cut short is no fault.
    if (lifeMs > 0 && lifeMs < ttlMs) return { kind: 'cutShort' };
    const tookMs = now.monotonicMs - sent.monotonicMs;
    const fields = { lifeMs, tookMs, wallTookMs: now.wallMs - sent.wallMs };
    return {
      kind: 'useless',
      why: 'a lease was over before it came: is this machine’s clock ahead?',
      fields,
    };
  }
  const keptMs = keptMsOf(lease);
  const held = { id, amountMicros, leftMicros: amountMicros, ...deadlines, keptMs, isRest: false };
  if (bidLifeMsOf(held, definition) > 0) return { kind: 'held', lease: held };
  const { bidLifeMs, noticeHorizonMs } = definition ?? {};
  return {
    kind: 'useless',
    why: 'no bid from a lease would live: its grant knew no such notice horizon, or bidLifeMs is 0',
    fields: { keptMs, bidLifeMs, noticeHorizonMs },
  };
}
