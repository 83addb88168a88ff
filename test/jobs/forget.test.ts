// Old deliveries leave a real topic: Kafka drops them, with what was to be told of them, in an order in which the oracle never misses one.
import { Admin, ConfigResourceTypes, IncrementalAlterConfigOperationTypes } from '@platformatic/kafka';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import type { DeliveriesTopicRecord, Delivery, DeliveryStatus } from '../../domain/delivery.ts';
import { partitionOf } from '../../domain/hash.ts';
import { forgetOnce } from '../../jobs/forget.ts';
import { createDeliveryWriter } from '../../jobs/writer.ts';
import {
  deliveryIdOf,
  eachDeliveryRecord,
  readDeliveries,
  readDeliveryRecords,
} from '../../platform/delivery-log.ts';
import { openTopicAdmin } from '../../platform/kafka-topics.ts';
import { openTransactionalProducer, type TransactionalProducer } from '../../platform/kafka-transactions.ts';
import { namespaceOf, topicPartitions } from '../../platform/namespace.ts';
import { Comparison } from '../../verify/compare.ts';
import { compareDeliveries } from '../../verify/deliveries.ts';
import type { Scope } from '../../verify/scope.ts';
import { deliveryOf } from './support/delivery.ts';

const AT_MS = Date.UTC(2026, 0, 1);
const LONG_AFTER_MS = AT_MS + 30 * 86_400_000;
const namespace = namespaceOf('forget');
const topic = namespace.topics.deliveries;
const partition = partitionOf('u:1', topicPartitions.triggers);
const triggers = [0, 1, 2].map((n) => ({
  id: `1-${n}-0`,
  definition: 'lost-buyer',
  revision: 1,
  on: 'transition' as const,
  key: 'u:1',
  from: 'new',
  to: 'churned',
  timeMs: AT_MS,
  expiresMs: AT_MS + 1,
  data: {},
}));

let brokers: string;
let producer: TransactionalProducer;
let write: (records: readonly DeliveriesTopicRecord[]) => Promise<void>;

beforeAll(async () => {
  brokers = inject('kafkaBrokers');
  const admin = openTopicAdmin(brokers);
  await admin.createMissing(namespace);
  await admin.close();
  producer = await openTransactionalProducer({ brokers, clientId: 'test', transactionalId: 'forget' });
  const writer = createDeliveryWriter(producer, namespace, (error) => expect.unreachable(error.message));
  write = (records) => writer.write(records);
});
afterAll(() => producer?.close());

/** Kafka compacts at once what it keeps for a week else, and forgets that it was taken out. */
async function compactSoon(): Promise<void> {
  const admin = new Admin({ clientId: 'test', bootstrapBrokers: [brokers] });
  const configs = Object.entries({
    'min.compaction.lag.ms': '0',
    'delete.retention.ms': '0',
    'min.cleanable.dirty.ratio': '0',
    'segment.ms': '500',
  }).map(([name, value]) => ({ name, value, configOperation: IncrementalAlterConfigOperationTypes.SET }));
  const resourceType = ConfigResourceTypes.TOPIC;
  await admin.incrementalAlterConfigs({ resources: [{ resourceType, resourceName: topic, configs }] });
  await admin.close();
}

function at(n: number, status: DeliveryStatus, attempt: number): Delivery {
  const trigger = triggers[n]!;
  return deliveryOf({ id: deliveryIdOf(namespace, 1, 'crm', trigger.id), status, attempt, trigger });
}

/** The trigger at this offset was taken, for one receiver. */
function taken(offset: number): DeliveriesTopicRecord {
  const receivers = [{ id: 'crm', triggers: [] }];
  return { kind: 'cursor', partition, next: offset + 1, taken: { from: offset, receivers } };
}

async function differences(): Promise<unknown> {
  const comparison = new Comparison();
  const records = triggers.map((each, offset) => ({ offset, value: Buffer.from(JSON.stringify(each)) }));
  const events = [
    {
      stored: { id: { generation: 1 }, head: { offset: 3 } },
      walk: { partition: 1, watermarkMs: LONG_AFTER_MS },
    },
  ];
  const deliveries = await readDeliveryRecords(brokers, namespace);
  const scope = {
    comparison,
    namespace: namespace.name,
    events,
    endNow: () => 3,
    deliveries,
    triggers: [{ partition, records }],
  };
  compareDeliveries(scope as unknown as Scope);
  return comparison.differences;
}

it('what is forgotten is gone from the topic once Kafka compacts it, and the oracle misses nothing at any time', async () => {
  const told = (n: number): DeliveriesTopicRecord[] => [at(n, 'sending', 1), at(n, 'delivered', 1)];
  await write([at(0, 'queued', 0), taken(0)]);
  await write(told(0));
  await write([at(1, 'queued', 0), taken(1)]);
  await write(told(1));
  await write([at(2, 'queued', 0), taken(2)]);
  await write(told(2));
  await forgetOnce(
    {
      eachRecord: (each) => eachDeliveryRecord(brokers, namespace, each),
      expiry: async () => () => true,
      writer: { write },
      metrics: { forgot() {} },
      warn: (message) => expect.unreachable(message),
    },
    new AbortController().signal,
  );
  const { fold } = await readDeliveries(brokers, namespace);
  // The first alone: the other two stand behind the last cursor but one.
  expect([...fold.deliveries.keys()]).toEqual([at(1, 'delivered', 1).id, at(2, 'delivered', 1).id]);
  expect(await differences()).toEqual([]);
  await compactSoon();
  const kept = async (): Promise<string[]> => {
    // Only what stands before the segment that is written to is compacted.
    await write([{ kind: 'turn', atMs: AT_MS }]);
    expect(await differences()).toEqual([]);
    const records = await readDeliveryRecords(brokers, namespace);
    return records.flatMap(({ record }) => (record === null || record.kind === 'turn' ? [] : [record.kind]));
  };
  await expect.poll(kept, { timeout: 120_000, interval: 1_000 }).toEqual(['delivery', 'cursor', 'delivery']);
});
