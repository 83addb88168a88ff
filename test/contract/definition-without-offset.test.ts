// A broker that was started again answers the repeated write of a record that it has with DUPLICATE_SEQUENCE: librdkafka takes that for
// a success, but knows no offset. The change holds, and its author was told of a conflict, or of a fault.
import { afterAll, beforeAll, expect, inject, it, onTestFinished } from 'vitest';
import { openDefinitionLog } from '../../platform/definition-log.ts';
import { createPublisher } from '../../platform/definition-publish.ts';
import { createProducer, type Producer } from '../../platform/kafka.ts';
import { openTopicAdmin } from '../../platform/kafka-topics.ts';
import { namespaceOf } from '../../platform/namespace.ts';

const namespace = namespaceOf('without-offset');
const brokers = inject('kafkaBrokers');
let producer: Producer;

beforeAll(async () => {
  const admin = openTopicAdmin(brokers);
  await admin.createMissing(namespace);
  await admin.close();
  producer = await createProducer({ brokers, clientId: 'without-offset', deliveryTimeoutMs: 10_000 });
});
afterAll(() => producer?.close());

/** A publisher whose producer is told no offsets; what it appends is in the log, after what `first` appends. */
async function publisherAfter(first: () => Promise<unknown> = async () => {}) {
  const log = await openDefinitionLog({ brokers, namespace });
  onTestFinished(() => log.close());
  await log.caughtUp();
  const unsure: Producer = {
    inFlight: 0,
    async send(...message) {
      await first();
      await producer.send(...message);
      return { offset: -1 };
    },
    sendBatch: (messages, whenFull) => producer.sendBatch(messages, whenFull),
    close: async () => {},
  };
  return createPublisher({ log, producer: unsure, namespace, nowMs: Date.now });
}

const account = (id: string, dailyBudgetMicros: number) => ({
  ...({ type: 'account', id, by: 'test', why: 'to see' } as const),
  document: { name: 'a', currency: 'EUR', dailyBudgetMicros },
});

it('a change that holds is published, whether it is the first or not', async () => {
  const publisher = await publisherAfter();
  expect(await publisher.publish(account('a', 1))).toMatchObject({ outcome: 'published', revision: 1 });
  expect(await publisher.publish(account('a', 2))).toMatchObject({ outcome: 'published', revision: 2 });
});

it('a change that came second is a conflict', async () => {
  const other = await publisherAfter();
  let isFirst = true;
  const publisher = await publisherAfter(async () => {
    if (isFirst) await other.publish(account('b', 1));
    isFirst = false;
  });
  expect(await publisher.publish(account('b', 2))).toMatchObject({ outcome: 'conflict', revision: 1 });
});
