// The topic `deliveries`, one partition: what receivers are owed. Only the leader of the jobs writes turns, deliveries and
// cursors, and forgets, in transactions; anybody may ask for a replay.
import { createHash } from 'node:crypto';
import {
  type DeliveriesTopicRecord,
  type Delivery,
  type DeliveryCursor,
  type DeliveryForgotten,
  type DeliveryReplay,
  delivery,
  deliveryCursor,
  deliveryReplay,
  deliveryTurn,
} from '../domain/delivery.ts';
import { beforeAbort } from './before-abort.ts';
import type { Outgoing } from './kafka.ts';
import { type LogRecord, readPartition } from './kafka-read.ts';
import { openTopicAdmin } from './kafka-topics.ts';
import type { TransactionalMessage } from './kafka-transactions.ts';
import type { Namespace } from './namespace.ts';
import { compileValidator } from './validate.ts';

const validators = {
  delivery: compileValidator(delivery),
  cursor: compileValidator(deliveryCursor),
  replay: compileValidator(deliveryReplay),
  turn: compileValidator(deliveryTurn),
};

/**
 * The `webhook-id` of a trigger for a receiver: a function of both, so that it stays whatever is lost. The generation
 * stands in it because a resized topic gives trigger ids anew.
 */
export function deliveryIdOf(
  namespace: Namespace,
  generation: number,
  receiver: string,
  trigger: string,
): string {
  const text = [namespace.name, generation, receiver, trigger].join('\n');
  return `msg_${createHash('sha256').update(text).digest('hex').slice(0, 32)}`;
}

/** What compaction keeps the last of. */
export function deliveryKey(record: DeliveriesTopicRecord): string {
  switch (record.kind) {
    case 'delivery':
      return record.id;
    case 'cursor':
      return `cursor:${record.partition}`;
    case 'replay':
      return `replay:${record.id}`;
    case 'turn':
      return 'turn';
    case 'forgotten':
      return record.key;
  }
}

/** The record as it is written. */
export function deliveryMessage(
  namespace: Namespace,
  record: Exclude<DeliveriesTopicRecord, DeliveryForgotten>,
): Outgoing;
export function deliveryMessage(namespace: Namespace, record: DeliveriesTopicRecord): TransactionalMessage;
export function deliveryMessage(namespace: Namespace, record: DeliveriesTopicRecord): TransactionalMessage {
  return {
    topic: namespace.topics.deliveries,
    partition: 0,
    key: deliveryKey(record),
    value: record.kind === 'forgotten' ? null : JSON.stringify(record),
  };
}

/** The record, or null for what is none (nobody can stop the sender with garbage). */
export function readDeliveryRecord({
  key,
  value,
}: Pick<LogRecord, 'key' | 'value'>): DeliveriesTopicRecord | null {
  if (value === null) return key === null ? null : { kind: 'forgotten', key: key.toString('utf8') };
  try {
    const parsed = JSON.parse(value.toString('utf8')) as { kind?: unknown };
    const validate = Object.hasOwn(validators, String(parsed?.kind))
      ? validators[parsed.kind as keyof typeof validators]
      : undefined;
    const checked = validate?.(parsed);
    return checked?.ok ? checked.value : null;
  } catch {
    return null;
  }
}

/** What the topic says, its records folded in order. */
export interface DeliveryFold {
  /** By id; the latest change last. */
  readonly deliveries: Map<string, Delivery>;
  /** Where each partition of `triggers` is to be read on. */
  readonly cursors: Map<number, DeliveryCursor>;
  /** Replays that were asked for of deliveries that have not changed since. */
  readonly replays: Map<string, DeliveryReplay>;
}

export function emptyDeliveryFold(): DeliveryFold {
  return { deliveries: new Map(), cursors: new Map(), replays: new Map() };
}

export function foldDelivery(fold: DeliveryFold, record: DeliveriesTopicRecord): void {
  switch (record.kind) {
    case 'delivery':
      fold.deliveries.delete(record.id);
      fold.deliveries.set(record.id, record);
      fold.replays.delete(record.id);
      break;
    case 'cursor':
      fold.cursors.set(record.partition, record);
      break;
    case 'replay':
      fold.replays.set(record.id, record);
      break;
    case 'forgotten':
      fold.deliveries.delete(record.key);
      fold.replays.delete(record.key.replace(/^replay:/, ''));
      break;
    case 'turn':
      break;
  }
}

/** A record of the topic; null for what is none of it. */
export interface DeliveryAt {
  readonly offset: number;
  readonly record: DeliveriesTopicRecord | null;
}

/**
 * Every committed record up to the topic's end as it is now, in order. Answers where to read on. There are weeks of them: whoever
 * may have to end meanwhile gives a signal.
 * @throws as `readPartition`; the signal's reason once it is aborted
 */
export async function eachDeliveryBatch(
  brokers: string,
  namespace: Namespace,
  each: (batch: readonly DeliveryAt[]) => void,
  signal?: AbortSignal,
): Promise<number> {
  const topic = namespace.topics.deliveries;
  const admin = openTopicAdmin(brokers);
  const asked = admin.watermarks(topic).finally(() => admin.close());
  const [watermarks] = await beforeAbort(asked, signal);
  const { low, high } = watermarks!;
  for await (const batch of readPartition({ brokers, topic, partition: 0, from: low, to: high, signal }))
    each(batch.map((record) => ({ offset: record.offset, record: readDeliveryRecord(record) })));
  signal?.throwIfAborted();
  return high;
}

/** As `eachDeliveryBatch`, one by one. */
export function eachDeliveryRecord(
  brokers: string,
  namespace: Namespace,
  each: (record: DeliveriesTopicRecord | null, offset: number) => void,
  signal?: AbortSignal,
): Promise<number> {
  const eachOf = (batch: readonly DeliveryAt[]): void => {
    for (const { record, offset } of batch) each(record, offset);
  };
  return eachDeliveryBatch(brokers, namespace, eachOf, signal);
}

/** The whole topic, record by record; null for what is no record of it. */
export async function readDeliveryRecords(brokers: string, namespace: Namespace): Promise<DeliveryAt[]> {
  const records: DeliveryAt[] = [];
  await eachDeliveryRecord(brokers, namespace, (record, offset) => records.push({ offset, record }));
  return records;
}

/** The whole topic, folded; `next` is where to read on. */
export async function readDeliveries(
  brokers: string,
  namespace: Namespace,
): Promise<{ fold: DeliveryFold; next: number }> {
  const fold = emptyDeliveryFold();
  const next = await eachDeliveryRecord(brokers, namespace, (record) => {
    if (record !== null) foldDelivery(fold, record);
  });
  return { fold, next };
}
