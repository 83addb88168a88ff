// The leader's work: takes triggers into deliveries, keeps a queue for each receiver so that one that is down delays
// nobody else, attempts what is due, and answers a trigger with a receipt when all its receivers have it.
import type { InForce } from '../domain/definition.ts';
import {
  type Delivery,
  type DeliveryCursor,
  type DeliveryReplay,
  isMeantFor,
  type WaitingTrigger,
} from '../domain/delivery.ts';
import type { ReceiverDefinition } from '../domain/receiver-definition.ts';
import { deliveryIdOf } from '../platform/delivery-log.ts';
import type { Producer } from '../platform/kafka.ts';
import { type AttemptPorts, attemptDelivery } from './attempt.ts';
import { type Beginning, takenOver, togetherByTrigger } from './beginning.ts';
import { type Conclusions, createConclusions, withoutReceiver } from './conclude.ts';
import { createDueQueue, type DueQueue } from './due-queue.ts';
import type { HasExpired } from './expiry.ts';
import { freshDelivery, WAITING_MAX } from './fresh-delivery.ts';
import { createOwed, isOpen, type OwedTrigger } from './owed.ts';
import { unknownPauseMs } from './pending.ts';
import { steadyTime } from './steady-clock.ts';

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
  /** Goes on where the one before stopped. @throws what the writer throws; then this dispatcher has ended */
  resume(beginning: Beginning): Promise<void>;
  /** Records of one partition of `triggers`, the topic of this id, in order; resolves when they are deliveries in Kafka. */
  take(partition: number, triggers: readonly ReadTrigger[], topicId?: string): Promise<void>;
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

/** It had an intent, and is to be sent, but is not counted as failed. */
function isUnsent({ status, attempt, failures }: Delivery, before: Delivery): boolean {
  return status === 'queued' && attempt > before.attempt && failures === before.failures;
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
  /** How often nothing could be sent of a delivery, one time after the other: nobody could say whether it waits, or its intent was over. */
  #unsent = new Map<string, number>();
  #draining = new AbortController();
  #underWay = new Set<Promise<void>>();
  /** Ids of deliveries that are being attempted. */
  #attempting = new Set<string>();
  #conclusions: Conclusions;
  #steady: ReturnType<typeof steadyTime>;

  constructor(ports: DispatchPorts) {
    this.#ports = ports;
    this.#steady = steadyTime(ports);
    this.#conclusions = createConclusions({
      ...ports,
      owed: this.#owed,
      signal: AbortSignal.any([ports.signal, this.#draining.signal]),
      isActive: (receiver) => this.#active(receiver) !== undefined,
      isUnderWay: (id) => this.#attempting.has(id),
    });
    ports.metrics.showOpen(() => this.#owed.open(ports.nowMs()));
  }

  async resume(beginning: Beginning): Promise<void> {
    try {
      await this.#begin(beginning);
    } catch (error) {
      this.#draining.abort();
      // Another leads from now on: what is open is for that one to show.
      this.#ports.metrics.showOpen(null);
      throw error;
    }
  }

  async #begin({ deliveries, replays, finished }: Beginning): Promise<void> {
    for (const id of finished) this.#owed.putFinished(id);
    // What there is of a trigger comes before what may make room for it.
    for (const delivery of togetherByTrigger(deliveries.values()))
      this.#owed.put(takenOver(delivery, this.#ports.nowMs()));
    // Nothing waits any more of what has expired: there are weeks of it, and each would be a question to Redis.
    const hasExpired = await this.#ports.expiry().catch((): HasExpired => () => false);
    const remembered: OwedTrigger[] = [];
    const heldBack: string[] = [];
    for (const trigger of this.#owed.triggers()) {
      const group = this.#owed.of(trigger)!;
      const open = group.deliveries.filter((each): each is Delivery => isOpen(each));
      for (const delivery of open) this.#enqueue(delivery);
      // An intent of the leader before is waited for; its end concludes the trigger.
      const isIntended = open.some(({ id }) => deliveries.get(id)?.status === 'sending');
      if (!isIntended && open.some(({ receiver }) => this.#active(receiver) === undefined))
        heldBack.push(trigger);
      if (open.length > 0) continue;
      // Somebody wished one of them sent again: that it has expired is said of it then.
      if (group.deliveries.some(({ id }) => replays.has(id))) continue;
      if (hasExpired(group)) this.#owed.finish(trigger);
      else remembered.push(group);
    }
    this.#track(this.#conclusions.concludeAgain(remembered));
    for (const replay of replays.values()) await this.replay(replay);
    // Whom it waits for may be gone since a time when nobody led.
    this.#track(this.#conclusions.concludeOpen(heldBack));
    for (const receiver of this.#lanes.keys()) this.#pump(receiver);
  }

  async take(partition: number, triggers: readonly ReadTrigger[], topicId?: string): Promise<void> {
    const [first] = triggers;
    if (first === undefined) return;
    let from = first.offset;
    let receivers = this.#ports.receivers();
    let deliveries: Delivery[] = [];
    const write = async (next: number): Promise<void> => {
      // The cursor goes with the deliveries of what it has passed, as one.
      const taken = { from, receivers: activeOf(receivers) };
      const cursor: DeliveryCursor = { kind: 'cursor', partition, next, topicId, taken };
      await this.#ports.writer.write([...deliveries, cursor]);
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
    // Of one that is known by its outline the wish says the rest.
    const dead = known === undefined && this.#owed.isFinished(id) ? undefined : { ...asked, ...known };
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
    this.#admit(queued, known !== undefined);
  }

  refresh(): void {
    this.#track(this.#conclusions.receiversChanged());
    for (const [receiver, { queue }] of this.#lanes) {
      // What was given up for one that comes back would count as waiting until it were due, a day later.
      queue.keep((delivery) => {
        const isLatest = this.#isLatest(delivery);
        if (!isLatest) this.#unsent.delete(delivery.id);
        return isLatest;
      });
      this.#pump(receiver);
    }
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

  #enqueue(delivery: Delivery): void {
    this.#lane(delivery.receiver).queue.add(delivery, this.#steady(delivery.dueMs));
  }

  /** What stands in a queue and is no longer the latest was replaced meanwhile. */
  #isLatest(delivery: Delivery): boolean {
    return this.#owed.find(delivery) === delivery;
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

  /** Takes in what Kafka has by now. @param isWhole as of `Owed.put` */
  #admit(delivery: Delivery, isWhole = true): void {
    const { receiver, trigger } = delivery;
    this.#owed.put(delivery, isWhole);
    // One that is open and whose receiver is active no more may be all that its trigger still has.
    if (!isOpen(delivery) || this.#active(receiver) === undefined)
      this.#track(this.#conclusions.conclude(trigger.id));
    if (!isOpen(delivery)) return;
    this.#enqueue(delivery);
    this.#pump(receiver);
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
      const next = lane.queue.take(this.#ports.monotonicMs());
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
    const { metrics, nowMs } = this.#ports;
    const unsentBefore = this.#unsent.get(delivery.id) ?? 0;
    this.#unsent.delete(delivery.id);
    if (!this.#isLatest(delivery)) return;
    const receiver = this.#active(delivery.receiver);
    this.#attempting.add(delivery.id);
    const attempted =
      receiver === undefined
        ? this.#giveUp(delivery)
        : attemptDelivery(delivery, receiver, this.#ports, unsentBefore);
    let after: Delivery | null;
    try {
      after = await attempted;
    } finally {
      // In the turn in which it is admitted: in between, it would be taken for one that waits.
      this.#attempting.delete(delivery.id);
    }
    // Its slot is for others meanwhile, and less and less often for it.
    if (after === null || isUnsent(after, delivery)) this.#unsent.set(delivery.id, unsentBefore + 1);
    if (after === null) {
      this.#admit({ ...delivery, dueMs: nowMs() + unknownPauseMs(unsentBefore) });
      return;
    }
    if (after.status === 'queued' && after.attempt > delivery.attempt) metrics.retry(delivery.receiver);
    const isGone = receiver !== undefined && after.status === 'dead' && after.answer === 410;
    if (receiver !== undefined && after.status === 'dead')
      metrics.dead(receiver.id, isGone ? 'gone' : 'exhausted');
    this.#admit(after);
    if (isGone) await this.#ports.disable(receiver);
  }

  async #giveUp(delivery: Delivery): Promise<Delivery> {
    const dead = withoutReceiver(delivery, this.#ports.nowMs());
    await this.#ports.writer.write([dead]);
    this.#ports.metrics.dead(delivery.receiver, 'inactive');
    return dead;
  }
}
