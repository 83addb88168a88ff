// Readers that go on for as long as their process lives, each made to stand still underneath: librdkafka fetches no more and
// says nothing, as it does of a partition that it has let go.
import Kafka from 'node-rdkafka';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  expect,
  inject,
  it,
  type MockInstance,
  vi,
} from 'vitest';
import { openDefinitionLog } from '../../platform/definition-log.ts';
import { createPublisher } from '../../platform/definition-publish.ts';
import { deliveryMessage, eachDeliveryBatch } from '../../platform/delivery-log.ts';
import { createProducer, type Producer } from '../../platform/kafka.ts';
import { followPartition } from '../../platform/kafka-follow.ts';
import { openTopicAdmin } from '../../platform/kafka-topics.ts';
import { openTransactionalProducer } from '../../platform/kafka-transactions.ts';
import { namespaceOf } from '../../platform/namespace.ts';
import { openDeliveryView } from '../../serve/deliveries/view.ts';
import { deliveryOf, triggerOf } from '../jobs/dispatching.ts';

const namespace = namespaceOf('contract-follow');
const { topics } = namespace;
const AT_MS = Date.UTC(2026, 0, 1);
let brokers: string;
let producer: Producer;
/** Its contexts are the consumers. */
let assign: MockInstance;

beforeAll(async () => {
  brokers = inject('kafkaBrokers');
  const admin = openTopicAdmin(brokers);
  await admin.createMissing(namespace);
  await admin.close();
  producer = await createProducer({ brokers, clientId: 'follow', deliveryTimeoutMs: 10_000 });
});
afterAll(() => producer.close());
beforeEach(() => {
  assign = vi.spyOn(Kafka.KafkaConsumer.prototype, 'assign');
});
afterEach(() => void assign.mockRestore());

/** Consumers that are there now; some have read what they were for, and their client is gone, which it says by throwing. */
function readersOf(topic: string): Kafka.KafkaConsumer[] {
  return (assign.mock.contexts as Kafka.KafkaConsumer[]).filter((consumer) => {
    try {
      return consumer.isConnected() && consumer.assignments().some((each) => each.topic === topic);
    } catch {
      return false;
    }
  });
}

/** All of them fetch no more of it. */
function pause(topic: string, partition = 0): void {
  const readers = readersOf(topic);
  expect(readers).not.toEqual([]);
  for (const consumer of readers) consumer.pause([{ topic, partition }]);
}

it('one that stands still is told of, and gives every record once and in order all the same', async () => {
  const topic = topics.events;
  const ending = new AbortController();
  const told: (string | null)[] = [];
  const got: string[] = [];
  const onStall = (message: string | null): void => void told.push(message);
  const followed = (async () => {
    const at = { brokers, topic, partition: 3, from: 0, signal: ending.signal, lookMs: 1_000 };
    for await (const batch of followPartition({ ...at, onStall }))
      got.push(...batch.map(({ value }) => value!.toString()));
  })();
  const send = (value: string) => producer.send(topic, 3, null, value);
  await send('a');
  await vi.waitFor(() => expect(got).toEqual(['a']), { timeout: 20_000 });
  pause(topic, 3);
  await send('b');
  await send('c');
  await vi.waitFor(() => expect(got).toEqual(['a', 'b', 'c']), { timeout: 20_000 });
  expect(told).toEqual([expect.stringContaining('from offset 1 on, though it can be read up to 3'), null]);
  await send('d');
  await vi.waitFor(() => expect(got).toEqual(['a', 'b', 'c', 'd']), { timeout: 20_000 });
  ending.abort();
  await followed;
});

it('definitions and deliveries are not caught up while their reader stands still, say so, and read on', async () => {
  const warnings: string[] = [];
  const onWarning = (message: string): void => void warnings.push(message);
  const log = await openDefinitionLog({ brokers, namespace, onWarning });
  const view = openDeliveryView({ brokers, namespace, onWarning });
  const publisher = createPublisher({ log, producer, namespace, nowMs: Date.now });
  const transactional = await openTransactionalProducer({ brokers, clientId: 'test', transactionalId: 'f' });
  const at = { timeMs: AT_MS, expiresMs: AT_MS };
  const told = deliveryOf({ ...triggerOf('t', 0), ...at }, { createdMs: AT_MS });
  const say = (atMs: number) => transactional.append([deliveryMessage(namespace, { ...told, atMs })]);
  const document = (dailyBudgetMicros: number) => ({ name: 'a', currency: 'EUR', dailyBudgetMicros });
  const publish = (micros: number) =>
    publisher.publish({ type: 'account', id: 'a', document: document(micros), by: 'test', why: '' });
  await say(AT_MS + 1);
  await publish(1);
  await vi.waitFor(() => expect(view.find(told.id)?.atMs).toBe(AT_MS + 1), { timeout: 20_000 });
  expect([log.isCaughtUp(), view.isCaughtUp()]).toEqual([true, true]);

  pause(topics.definitions);
  pause(topics.deliveries);
  const wereBehind = { definitions: false, deliveries: false };
  const watching = setInterval(() => {
    wereBehind.definitions ||= !log.isCaughtUp();
    wereBehind.deliveries ||= !view.isCaughtUp();
  }, 5);
  await say(AT_MS + 2);
  // The publisher reads its own record back before it answers.
  const published = await publish(2);
  await vi.waitFor(() => expect(view.find(told.id)?.atMs).toBe(AT_MS + 2), { timeout: 60_000 });
  clearInterval(watching);
  expect(published).toMatchObject({ outcome: 'published', revision: 2 });
  expect(warnings.filter((each) => each.includes(`nothing came of ${topics.definitions} 0`))).toHaveLength(1);
  expect(warnings.filter((each) => each.includes(`nothing came of ${topics.deliveries} 0`))).toHaveLength(1);
  expect(wereBehind).toEqual({ definitions: true, deliveries: true });
  expect([log.isCaughtUp(), view.isCaughtUp()]).toEqual([true, true]);
  await Promise.all([log.close(), view.close(), transactional.close()]);
});

// The failure of its being opened again withdrew that it stood still: `serve` was ready with what was old.
it('definitions and deliveries are not caught up while a reader that stood still cannot be opened again', async () => {
  const warnings: string[] = [];
  const onWarning = (message: string): void => void warnings.push(message);
  const log = await openDefinitionLog({ brokers, namespace, onWarning });
  const view = openDeliveryView({ brokers, namespace, onWarning });
  const standing = () => [log.isCaughtUp(), view.isCaughtUp()];
  const say = () =>
    Promise.all([topics.definitions, topics.deliveries].map((topic) => producer.send(topic, 0, 'k', '{}')));
  await vi.waitFor(() => expect(standing()).toEqual([true, true]), { timeout: 20_000 });
  const read = [topics.definitions, topics.deliveries];
  await vi.waitFor(() => expect(read.map((topic) => readersOf(topic).length)).toEqual([1, 1]), {
    timeout: 20_000,
  });
  pause(topics.definitions);
  pause(topics.deliveries);
  const connect = vi.spyOn(Kafka.KafkaConsumer.prototype, 'connect').mockImplementation(function (
    this: Kafka.KafkaConsumer,
    _options,
    connected,
  ) {
    const refusal = Object.assign(new Error('refused by the test'), { code: -1, errno: -1, origin: 'test' });
    connected?.(refusal, {} as never);
    return this;
  });
  try {
    await say();
    const refusals = (what: string) =>
      warnings.filter((each) => each.includes(what) && each.includes('no Kafka at')).length;
    await vi.waitFor(
      () => {
        expect(refusals(`following ${topics.definitions} failed`)).toBeGreaterThan(1);
        expect(refusals('the deliveries could not be followed')).toBeGreaterThan(1);
      },
      { timeout: 60_000 },
    );
    expect(standing()).toEqual([false, false]);
  } finally {
    connect.mockRestore();
  }
  await vi.waitFor(() => expect(standing()).toEqual([true, true]), { timeout: 20_000 });
  await Promise.all([log.close(), view.close()]);
});

it('who reads the deliveries to their end ends in the middle when it is told to', async () => {
  const deliveries = Array.from({ length: 10_000 }, (_none, number) => {
    const trigger = { ...triggerOf(`many-${number}`, 0), timeMs: AT_MS, expiresMs: AT_MS };
    return deliveryMessage(namespace, deliveryOf(trigger, { createdMs: AT_MS, atMs: AT_MS }));
  });
  await producer.sendBatch(deliveries);
  const ending = new AbortController();
  const reason = new Error('it is to end');
  let taken = 0;
  const take = (batch: readonly unknown[]): void => {
    taken += batch.length;
    ending.abort(reason);
  };
  await expect(eachDeliveryBatch(brokers, namespace, take, ending.signal)).rejects.toBe(reason);
  expect(taken).toBeLessThanOrEqual(4_000);
  await eachDeliveryBatch(brokers, namespace, take);
  expect(taken).toBeGreaterThan(10_000);
});
