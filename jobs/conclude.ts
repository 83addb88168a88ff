// What becomes of a trigger when a delivery of it has ended: its receipt, once all receivers that are active have it.
import { type Delivery, isReceiptDue } from '../domain/delivery.ts';
import { beforeAbort } from '../platform/before-abort.ts';
import type { Failpoint } from '../platform/failpoint.ts';
import type { Producer } from '../platform/kafka.ts';
import type { Namespace } from '../platform/namespace.ts';
import { receiptMessage } from '../platform/trigger-offer.ts';
import type { HasExpired } from './expiry.ts';
import type { JobsMetrics } from './metrics.ts';
import { isOpen, type Owed, type OwedTrigger } from './owed.ts';
import type { PendingCheck } from './pending.ts';
import { onReceiversChanged, someAtATime } from './receivers-changed.ts';
import { concludeRemembered } from './remembered.ts';
import type { DeliveryWriter } from './writer.ts';

export interface ConcludePorts {
  readonly owed: Owed;
  readonly namespace: Namespace;
  readonly writer: DeliveryWriter;
  /** Writes receipts; never gives up by itself. */
  readonly producer: Producer;
  readonly pending: PendingCheck;
  readonly metrics: Pick<JobsMetrics, 'dead' | 'receipt'>;
  readonly failpoint: Failpoint;
  /** Raised when the leader ends: its successor does the rest. */
  readonly signal: AbortSignal;
  /** Which triggers have expired by now. */
  expiry(): Promise<HasExpired>;
  isActive(receiver: string): boolean;
  /** An attempt at this delivery is under way; its end concludes the trigger again. */
  isUnderWay(id: string): boolean;
  nowMs(): number;
}

export interface Conclusions {
  /** Writes the receipt when it is due, and forgets the trigger when nothing of it is left to do. */
  conclude(trigger: string): Promise<void>;
  /** Of triggers whose receipt the leader before may have written already: it is only written if the trigger still waits. */
  concludeAgain(triggers: readonly OwedTrigger[]): Promise<void>;
  /** Of triggers of which the leader before left something open: its receiver may be active no more. */
  concludeOpen(triggers: readonly string[]): Promise<void>;
  /** Concludes all triggers by the receivers that there are now. */
  receiversChanged(): Promise<void>;
}

/** The delivery, given up because nobody is there to take it. */
export function withoutReceiver(delivery: Delivery, nowMs: number): Delivery {
  return { ...delivery, status: 'dead', atMs: nowMs, detail: 'the receiver is disabled or withdrawn' };
}

export function createConclusions(ports: ConcludePorts): Conclusions {
  const { owed, namespace, writer, producer, pending, metrics, failpoint, signal } = ports;
  const { expiry, isActive, isUnderWay, nowMs } = ports;

  /** By trigger: what is being given up of it, and what it comes to then. */
  const givingUp = new Map<string, Promise<void>>();

  /** Remembered as dead from now on, so that nobody begins an attempt while it is being written. */
  async function giveUp(open: readonly Delivery[]): Promise<void> {
    const dead = open.map((each) => withoutReceiver(each, nowMs()));
    for (const each of dead) {
      owed.put(each);
      metrics.dead(each.receiver, 'inactive');
    }
    await writer.write(dead);
  }

  async function concludeWithout(open: readonly Delivery[], trigger: string): Promise<void> {
    try {
      await giveUp(open);
    } finally {
      givingUp.delete(trigger);
    }
    return conclude(trigger);
  }

  async function conclude(trigger: string): Promise<void> {
    const group = owed.of(trigger);
    if (group === undefined) return;
    // That these are dead is not in Kafka yet; then it is concluded as it stands by then.
    const underWay = givingUp.get(trigger);
    if (underWay !== undefined) return underWay;
    const { deliveries, isWhole, key } = group;
    if (isWhole && isReceiptDue(deliveries, isActive)) {
      const open = deliveries.filter((each): each is Delivery => isOpen(each));
      if (open.some(({ id }) => isUnderWay(id))) return;
      if (open.length > 0) {
        // Their receivers are active no more. What the topic would say to be sent for weeks, nobody would send.
        const concluded = concludeWithout(open, trigger);
        givingUp.set(trigger, concluded);
        return concluded;
      }
      owed.finish(trigger);
      failpoint('jobs-delivered');
      await producer.sendBatch([receiptMessage(namespace.topics.events, trigger, key, nowMs())]);
      metrics.receipt();
    } else if (deliveries.every(({ status }) => status === 'delivered' || status === 'settled')) {
      owed.finish(trigger);
    }
  }

  /** Not what every receiver has, which is only remembered: no receiver changes that, and whether it still waits is being asked. */
  async function concludeUnlessRemembered(trigger: string, hasExpired: HasExpired): Promise<void> {
    const group = owed.of(trigger);
    if (group?.deliveries.every(({ status }) => status === 'delivered') ?? true) return;
    // Nobody waits for the receipts of weeks of dead ones.
    if (!group!.deliveries.some(isOpen) && hasExpired(group!)) owed.finish(trigger);
    else await conclude(trigger);
  }

  return {
    conclude,
    concludeAgain: (triggers) =>
      concludeRemembered(triggers, {
        pending,
        expiry,
        signal,
        async conclude({ id }, standing) {
          if (standing === 'waiting') await conclude(id);
          else if (owed.of(id)?.deliveries.some(isOpen) === false) owed.finish(id);
        },
      }),
    concludeOpen: (triggers) => someAtATime(triggers, conclude, signal),
    receiversChanged: onReceiversChanged({
      triggers: owed.triggers,
      expiry: () => beforeAbort(expiry(), signal).catch((): HasExpired => () => false),
      conclude: concludeUnlessRemembered,
      signal,
    }),
  };
}
