// Acknowledgements: a receipt in `events` under the buyer's key, answered after Kafka has it. Until the stream has
// removed a trigger it is remembered here, so that it is not offered again meanwhile.
import type { WaitingTrigger } from '../../domain/delivery.ts';
import type { Producer } from '../../platform/kafka.ts';
import { buyerPartition } from '../../platform/keys.ts';
import { topicPartitions } from '../../platform/namespace.ts';
import { receiptMessage } from '../../platform/trigger-offer.ts';
import { RecentKeys } from '../recent-keys.ts';
import { fromRedis, type StateReader } from '../state.ts';

/** Acknowledged triggers that are remembered; the stream removes them within seconds. */
const REMEMBERED_MAX = 100_000;

export interface Acknowledgement {
  readonly id: string;
  /** Given by callers that know it: then a trigger that is no longer pending can be acknowledged too. */
  readonly key?: string | undefined;
}

/** `unknown`: not pending and no key given. `misplaced`: the key is not the trigger's, or its partition not the one in the id. */
export type AcknowledgementStatus = 'acknowledged' | 'unknown' | 'misplaced';

export interface ReceiptPorts {
  readonly reader: StateReader;
  readonly producer: Producer;
  readonly topic: string;
  nowMs(): number;
}

export interface Receipts {
  isAcknowledged(id: string): boolean;
  /** @throws what the producer throws; then nothing is acknowledged, and the caller may repeat all of it. */
  acknowledge(acknowledgements: readonly Acknowledgement[]): Promise<AcknowledgementStatus[]>;
}

const TRIGGER_ID = /^(\d{1,4})-(\d{1,16})-(\d{1,10})$/;

/** The partition in a trigger's id `<partition>-<offset>-<ordinal>`; null if it is no such id. */
export function partitionOfTrigger(id: string): number | null {
  const match = TRIGGER_ID.exec(id);
  const partition = match === null ? Number.NaN : Number(match[1]);
  return partition < topicPartitions.events ? partition : null;
}

export function createReceipts({ reader, producer, topic, nowMs }: ReceiptPorts): Receipts {
  const acknowledged = new RecentKeys(REMEMBERED_MAX);

  /** The buyer's key, or why there can be no receipt. */
  async function keyOf({ id, key }: Acknowledgement): Promise<{ key: string } | AcknowledgementStatus> {
    const partition = partitionOfTrigger(id);
    if (partition === null) return 'unknown';
    if (key !== undefined && buyerPartition(key) !== partition) return 'misplaced';
    if (key === undefined && acknowledged.has(id)) return 'acknowledged';
    const stored = await fromRedis(reader.redis.hget(reader.keysOf('events', partition).triggers, id));
    if (stored === null) return key === undefined ? 'unknown' : { key };
    // The stream takes a receipt by the trigger's id alone: whose it is can only be told while it waits.
    const { key: own } = JSON.parse(stored) as WaitingTrigger;
    return key === undefined || key === own ? { key: own } : 'misplaced';
  }

  return {
    isAcknowledged: (id) => acknowledged.has(id),
    async acknowledge(acknowledgements) {
      const found = await Promise.all(acknowledgements.map(keyOf));
      const records = found.flatMap((each, index) =>
        typeof each === 'string'
          ? []
          : [receiptMessage(topic, acknowledgements[index]!.id, each.key, nowMs())],
      );
      if (records.length > 0) await producer.sendBatch(records, 'refuse');
      return found.map((each, index) => {
        if (typeof each === 'string') return each;
        acknowledged.add(acknowledgements[index]!.id);
        return 'acknowledged';
      });
    },
  };
}
