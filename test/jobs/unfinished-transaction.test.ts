// A broker that dies at the wrong moment can forget to end a transaction in a partition: its coordinator knows of none, and
// whoever reads what is committed waits there for ever. Seen by the fault `kafka-away`; made here by writing past the coordinator.
import {
  Admin,
  ConfigResourceTypes,
  Connection,
  Consumer,
  FetchIsolationLevels,
  IncrementalAlterConfigOperationTypes,
  initProducerIdV4,
  produceV10,
} from '@platformatic/kafka';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { DeliveriesTopicRecord } from '../../domain/delivery.ts';
import { deliveryMessage, readDeliveries } from '../../platform/delivery-log.ts';
import { readPartition } from '../../platform/kafka-read.ts';
import { openTransactionalProducer } from '../../platform/kafka-transactions.ts';
import { endChildren, startChild } from '../e2e/support/child.ts';
import { openStage, type Stage } from '../e2e/support/stage.ts';

const BROKER = '1';
const VERIFICATION = 'transaction.partition.verification.enable';
let stage: Stage;

beforeAll(async () => {
  stage = await openStage('unfinished', { environment: { JOBS_METRICS_PORT: '0' } });
});
afterEach(endChildren);
afterAll(() => stage.close());

/** Lets brokers take what a coordinator was not told of; for as long as `work` takes. */
async function unverified(work: () => PromiseLike<void>): Promise<void> {
  const admin = new Admin({ clientId: 'test', bootstrapBrokers: [stage.config.kafkaBrokers] });
  const verify = (value: string): Promise<void> =>
    admin.incrementalAlterConfigs({
      resources: [
        {
          resourceType: ConfigResourceTypes.BROKER,
          resourceName: BROKER,
          configs: [{ name: VERIFICATION, configOperation: IncrementalAlterConfigOperationTypes.SET, value }],
        },
      ],
    });
  await verify('false');
  try {
    await work();
  } finally {
    await verify('true');
    await admin.close();
  }
}

/** Writes in a transaction of the leader's id that nobody will end. */
async function leaveOpen(records: readonly DeliveriesTopicRecord[]): Promise<void> {
  const brokers = stage.config.kafkaBrokers;
  const transactionalId = `flywheel-jobs-${stage.namespace.name}`;
  // The first to ask for an id's coordinator makes it.
  const first = await openTransactionalProducer({ brokers, clientId: 'test', transactionalId });
  await first.close();
  const [host, port] = brokers.split(':');
  const connection = new Connection('test');
  await connection.connect(host!, Number(port));
  const opened = await initProducerIdV4.api.async(connection, transactionalId, 20_000, -1n, -1);
  const { producerId, producerEpoch } = opened;
  const messages = records.map((record) => {
    const { topic, partition, key, value } = deliveryMessage(stage.namespace, record);
    return { topic, partition, key: Buffer.from(key!), value: Buffer.from(value!) };
  });
  const options = { transactionalId, producerId, producerEpoch, firstSequence: 0 };
  const write = () => produceV10.api.async(connection, -1, 5_000, messages, options);
  // The broker takes the setting a moment after it has answered.
  await unverified(() => expect.poll(write, { timeout: 10_000 }).toBeTruthy());
  await connection.close();
}

async function ends(): Promise<{ written: number; readable: number }> {
  const consumer = new Consumer({
    clientId: 'test',
    groupId: 'test',
    bootstrapBrokers: [stage.config.kafkaBrokers],
  });
  const topics = [stage.namespace.topics.deliveries];
  const at = async (isolationLevel: 0 | 1): Promise<number> => {
    const offsets = await consumer.listOffsets({ topics, timestamp: -1n, isolationLevel });
    return Number(offsets.get(topics[0]!)?.[0]);
  };
  const found = {
    written: await at(FetchIsolationLevels.READ_UNCOMMITTED),
    readable: await at(FetchIsolationLevels.READ_COMMITTED),
  };
  await consumer.close();
  return found;
}

it('a leader ends what the broker forgot to end, and reads what was written there', async () => {
  await leaveOpen([{ kind: 'cursor', partition: 2, next: 41 }]);
  // Nobody knows of it but the partition.
  expect(await ends()).toEqual({ written: 1, readable: 0 });
  const { topic, partition } = deliveryMessage(stage.namespace, { kind: 'turn', atMs: 0 });
  const brokers = stage.config.kafkaBrokers;
  const read = readPartition({ brokers, topic, partition, from: 0, to: 1, patienceMs: 500 });
  await expect(read.next()).rejects.toThrow(
    /ends at offset 1, and nothing came from 0 on for 0\.5 s.*a transaction there was never ended/,
  );

  const jobs = startChild('jobs', stage.environment);
  const { metrics } = await jobs.ready;
  await expect
    .poll(async () => (await fetch(String(metrics))).text(), { timeout: 20_000 })
    .toMatch(/^flywheel_jobs_leads 1$/m);

  const { written, readable } = await ends();
  expect(readable).toBe(written);
  const { fold } = await readDeliveries(brokers, stage.namespace);
  // It may have been acknowledged: what was written counts.
  expect(fold.cursors.get(2)?.next).toBe(41);
});
