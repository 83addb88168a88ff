// What the rest relies on from Kafka: acknowledged means readable, full means told, and each message is answered once.
import { randomUUID } from 'node:crypto';
import Kafka from 'node-rdkafka';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test, vi } from 'vitest';
import { createProducer, kafkaClientSettings, type Producer } from '../../platform/kafka.ts';
import { appendMsAt, readPartition } from '../../platform/kafka-read.ts';
import { openTopicAdmin, type TopicAdmin } from '../../platform/kafka-topics.ts';
import { openTransactionalProducer } from '../../platform/kafka-transactions.ts';
import { accountPartition, buyerPartition } from '../../platform/keys.ts';
import { namespaceOf, topicPartitions } from '../../platform/namespace.ts';
import { openLogReader } from '../../verify/log.ts';
import { seeded } from '../e2e/support/mixed-log.ts';
import { recordsOf } from './platform-support.ts';

const namespace = namespaceOf('contract-kafka');
const { topics } = namespace;
let brokers: string;
let admin: TopicAdmin;
let producer: Producer;

beforeAll(async () => {
  brokers = inject('kafkaBrokers');
  admin = openTopicAdmin(brokers);
  await admin.createMissing(namespace);
  producer = await createProducer({ brokers, clientId: 'contract', deliveryTimeoutMs: 10_000 });
});

afterAll(async () => {
  await producer.close();
  await admin.close();
});

describe('writing', () => {
  test('what is acknowledged can be read back at its offset, with key, headers and append time', async () => {
    const before = Date.now();
    const { offset } = await producer.send(topics.events, 5, 'u:müller', '{"a":"é"}', {
      source: 'events:1:2:3:4',
    });
    const [record] = (await recordsOf(topics.events, 5)).slice(offset);
    expect(record).toMatchObject({
      topic: topics.events,
      partition: 5,
      offset,
      headers: { source: 'events:1:2:3:4' },
    });
    expect(record!.key?.toString()).toBe('u:müller');
    expect(record!.value?.toString()).toBe('{"a":"é"}');
    expect(record!.appendedAtMs).toBeGreaterThanOrEqual(before - 1_000);
    expect(record!.appendedAtMs).toBeLessThanOrEqual(Date.now() + 1_000);
  });

  test('a record without key has none', async () => {
    const { offset } = await producer.send(topics.events, 5, null, 'x');
    expect((await recordsOf(topics.events, 5))[offset]!.key).toBeNull();
  });

  test('a batch keeps its order within each partition and returns the offsets in the order given', async () => {
    const messages = Array.from({ length: 6_000 }, (_, index) => ({
      topic: topics.events,
      partition: index % 3,
      key: null,
      value: String(index),
    }));
    const offsets = await producer.sendBatch(messages);
    for (const partition of [0, 1, 2]) {
      const records = await recordsOf(topics.events, partition);
      const mine = messages.flatMap((message, index) => (message.partition === partition ? [index] : []));
      expect(mine.map((index) => records[offsets[index]!]!.value!.toString())).toEqual(mine.map(String));
      expect(offsets[mine[1]!]! - offsets[mine[0]!]!).toBe(1);
    }
  });

  test('concurrent batches are each answered completely', async () => {
    const batches = Array.from({ length: 8 }, (_, batch) =>
      Array.from({ length: 500 }, (_, index) => ({
        topic: topics.spend,
        partition: index % 4,
        key: `${batch}`,
        value: `${batch}:${index}`,
      })),
    );
    const offsets = await Promise.all(batches.map((messages) => producer.sendBatch(messages)));
    const places = offsets.flatMap((list, batch) =>
      list.map((offset, i) => `${batches[batch]![i]!.partition}:${offset}`),
    );
    expect(new Set(places).size).toBe(4_000);
    expect(producer.inFlight).toBe(0);
  });
});

describe('what cannot be written', () => {
  test('too many messages at a time: KAFKA_QUEUE_FULL, the others are delivered', async () => {
    const small = await createProducer({
      brokers,
      clientId: 'small',
      deliveryTimeoutMs: 10_000,
      inFlightMax: 100,
    });
    const sent = await Promise.allSettled(
      Array.from({ length: 250 }, () => small.send(topics.triggers, 0, null, 'x')),
    );
    const refused = sent.filter((result) => result.status === 'rejected');
    expect(refused).toHaveLength(150);
    for (const { reason } of refused) expect(reason).toMatchObject({ code: 'KAFKA_QUEUE_FULL' });
    expect(await recordsOf(topics.triggers, 0)).toHaveLength(100);
    await small.close();
  });

  test('too many bytes at a time: KAFKA_QUEUE_FULL of librdkafka itself', async () => {
    const small = await createProducer({
      brokers,
      clientId: 'bytes',
      deliveryTimeoutMs: 10_000,
      inFlightKilobytesMax: 1_024,
    });
    const value = Buffer.alloc(300_000);
    const sent = await Promise.allSettled(
      Array.from({ length: 10 }, () => small.send(topics.triggers, 1, null, value)),
    );
    const refused = sent.filter((result) => result.status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    for (const { reason } of refused) expect(reason).toMatchObject({ code: 'KAFKA_QUEUE_FULL' });
    expect(await recordsOf(topics.triggers, 1)).toHaveLength(10 - refused.length);
    await small.close();
  });

  test('a batch waits for room, or refuses as a whole when asked to', async () => {
    const small = await createProducer({
      brokers,
      clientId: 'wait',
      deliveryTimeoutMs: 10_000,
      inFlightMax: 50,
    });
    const messages = Array.from({ length: 500 }, () => ({
      topic: topics.triggers,
      partition: 2,
      key: null,
      value: 'x',
    }));
    await expect(small.sendBatch(messages, 'refuse')).rejects.toMatchObject({ code: 'KAFKA_QUEUE_FULL' });
    expect(await small.sendBatch(messages)).toHaveLength(500);
    expect(await recordsOf(topics.triggers, 2)).toHaveLength(500);
    await small.close();
  });

  test('a message larger than its topic takes: KAFKA_TOO_LARGE; rejects may be larger', async () => {
    const twoMegabytes = Buffer.alloc(2_000_000, 'x');
    await expect(producer.send(topics.events, 0, null, twoMegabytes)).rejects.toMatchObject({
      code: 'KAFKA_TOO_LARGE',
    });
    const tenMegabytes = Buffer.alloc(10_000_000, 'x');
    await expect(producer.send(topics.rejected, 0, null, tenMegabytes)).rejects.toMatchObject({
      code: 'KAFKA_TOO_LARGE',
    });
    const sevenMegabytes = Buffer.alloc(7_000_000, 'x');
    await producer.send(topics.rejected, 0, null, sevenMegabytes);
    expect((await recordsOf(topics.rejected, 0)).map(({ value }) => value?.length)).toEqual([7_000_000]);
  });

  test('a producer that packs writes the longest past of a buyer, which is beyond the limit; our readers read it', async () => {
    const random = seeded(7);
    const below = (count: number): number => Math.floor(random() * count);
    const names = Array.from({ length: 40 }, (_, n) => `requestedAQuotationForASample${100 + n}`);
    const links = Array.from({ length: 50 }, (_, n) => `${n % 12}-${below(1e9)}-${randomUUID()}`);
    const behaviours = Array.from({ length: 20_000 }, (_, n) => [
      Date.UTC(2026, 0, 1) + n * 600_000 + below(600_000),
      names[below(names.length)],
      links[below(links.length)],
    ]);
    const value = JSON.stringify({ kind: 'backfill', key: 'u:1', behaviours });
    expect(value.length).toBeGreaterThan(1_048_576);
    await expect(producer.send(topics.events, 6, 'u:1', value)).rejects.toMatchObject({
      code: 'KAFKA_TOO_LARGE',
    });
    const packing = await createProducer({
      brokers,
      clientId: 'packing',
      deliveryTimeoutMs: 10_000,
      compression: 'gzip',
    });
    const { offset } = await packing.send(topics.events, 6, 'u:1', value);
    await packing.close();
    expect((await recordsOf(topics.events, 6))[offset]!.value!.toString()).toBe(value);
    const oracle = openLogReader(brokers);
    const { records } = await oracle.read(topics.events, 6, offset, offset + 1);
    await oracle.close();
    expect(records.map((record) => record.value!.toString())).toEqual([value]);
  });

  test('a batch with one bad message fails with its reason after the others are written', async () => {
    const good = { topic: topics.triggers, partition: 3, key: null, value: 'x' };
    const bad = { ...good, value: Buffer.alloc(2_000_000) };
    await expect(producer.sendBatch([good, bad, good])).rejects.toMatchObject({ code: 'KAFKA_TOO_LARGE' });
    expect(await recordsOf(topics.triggers, 3)).toHaveLength(2);
    expect(producer.inFlight).toBe(0);
  });

  test('no broker: KAFKA_UNREACHABLE with the address; after closing: KAFKA_CLOSED', async () => {
    const nowhere = { brokers: '127.0.0.1:1', clientId: 'x', deliveryTimeoutMs: 1_000 };
    await expect(createProducer(nowhere)).rejects.toMatchObject({
      code: 'KAFKA_UNREACHABLE',
      message: expect.stringContaining('127.0.0.1:1'),
    });
    const closed = await createProducer({ ...nowhere, brokers });
    await closed.close();
    await expect(closed.send(topics.events, 0, null, 'x')).rejects.toMatchObject({ code: 'KAFKA_CLOSED' });
  });
});

describe('reading', () => {
  test('ends at `to`, begins at `from`, and stops for a signal', async () => {
    const from = (
      await producer.sendBatch(
        Array.from({ length: 10 }, (_, i) => ({
          topic: topics.spend,
          partition: 1,
          key: null,
          value: `r${i}`,
        })),
      )
    )[0]!;
    const values: string[] = [];
    const part = { brokers, topic: topics.spend, partition: 1 };
    for await (const batch of readPartition({ ...part, from: from + 2, to: from + 5 })) {
      values.push(...batch.map(({ value }) => value!.toString()));
    }
    expect(values).toEqual(['r2', 'r3', 'r4']);
    const stop = new AbortController();
    let followed = 0;
    for await (const batch of readPartition({ ...part, from, signal: stop.signal })) {
      followed += batch.length;
      if (followed === 10) stop.abort();
    }
    expect(followed).toBe(10);
  });

  test('when one record was appended; nothing for an offset that only the marker of a transaction has', async () => {
    const writer = await openTransactionalProducer({
      brokers,
      clientId: 'marker',
      transactionalId: `marker-${namespace.name}`,
    });
    const part = { topic: topics.events, partition: 7 };
    await writer.append([{ ...part, key: null, value: 'in a transaction' }]);
    await writer.close();
    // Kafka says that a transaction is committed before its marker stands in the log.
    await vi.waitFor(async () => expect((await admin.watermarks(part.topic))[part.partition]!.high).toBe(2));
    await producer.send(part.topic, part.partition, null, 'behind its marker');
    const records = await recordsOf(part.topic, part.partition);
    expect(records.map(({ offset }) => offset)).toEqual([0, 2]);
    const found = await Promise.all([0, 1, 2].map((offset) => appendMsAt({ brokers, ...part }, offset)));
    expect(found).toEqual([records[0]!.appendedAtMs, undefined, records[1]!.appendedAtMs]);
  });

  test('one record is taken alone, however much stands behind it', async () => {
    const part = { topic: topics.events, partition: 8 };
    const value = 'x'.repeat(300_000);
    const written = Array.from({ length: 6 }, () => producer.send(part.topic, part.partition, null, value));
    await Promise.all(written);
    const taken = vi.spyOn(Kafka.KafkaConsumer.prototype, 'consume');
    onTestFinished(() => taken.mockRestore());
    expect(await appendMsAt({ brokers, ...part }, 1)).toBeGreaterThan(0);
    expect(new Set(taken.mock.calls.map((call: unknown[]) => call[0]))).toEqual(new Set([1]));
    const sizes: number[] = [];
    for await (const batch of readPartition({ brokers, ...part, from: 0, to: 6, oneByOne: true }))
      sizes.push(batch.length);
    expect(sizes).toEqual([1, 1, 1, 1, 1, 1]);
  });

  test('an offset that the log does not have is an error, not an empty answer', async () => {
    const read = async () => {
      for await (const _ of readPartition({
        brokers,
        topic: topics.spend,
        partition: 1,
        from: 1e6,
        to: 2e6,
      }));
    };
    await expect(read()).rejects.toMatchObject({ code: 'KAFKA_READ_FAILED' });
  });
});

test("our partition of a key is that of Kafka's own clients", async () => {
  const keys = Array.from(
    { length: 400 },
    (_, index) => ['u:', 'a:', 'c:'][index % 3] + ['é', '買', '', ' '][index % 4]! + index,
  );
  const java = new Kafka.Producer(
    { ...kafkaClientSettings(brokers, 'murmur2'), dr_cb: true },
    { partitioner: 'murmur2_random' },
  );
  await new Promise<void>((resolve, reject) =>
    java.connect({}, (error) => (error ? reject(error) : resolve())),
  );
  java.setPollInterval(5);
  const chosen = new Map<string, number>();
  const all = new Promise<void>((resolve) => {
    java.on('delivery-report', (_, { topic, partition, opaque }) => {
      chosen.set(`${topic} ${opaque as string}`, partition);
      if (chosen.size === 2 * keys.length) resolve();
    });
  });
  for (const key of keys) {
    for (const topic of [topics.events, topics.spend])
      java.produce(topic, null, Buffer.from('x'), key, null, key);
  }
  await all;
  await new Promise<void>((resolve) => java.disconnect(() => resolve()));
  for (const key of keys) {
    expect(buyerPartition(key), key).toBe(chosen.get(`${topics.events} ${key}`));
    expect(accountPartition(key), key).toBe(chosen.get(`${topics.spend} ${key}`));
  }
  expect(new Set(keys.map(buyerPartition)).size).toBe(topicPartitions.events);
});
