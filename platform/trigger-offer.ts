// Whether a partition's triggers may be told to anybody now: an old copy of Redis, or one that is being replayed, must
// not write to people twice. And the receipt by which a trigger is answered.
import type { ReceiptRecord } from '../domain/buyer-record.ts';
import type { Outgoing } from './kafka.ts';
import { buyerPartition } from './keys.ts';

/** An owner renews its stamp each second; an older one may be a copy's. */
export const STAMP_AGE_MS_MAX = 5_000;

export type WithholdingReason = 'no owner yet' | 'behind the log' | 'owner not seen';

/** Why a partition's triggers may not be offered now; null if they may. The fields are those of its head in Redis. */
export function withholdingReason(
  ready: string | null,
  stamp: string | null,
  nowMs: number,
): WithholdingReason | null {
  if (stamp === null || stamp === '') return 'no owner yet';
  if (ready !== '1') return 'behind the log';
  return Math.abs(nowMs - Number(stamp)) < STAMP_AGE_MS_MAX ? null : 'owner not seen';
}

/** The record of `events` that says that somebody has the trigger; repeating it changes nothing. */
export function receiptMessage(eventsTopic: string, trigger: string, key: string, nowMs: number): Outgoing {
  const record: ReceiptRecord = {
    kind: 'receipt',
    messageId: `receipt-${trigger}`,
    key,
    trigger,
    timestamp: nowMs,
  };
  return { topic: eventsTopic, partition: buyerPartition(key), key, value: JSON.stringify(record) };
}
