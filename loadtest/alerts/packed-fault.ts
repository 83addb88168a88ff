// A record that Kafka takes and whose forward it does not: somebody wrote it packed, past collect.
import { createProducer } from '../../platform/kafka.ts';
import { buyerPartition } from '../../platform/keys.ts';
import { type Fault, nothing, post, type Victim } from './victim.ts';

const PACKED_VISITOR = 'packed-visitor';
const PACKED_BYTES = 1_300_000;
/** By then its owner has heard of the link. */
const LINKED_BY_TICK = 5;

/** Small in the log: what the stream forwards of it to the visitor's user is more than Kafka takes. */
async function producePacked({ config, namespace }: Victim, tick: number): Promise<void> {
  const nowMs = Date.now();
  const record = {
    ...{ kind: 'track', messageId: `packed-${tick}`, anonymousId: PACKED_VISITOR, event: 'Page Viewed' },
    ...{ properties: { text: 'x'.repeat(PACKED_BYTES) }, timestamp: nowMs, receivedAt: nowMs },
  };
  const key = `a:${PACKED_VISITOR}`;
  const producer = await createProducer({
    ...{ brokers: config.kafkaBrokers, clientId: 'packing', deliveryTimeoutMs: 10_000 },
    compression: 'gzip',
  });
  const place = { topic: namespace.topics.events, partition: buyerPartition(key), key };
  await producer.sendBatch([{ ...place, value: JSON.stringify(record) }]);
  await producer.close();
}

export const packedFault: Fault = {
  name: 'a large event is written packed past serve, for a visitor who is linked',
  alerts: ['FlywheelRecordTooLarge'],
  async cause(victim, tick) {
    if (tick === 0) await post(victim, '/v1/identify', { userId: 'packed', anonymousId: PACKED_VISITOR });
    if (tick >= LINKED_BY_TICK) await producePacked(victim, tick);
  },
  mend: nothing,
};
