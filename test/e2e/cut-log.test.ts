// A log that a broker lost, and that has grown past the stored offset again: other records have the offsets that were applied.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, inject, it } from 'vitest';
import { ephemeralPorts, type Ports } from '../../ops/local/ports.ts';
import { type Stack, startStack } from '../../ops/local/stack.ts';
import { createProducer } from '../../platform/kafka.ts';
import { partitionKeys } from '../../platform/keys.ts';
import { endChildren, startChild } from './support/child.ts';
import { openStage, type Stage } from './support/stage.ts';

const PARTITION = 3;
/** Two starts of a broker of its own, each of which took 45 s on a busy machine. */
const TIMEOUT_MS = 240_000;

let dir: string;
let ports: Ports;
let kafka: Stack | undefined;
let stage: Stage | undefined;

async function startKafka(): Promise<Stack> {
  return startStack({
    dir,
    ports: 'ephemeral',
    pickPorts: async () => ports,
    parts: ['kafka'],
    external: { redisUrl: inject('redisUrl'), clickhouseUrl: inject('clickhouseUrl') },
    kafkaJarsFolder: fileURLToPath(new URL('../../.flywheel/kafka', import.meta.url)),
  });
}

beforeAll(async () => {
  dir = mkdtempSync(path.join(tmpdir(), 'flywheel-cut-log-'));
  ports = await ephemeralPorts();
  kafka = await startKafka();
  stage = await openStage('cut-log', { environment: { KAFKA_BROKERS: kafka.kafkaBrokers! } });
}, TIMEOUT_MS);
afterEach(endChildren);
afterAll(async () => {
  await stage?.close();
  await kafka?.stop();
  rmSync(dir, { recursive: true, force: true });
}, TIMEOUT_MS);

/** By a producer of its own: one that has written before meets a log that it does not know. */
async function append(count: number): Promise<void> {
  const { config, namespace } = stage!;
  const producer = await createProducer({
    brokers: config.kafkaBrokers,
    clientId: 'cut-log',
    deliveryTimeoutMs: 60_000,
  });
  const record = { topic: namespace.topics.events, partition: PARTITION, key: null, value: '{not json' };
  await producer.sendBatch(Array.from({ length: count }, () => record));
  await producer.close();
}

function loseLog(): void {
  const name = `${stage!.namespace.topics.events}-${PARTITION}`;
  const folders = readdirSync(dir, { recursive: true, encoding: 'utf8' });
  const found = folders.filter((folder) => path.basename(folder) === name);
  expect(found).toHaveLength(1);
  rmSync(path.join(dir, found[0]!), { recursive: true });
}

it(
  'is not taken for the log that the state was made of',
  async () => {
    const { environment, redis, namespace } = stage!;
    const { head } = partitionKeys(namespace, { topic: 'events', generation: 1, partition: PARTITION });
    await append(10);
    const first = startChild('stream', environment);
    await first.ready;
    await stage!.untilDrained();
    expect((await first.stop()).code, first.errors()).toBe(0);
    const stored = await redis.hget(head, 'offset');
    const again = startChild('stream', environment);
    await again.ready;
    await stage!.untilDrained();
    expect((await again.stop()).code, again.errors()).toBe(0);

    await kafka!.stop();
    loseLog();
    kafka = await startKafka();
    await append(Number(stored) + 5);
    const refused = startChild('stream', environment);
    expect((await refused.ended).code, refused.errors()).toBe(1);
    expect(refused.errors()).toMatch(/events 3: at offset \d+ the log has a record of .* cut or put back/);
    expect(await redis.hget(head, 'offset')).toBe(stored);
  },
  TIMEOUT_MS,
);
