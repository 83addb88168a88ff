// The outbox against a real Kafka: the largest record that is sent is taken, and what is larger is put aside.
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished, vi } from 'vitest';
import type { RejectedRecord } from '../../domain/record.ts';
import { createProducer, type Producer } from '../../platform/kafka.ts';
import { Admin } from '../../platform/kafka-admin.ts';
import { type LogRecord, readPartition } from '../../platform/kafka-read.ts';
import { openTopicAdmin, type TopicAdmin } from '../../platform/kafka-topics.ts';
import { namespaceOf, topicPartitions } from '../../platform/namespace.ts';
import type { OutboxRecord } from '../../stream/batch.ts';
import { readMessageLimits, setBytesMax } from '../../stream/message-limits.ts';
import { createOutbox } from '../../stream/outbox.ts';

const namespace = namespaceOf('outbox');
const brokers = inject('kafkaBrokers');
const NOW_MS = Date.UTC(2026, 0, 1);
let admin: TopicAdmin;
let producer: Producer;

beforeAll(async () => {
  admin = openTopicAdmin(brokers);
  await admin.createMissing(namespace);
  producer = await createProducer({ brokers, clientId: 'outbox', deliveryTimeoutMs: 10_000 });
});
afterAll(async () => {
  await producer?.close();
  await admin?.close();
});

async function recordsOf(topic: string): Promise<LogRecord[]> {
  const [ends] = await admin.watermarks(topic);
  const records: LogRecord[] = [];
  for await (const batch of readPartition({ brokers, topic, partition: 0, from: 0, to: ends!.high }))
    records.push(...batch);
  return records;
}

/** Of so many bytes in all, with what Kafka has around it: characters of two bytes, which are not seen in their number. */
function recordOf(to: OutboxRecord['to'], bytes: number, value: (text: string) => string): OutboxRecord {
  const key = 'u:é';
  const source = 'events:1:3:99:4';
  const around = Buffer.byteLength(value('')) + Buffer.byteLength(key) + source.length + 256;
  const text = 'é'.repeat((bytes - around) >> 1) + 'e'.repeat((bytes - around) % 2);
  return { to, partition: 0, key, source, value: value(text) };
}

it.each(['events', 'triggers'] as const)(
  'sends what %s takes, to the byte, and puts aside what it does not',
  async (to) => {
    const told: string[] = [];
    const outbox = createOutbox(producer, namespace, {
      tooLarge: (record, rejected) => told.push(`${record.to} ${rejected.sourceId}`),
      setBytes: 1_000_000,
      steadyMs: () => 0,
      limits: () => readMessageLimits(admin, namespace),
      now: () => NOW_MS,
    });
    const most = 1_048_576;
    const fits = recordOf(to, most, (text) => JSON.stringify({ text }));
    const larger = recordOf(to, most + 1, (text) => JSON.stringify({ text }));
    const small = { ...fits, value: '{}' };
    const before = await recordsOf(namespace.topics.rejected);
    await outbox.send([fits, larger, small]);
    const sent = await recordsOf(namespace.topics[to]);
    expect(sent.map(({ value }) => value?.length)).toEqual([Buffer.byteLength(fits.value), 2]);
    expect(told).toEqual([`${to} events:1:3:99:4`]);
    const [aside, ...others] = (await recordsOf(namespace.topics.rejected)).slice(before.length);
    expect(others).toEqual([]);
    const { raw, ...rejected } = JSON.parse(aside!.value!.toString()) as RejectedRecord;
    expect(Buffer.from(raw, 'base64').toString()).toBe(larger.value);
    expect(rejected).toEqual({
      kind: 'rejected',
      sourceTopic: 'events',
      sourcePartition: 3,
      sourceOffset: 99,
      sourceId: 'events:1:3:99:4',
      route: '',
      source: '',
      reason: 'tooLarge',
      detail: `a record for ${to}/0, of u:é, has 1048577 bytes; at most 1048576 are taken`,
      at: NOW_MS,
    });
  },
);

it('cuts a reject that an older version kept whole', async () => {
  const outbox = createOutbox(producer, namespace, {
    tooLarge: () => expect.unreachable(),
    setBytes: 1_000_000,
    steadyMs: () => 0,
    limits: () => readMessageLimits(admin, namespace),
    now: () => NOW_MS,
  });
  const reject = {
    kind: 'rejected',
    sourceTopic: 'events',
    sourcePartition: 0,
    sourceOffset: 7,
    sourceId: '',
    route: '',
    source: '',
    reason: 'malformed',
    detail: 'the record is not JSON',
    raw: Buffer.alloc(7_000_000, 'x').toString('base64'),
    at: NOW_MS,
  };
  const before = await recordsOf(namespace.topics.rejected);
  const source = 'events:1:0:7:0';
  const record = { to: 'rejected', partition: 0, key: 'events:0:7', source } as const;
  await outbox.send([{ ...record, value: JSON.stringify(reject) }]);
  const [kept] = (await recordsOf(namespace.topics.rejected)).slice(before.length);
  const raw = Buffer.alloc(5 * 1024 * 1024, 'x').toString('base64');
  const detail = '(kept: the first 5242880 of 7000000 bytes) the record is not JSON';
  expect(JSON.parse(kept!.value!.toString())).toEqual({ ...reject, raw, detail });
});

describe('topics that somebody made to take 100,000 bytes', () => {
  /** An outbox of a namespace of its own, as `flywheel stream` opens it, and what the first partition of its events has. */
  async function smallTopics(name: string) {
    const space = namespaceOf(name);
    const client = new Admin({ clientId: 'test', bootstrapBrokers: brokers.split(',') });
    const topics = [space.topics.events];
    const configs = [{ name: 'max.message.bytes', value: '100000' }];
    await client.createTopics({ topics, partitions: topicPartitions.events, replicas: 1, configs });
    await admin.createMissing(space);
    const limits = (): ReturnType<typeof readMessageLimits> => readMessageLimits(admin, space);
    const setBytes = setBytesMax(await limits());
    const small = await createProducer({
      ...{ brokers, clientId: name, deliveryTimeoutMs: 0, setBytesMax: setBytes },
    });
    onTestFinished(async () => {
      await small.close();
      await client.close();
    });
    return {
      outbox: createOutbox(small, space, {
        ...{
          tooLarge: () => expect.unreachable(),
          setBytes,
          limits,
          now: Date.now,
          steadyMs: () => performance.now(),
        },
      }),
      sources: async () => (await recordsOf(space.topics.events)).map(({ headers }) => headers.source),
      takeMore: () =>
        client.incrementalAlterConfigs({
          resources: [
            {
              resourceType: 2,
              resourceName: space.topics.events,
              configs: [{ name: 'max.message.bytes', configOperation: 0, value: '1048576' }],
            },
          ],
        }),
    };
  }

  const smallOnes = Array.from({ length: 3_000 }, (_, ordinal): OutboxRecord => {
    const source = `events:1:3:101:${ordinal}`;
    return { to: 'events', partition: 0, key: 'u:1', source, value: JSON.stringify('x'.repeat(1_000)) };
  });
  const largeOne: OutboxRecord = {
    ...{ to: 'events', partition: 0, key: 'u:1', source: 'events:1:3:100:0' },
    value: JSON.stringify('x'.repeat(150_000)),
  };

  it('nothing overtakes what they refuse, and nothing is written again, until they take it', async () => {
    const { outbox, sources, takeMore } = await smallTopics('outbox-small');
    const lot = [largeOne, ...smallOnes];
    for (let attempt = 0; attempt < 2; attempt += 1)
      await expect(outbox.send(lot)).rejects.toMatchObject({
        code: 'KAFKA_TOO_LARGE',
        message: expect.stringMatching(
          /outbox-small.events takes 100000 bytes at a time \(max.message.bytes\), and a record for its partition 0, of u:1, has 1502\d\d: nothing is sent until it takes that \(kafka-configs.sh --alter --topic \S+ --add-config max.message.bytes=1048576\)/,
        ),
      });
    expect(await sources()).toEqual([]);
    await takeMore();
    await vi.waitFor(() => outbox.send(lot), { timeout: 60_000, interval: 500 });
    expect(await sources()).toEqual(lot.map(({ source }) => source));
  });

  it('many small records go in sets that they take', async () => {
    const { outbox, sources } = await smallTopics('outbox-sets');
    await outbox.send(smallOnes);
    expect(await sources()).toEqual(smallOnes.map(({ source }) => source));
  });
});
