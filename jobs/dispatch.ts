// The leader's work: takes triggers into deliveries, keeps a queue for each receiver so that one that is down delays
// nobody else, attempts what is due, and answers a trigger with a receipt when all its receivers have it.
import type { InForce } from '../domain/definition.ts';
import {
  type Delivery,
  type DeliveryCursor,
  type DeliveryReplay,
  isMeantFor,
  isReceiptDue,
  type WaitingTrigger,
} from '../domain/delivery.ts';
import type { ReceiverDefinition } from '../domain/receiver-definition.ts';
import { deliveryIdOf } from '../platform/delivery-log.ts';
import type { Producer } from '../platform/kafka.ts';
import { receiptMessage } from '../platform/trigger-offer.ts';
import { type AttemptPorts, attemptDelivery } from './attempt.ts';
import type { Beginning } from './beginning.ts';
import { createDueQueue, type DueQueue } from './due-queue.ts';
import type { HasExpired } from './expiry.ts';
import { freshDelivery, WAITING_MAX } from './fresh-delivery.ts';
import { createOwed, isOpen } from './owed.ts';
import { unknownPauseMs } from './pending.ts';
import { onReceiversChanged } from './receivers-changed.ts';
import { concludeRemembered } from './remembered.ts';

const TIMER_MS_MAX = 60_000;
const TAKEN_AT_ONCE = 500;

/** A trigger as it was read from the topic. */
export interface ReadTrigger {
  readonly offset: number;
  readonly trigger: WaitingTrigger | null;
}

export interface DispatchPorts extends AttemptPorts {
  /** Of `events`. */
  readonly generation: number;
  /** Writes receipts; never gives up by itself. */
  readonly producer: Producer;
  receivers(): Receivers;
  /** Which triggers have expired by now. */
  expiry(): Promise<HasExpired>;
  /** A receiver answered 410: it is to be disabled. */
  disable(receiver: InForce<ReceiverDefinition>): Promise<void>;
  /** Told once when this turn cannot go on. */
  fail(error: Error): void;
}

export interface Dispatcher {
  /** Goes on where the one before stopped. */
  resume(beginning: Beginning): Promise<void>;
  /** Records of one partition of `triggers`, in order; resolves when they are deliveries in Kafka. */
  take(partition: number, triggers: readonly ReadTrigger[]): Promise<void>;
  replay(request: DeliveryReplay): Promise<void>;
  /** Receivers have changed. */
  refresh(): void;
  /** Begins no further attempt and waits for those under way. */
  drain(): Promise<void>;
}

type Receivers = readonly InForce<ReceiverDefinition>[];

interface Lane {
  readonly queue: DueQueue;
  inFlight: number;
  timer: NodeJS.Timeout | undefined;
}

/** As a cursor says whom there was to tell. */
function activeOf(receivers: Receivers): NonNullable<DeliveryCursor['taken']>['receivers'] {
  return receivers
    .filter(({ document }) => document.status === 'active')
    .map(({ id, document: { triggers } }) => ({ id, triggers }));
}

export function createDispatcher(ports: DispatchPorts): Dispatcher {
  return new LaneDispatcher(ports);
}

class LaneDispatcher implements Dispatcher {
  #ports: DispatchPorts;
  #owed = createOwed();
  #lanes = new Map<string, Lane>();
  /** How often it could not be known of a delivery, one time after the other, whether its trigger still waits. */
  #unknown = new Map<string, number>();
  #draining = new AbortController();
  #underWay = new Set<Promise<void>>();
  #receiversChanged = onReceiversChanged({
    triggers: () => this.#owed.triggers(),
    conclude: (trigger) => this.#concludeUnlessRemembered(trigger),
    signal: this.#draining.signal,
  });

  constructor(ports: DispatchPorts) {
    this.#ports = ports;
    ports.metrics.showOpen(() => this.#owed.open(ports.nowMs()));
  }

  async resume({ deliveries, replays, finished }: Beginning): Promise<void> {
    for (const id of finished) this.#owed.putFinished(id);
    for (const delivery of deliveries.values()) {
      // Whoever wrote this intent may still begin to send it, and then wait for the answer.
      const waitMs = delivery.status === 'sending' ? delivery.intentLifeMs + delivery.timeoutMs : 0;
      this.#owed.put(
        delivery.status === 'sending'
          ? { ...delivery, status: 'queued', dueMs: this.#ports.nowMs() + waitMs }
          : delivery,
      );
    }
    // Nothing waits any more of what has expired: there are weeks of it, and each would be a question to Redis.
    const hasExpired = await this.#ports.expiry().catch((): HasExpired => () => false);
    const remembered: WaitingTrigger[] = [];
    for (const trigger of this.#owed.triggers()) {
      const group = this.#owed.of(trigger);
      for (const delivery of group.filter(isOpen)) this.#lane(delivery.receiver).queue.add(delivery);
      if (group.some(isOpen)) continue;
      // Somebody wished one of them sent again: that it has expired is said of it then.
      if (group.some(({ id }) => replays.has(id))) continue;
      if (hasExpired(group[0]!.trigger)) this.#owed.finish(trigger);
      else remembered.push(group[0]!.trigger);
    }
    this.#track(this.#concludeAgain(remembered));
    for (const replay of replays.values()) await this.replay(replay);
    for (const receiver of this.#lanes.keys()) this.#pump(receiver);
  }

  async take(partition: number, triggers: readonly ReadTrigger[]): Promise<void> {
    const [first] = triggers;
    if (first === undefined) return;
    let from = first.offset;
    let receivers = this.#ports.receivers();
    let deliveries: Delivery[] = [];
    const write = async (next: number): Promise<void> => {
      // The cursor goes with the deliveries of what it has passed, as one.
      const taken = { from, receivers: activeOf(receivers) };
      await this.#ports.writer.write([...deliveries, { kind: 'cursor', partition, next, taken }]);
      for (const delivery of deliveries) this.#admit(delivery);
      from = next;
      receivers = this.#ports.receivers();
      deliveries = [];
    };
    const seen = new Set<string>();
    for (const { offset, trigger } of triggers) {
      if (trigger !== null && !seen.has(trigger.id))
        deliveries.push(...this.#deliveriesOf(trigger, receivers));
      if (trigger !== null) seen.add(trigger.id);
      if (deliveries.length >= TAKEN_AT_ONCE) await write(offset + 1);
    }
    const next = triggers.at(-1)!.offset + 1;
    if (from < next) await write(next);
  }

  async replay({ by, delivery: asked }: DeliveryReplay): Promise<void> {
    const { namespace, generation, writer, nowMs } = this.#ports;
    const { id, receiver, trigger } = asked;
    const known = this.#owed.find(asked);
    const dead = known ?? (this.#owed.isFinished(id) ? undefined : asked);
    if (dead?.status !== 'dead' || id !== deliveryIdOf(namespace, generation, receiver, trigger.id)) return;
    const at = nowMs();
    const queued: Delivery = {
      ...dead,
      status: 'queued',
      failures: 0,
      dueMs: at,
      atMs: at,
      detail: `replayed by ${by}`,
    };
    await writer.write([queued]);
    this.#admit(queued);
  }

  refresh(): void {
    this.#track(this.#receiversChanged());
    for (const receiver of this.#lanes.keys()) this.#pump(receiver);
  }

  async drain(): Promise<void> {
    this.#draining.abort();
    for (const { timer } of this.#lanes.values()) clearTimeout(timer);
    await Promise.allSettled(this.#underWay);
    this.#ports.metrics.showOpen(null);
  }

  #active(id: string): InForce<ReceiverDefinition> | undefined {
    return this.#ports
      .receivers()
      .find((receiver) => receiver.id === id && receiver.document.status === 'active');
  }

  #lane(receiver: string): Lane {
    let lane = this.#lanes.get(receiver);
    if (lane === undefined) {
      lane = { queue: createDueQueue(), inFlight: 0, timer: undefined };
      this.#lanes.set(receiver, lane);
    }
    return lane;
  }

  /** One for each receiver that it is meant for; none for what was taken before (Kafka may repeat). */
  #deliveriesOf(trigger: WaitingTrigger, receivers: Receivers): Delivery[] {
    const { namespace, generation, nowMs, metrics } = this.#ports;
    const at = nowMs();
    return receivers.flatMap(({ id: receiver, document }): Delivery[] => {
      const id = deliveryIdOf(namespace, generation, receiver, trigger.id);
      if (!isMeantFor(document, trigger) || this.#owed.knows(id)) return [];
      const overflows = this.#lane(receiver).queue.size >= WAITING_MAX;
      if (overflows) metrics.dead(receiver, 'overflow');
      return [freshDelivery(id, receiver, trigger, at, overflows)];
    });
  }

  /** Takes in what Kafka has by now. */
  #admit(delivery: Delivery): void {
    this.#owed.put(delivery);
    if (!isOpen(delivery)) {
      this.#track(this.#conclude(delivery.trigger.id));
      return;
    }
    this.#lane(delivery.receiver).queue.add(delivery);
    this.#pump(delivery.receiver);
  }

  #track(work: Promise<void>): void {
    const tracked = work
      .catch((error: Error) => this.#ports.fail(error))
      .finally(() => this.#underWay.delete(tracked));
    this.#underWay.add(tracked);
  }

  /** Begins what is due, as far as the receiver takes it at a time, and wakes up for what is not. */
  #pump(receiver: string): void {
    const lane = this.#lane(receiver);
    clearTimeout(lane.timer);
    const concurrency = this.#active(receiver)?.document.concurrency ?? 1;
    while (!this.#draining.signal.aborted && !this.#ports.signal.aborted && lane.inFlight < concurrency) {
      const next = lane.queue.take(this.#ports.nowMs());
      if ('waitMs' in next) {
        if (next.waitMs !== null)
          lane.timer = setTimeout(() => this.#pump(receiver), Math.min(next.waitMs, TIMER_MS_MAX));
        return;
      }
      lane.inFlight += 1;
      this.#track(
        this.#attempt(next.delivery).finally(() => {
          lane.inFlight -= 1;
          this.#pump(receiver);
        }),
      );
    }
  }

  async #attempt(delivery: Delivery): Promise<void> {
    const { metrics, writer, nowMs } = this.#ports;
    const unknownBefore = this.#unknown.get(delivery.id) ?? 0;
    this.#unknown.delete(delivery.id);
    // What stands in the queue and is no longer the latest was replaced meanwhile.
    if (this.#owed.find(delivery) !== delivery) return;
    const receiver = this.#active(delivery.receiver);
    if (receiver === undefined) {
      const dead: Delivery = {
        ...delivery,
        status: 'dead',
        atMs: nowMs(),
        detail: 'the receiver is disabled or withdrawn',
      };
      await writer.write([dead]);
      metrics.dead(delivery.receiver, 'inactive');
      this.#admit(dead);
      return;
    }
    const after = await attemptDelivery(delivery, receiver, this.#ports);
    if (after === null) {
      // Its slot is for others meanwhile, and less and less often for it.
      this.#unknown.set(delivery.id, unknownBefore + 1);
      this.#admit({ ...delivery, dueMs: nowMs() + unknownPauseMs(unknownBefore) });
      return;
    }
    if (after.status === 'queued' && after.attempt > delivery.attempt) metrics.retry(receiver.id);
    if (after.status === 'dead') metrics.dead(receiver.id, after.answer === 410 ? 'gone' : 'exhausted');
    this.#admit(after);
    if (after.status === 'dead' && after.answer === 410) await this.#ports.disable(receiver);
  }

  /** A receipt that the leader before may have written already is only written if the trigger still waits. */
  #concludeAgain(triggers: readonly WaitingTrigger[]): Promise<void> {
    const { pending, expiry, signal } = this.#ports;
    return concludeRemembered(triggers, {
      pending,
      expiry,
      signal: AbortSignal.any([signal, this.#draining.signal]),
      conclude: async ({ id }, standing) => {
        if (standing === 'waiting') await this.#conclude(id);
        else if (!this.#owed.of(id).some(isOpen)) this.#owed.finish(id);
      },
    });
  }

  /** Not what every receiver has, which is only remembered: no receiver changes that, and whether it still waits is being asked. */
  async #concludeUnlessRemembered(trigger: string): Promise<void> {
    if (!this.#owed.of(trigger).every(({ status }) => status === 'delivered')) await this.#conclude(trigger);
  }

  /** Writes the receipt when it is due, and forgets the trigger when nothing of it is left to do. */
  async #conclude(trigger: string): Promise<void> {
    const group = this.#owed.of(trigger);
    const [first] = group;
    if (first === undefined) return;
    if (isReceiptDue(group, (receiver) => this.#active(receiver) !== undefined)) {
      const { producer, namespace, nowMs, metrics, failpoint } = this.#ports;
      this.#owed.finish(trigger);
      failpoint('jobs-delivered');
      await producer.sendBatch([
        receiptMessage(namespace.topics.events, trigger, first.trigger.key, nowMs()),
      ]);
      metrics.receipt();
    } else if (group.every(({ status }) => status === 'delivered' || status === 'settled')) {
      this.#owed.finish(trigger);
    }
  }
}
