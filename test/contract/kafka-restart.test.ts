// A broker that hangs, or is killed and comes back: nothing acknowledged is lost, nothing is left unanswered, followers go on.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Stack, startStack } from '../../ops/local/stack.ts';
import { openDefinitionLog } from '../../platform/definition-log.ts';
import { createPublisher } from '../../platform/definition-publish.ts';
import { createProducer } from '../../platform/kafka.ts';
import { readPartition } from '../../platform/kafka-read.ts';
import { openTopicAdmin } from '../../platform/kafka-topics.ts';
import { namespaceOf } from '../../platform/namespace.ts';

/** A broker needs 5 s to start on an idle machine, and 45 s were seen on a busy one. */
const RESTART_TIMEOUT_MS = 150_000;

const namespace = namespaceOf('contract-restart');
const { topics } = namespace;
let dir: string;
let stack: Stack | undefined;
let brokers: string;

beforeAll(async () => {
  dir = mkdtempSync(path.join(tmpdir(), 'flywheel-restart-'));
  stack = await startStack({
    dir,
    ports: 'ephemeral',
    parts: ['kafka'],
    kafkaJarsFolder: fileURLToPath(new URL('../../.flywheel/kafka', import.meta.url)),
  });
  brokers = stack.kafkaBrokers!;
  const admin = openTopicAdmin(brokers);
  await admin.createMissing(namespace);
  await admin.close();
}, RESTART_TIMEOUT_MS);

afterAll(async () => {
  await stack?.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** A broker that was away is without some leaders for a moment after it is back: then it is asked again. */
function valuesOf(topic: string): Promise<string[]> {
  return vi.waitFor(() => readValues(topic), { timeout: 60_000, interval: 500 });
}

async function readValues(topic: string): Promise<string[]> {
  const admin = openTopicAdmin(brokers);
  const [watermarks] = await admin.watermarks(topic).finally(() => admin.close());
  const values: string[] = [];
  for await (const batch of readPartition({ brokers, topic, partition: 0, from: 0, to: watermarks!.high })) {
    values.push(...batch.map(({ value }) => value!.toString()));
  }
  return values;
}

/** A thread that runs when the signal comes may go on for a moment. */
async function untilStopped(pid: number): Promise<void> {
  const tasks = `/proc/${pid}/task`;
  await vi.waitFor(() => {
    const states = readdirSync(tasks).map((task) =>
      readFileSync(`${tasks}/${task}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .charAt(0),
    );
    expect(new Set(states)).toEqual(new Set(['T']));
  });
}

describe('a broker that hangs', () => {
  test('a producer with a time limit answers KAFKA_NOT_DELIVERED; one without waits and delivers', async () => {
    const hasty = await createProducer({ brokers, clientId: 'hasty', deliveryTimeoutMs: 2_000 });
    const patient = await createProducer({ brokers, clientId: 'patient', deliveryTimeoutMs: 0 });
    await hasty.send(topics.events, 0, null, 'hasty before');
    await patient.send(topics.events, 0, null, 'patient before');
    const pid = stack!.pidOf('kafka')!;
    process.kill(pid, 'SIGSTOP');
    await untilStopped(pid);
    let waiting: Promise<{ offset: number }>;
    try {
      waiting = patient.send(topics.events, 0, null, 'patient during');
      await expect(hasty.send(topics.events, 0, null, 'hasty during')).rejects.toMatchObject({
        code: 'KAFKA_NOT_DELIVERED',
      });
      expect([hasty.inFlight, patient.inFlight]).toEqual([0, 1]);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    const { offset } = await waiting;
    // Not acknowledged is not the same as not written: a sender must be ready for its message to stand there.
    await vi.waitFor(() => hasty.send(topics.events, 0, null, 'hasty after'), {
      timeout: 60_000,
      interval: 500,
    });
    const values = await valuesOf(topics.events);
    expect(values[offset]).toBe('patient during');
    expect(values.filter((value) => value === 'patient during')).toHaveLength(1);
    expect(values.at(-1)).toBe('hasty after');
    await Promise.all([hasty.close(), patient.close()]);
  });
});

describe('a broker that is killed and comes back', () => {
  test(
    'each message is written once, in order, and who follows the definitions goes on',
    async () => {
      const producer = await createProducer({ brokers, clientId: 'outbox', deliveryTimeoutMs: 0 });
      const warnings: string[] = [];
      const log = await openDefinitionLog({
        brokers,
        namespace,
        onWarning: (message) => warnings.push(message),
      });
      await log.caughtUp();
      const batch = (from: number) =>
        Array.from({ length: 2_000 }, (_, index) => ({
          topic: topics.spend,
          partition: 0,
          key: null,
          value: String(from + index),
        }));
      await producer.sendBatch(batch(0));
      const during = producer.sendBatch(batch(2_000));
      process.kill(stack!.pidOf('kafka')!, 'SIGKILL');
      const later = producer.sendBatch(batch(4_000));
      await Promise.all([during, later]);
      expect(await valuesOf(topics.spend)).toEqual(
        Array.from({ length: 6_000 }, (_, index) => String(index)),
      );

      const publisher = createPublisher({ log, producer, namespace, nowMs: Date.now });
      const document = { name: 'a', currency: 'EUR', dailyBudgetMicros: 1 };
      const published = await publisher.publish({ type: 'account', id: 'a', document, by: 'test', why: '' });
      expect(published).toMatchObject({ outcome: 'published', revision: 1 });
      expect(log.find('account', 'a')).toMatchObject({ revision: 1 });
      await log.close();
      await producer.close();
    },
    RESTART_TIMEOUT_MS,
  );
});
