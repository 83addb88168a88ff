// What a receiver is owed of a trigger that has just come.
import type { Delivery, WaitingTrigger } from '../domain/delivery.ts';

/** Deliveries that wait for one receiver; more are dead at once, to be replayed, so that memory stays bounded. */
export const WAITING_MAX = 50_000;

export function freshDelivery(
  id: string,
  receiver: string,
  trigger: WaitingTrigger,
  nowMs: number,
  overflows: boolean,
): Delivery {
  return {
    kind: 'delivery',
    id,
    receiver,
    status: overflows ? 'dead' : 'queued',
    attempt: 0,
    failures: 0,
    dueMs: nowMs,
    createdMs: nowMs,
    atMs: nowMs,
    answer: 0,
    detail: overflows ? `more than ${WAITING_MAX} wait for this receiver` : '',
    intentLifeMs: 0,
    timeoutMs: 0,
    trigger,
  };
}
