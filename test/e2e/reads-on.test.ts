// A partition that stops being read is not quiet: what can be read is read on, the others go on, and what can not is told.
import { Admin } from '@platformatic/kafka';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openTransactionalProducer } from '../../platform/kafka-transactions.ts';
import { partitionKeys } from '../../platform/keys.ts';
import { pausePartition, resumePartition } from '../../platform/partition-control.ts';
import { nothingImplied } from '../../verify/implied.ts';
import { verify } from '../../verify/main.ts';
import { endChildren, startChild } from './support/child.ts';
import { type Acknowledged, chunkFeeder } from './support/feeder.ts';
import { openStage, type Stage } from './support/stage.ts';

const PARTITION = 5;
const BROKEN = 3;
const LARGE_RECORDS = 80;
const LARGE_BYTES = 250_000;
/** Two looks at what stands still, and the taking over behind them. */
const NOTICED = { timeout: 60_000, interval: 200 };

let stage: Stage;
let feedChunk: (stage: Stage) => Promise<void>;

async function standing(partition: number): Promise<{ offset: number; high: number }> {
  const progress = await stage.progress();
  return progress.find((one) => one.topic === 'events' && one.partition === partition)!;
}

const leftOf = async (partition: number): Promise<number> => {
  const { offset, high } = await standing(partition);
  return high - offset;
};

/** The oracle finds nothing but that the log has gaps, which it tells of. */
async function expectRight(): Promise<void> {
  const { config } = stage;
  const { differences } = await verify({
    config,
    implied: nothingImplied,
    waitMs: 10_000,
    onProgress: () => {},
  });
  expect(differences.filter(({ actual }) => actual !== 'a gap')).toEqual([]);
}

/** One record in a transaction of its own: the log's next offset behind it is the marker that ends it. */
async function writeTransaction(): Promise<void> {
  const writer = await openTransactionalProducer({
    brokers: stage.config.kafkaBrokers,
    clientId: 'reads-on',
    transactionalId: `reads-on-${stage.namespace.name}`,
  });
  const topic = stage.namespace.topics.events;
  const { high } = await standing(PARTITION);
  await writer.append([{ topic, partition: PARTITION, key: 'u:x', value: '{not json' }]);
  await writer.close();
  // The marker comes some time after the answer.
  await expect.poll(async () => (await standing(PARTITION)).high, NOTICED).toBe(high + 2);
}

const everyPartition = Array.from({ length: 12 }, (_none, partition) => partition);

const keysOf = (partition: number) =>
  partitionKeys(stage.namespace, { topic: 'events', generation: 1, partition });

/** The slots of those that have them now. */
async function ownersOf(partitions: readonly number[]): Promise<(string | undefined)[]> {
  const names = await Promise.all(partitions.map((each) => stage.redis.hget(keysOf(each).head, 'owner')));
  return names.map((name) => name?.split('@')[0]);
}

async function untilOwnedBy(slot: string, partitions: readonly number[]): Promise<void> {
  await expect.poll(() => ownersOf(partitions), NOTICED).toEqual(partitions.map(() => slot));
}

/** Those that a second process gets of the first one's, who has them all again by the end. */
async function partitionsOfAnother(): Promise<number[]> {
  const other = startChild('stream', { ...stage.environment, STREAM_SLOT: '1' });
  await other.ready;
  await expect.poll(() => ownersOf(everyPartition), NOTICED).toContain('1');
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  const owners = await ownersOf(everyPartition);
  await other.stop();
  return everyPartition.filter((partition) => owners[partition] === '1');
}

async function hasFullBacklog(metricsUrl: string, partition: number): Promise<boolean> {
  const text = await (await fetch(metricsUrl)).text();
  return text.includes(`flywheel_stream_backlog_full{topic="events",partition="${partition}"} 1`);
}

/** More than 16 MB of records, each of which is refused. */
async function writeLarge(partition: number): Promise<void> {
  const topic = stage.namespace.topics.events;
  const value = Buffer.from(`{not json ${'x'.repeat(LARGE_BYTES)}`);
  const sent = Array.from({ length: LARGE_RECORDS }, () =>
    stage.producer.send(topic, partition, 'u:x', value),
  );
  await Promise.all(sent);
}

afterEach(endChildren);

describe.each(['cooperative', 'eager'])('with %s assignment', (assignment) => {
  beforeAll(async () => {
    const environment = { STREAM_SESSION_TIMEOUT_MS: '6000', STREAM_ASSIGNMENT: assignment };
    stage = await openStage('reads-on', { environment });
    const acknowledged: Acknowledged = new Set();
    const buyers = { [PARTITION]: 10, [BROKEN]: 5 };
    feedChunk = chunkFeeder(acknowledged, { seed: 950, days: 5, records: 60, buyers });
  });
  afterAll(async () => {
    await stage?.close();
  });

  it('offsets that hold no record do not stop a partition, neither in the middle nor where an owner begins', async () => {
    const first = startChild('stream', stage.environment);
    await first.ready;
    await feedChunk(stage);
    await writeTransaction();
    await feedChunk(stage);
    await expect.poll(() => leftOf(PARTITION), NOTICED).toBe(0);
    await writeTransaction();
    // Committed up to the marker, which no message stands for.
    await expect.poll(() => leftOf(PARTITION), NOTICED).toBe(1);
    await first.stop();
    await feedChunk(stage);
    const second = startChild('stream', stage.environment);
    await second.ready;
    await expect.poll(() => leftOf(PARTITION), NOTICED).toBe(0);
    await expectRight();
    await second.stop();
  });

  it('one that can not be taken over holds up no other, and is read when it can', async () => {
    const { definitions } = partitionKeys(stage.namespace, {
      topic: 'events',
      generation: 1,
      partition: BROKEN,
    });
    const kept = (await stage.redis.dumpBuffer(definitions))!;
    await stage.redis.del(definitions);
    await stage.redis.rpush(definitions, 'something else');
    await feedChunk(stage);
    expect(await leftOf(BROKEN)).toBeGreaterThan(0);
    const child = startChild('stream', stage.environment);
    await child.ready;
    await expect.poll(() => leftOf(PARTITION), NOTICED).toBe(0);
    expect(await leftOf(BROKEN)).toBeGreaterThan(0);
    await stage.redis.restore(definitions, 0, kept, 'REPLACE');
    await expect.poll(() => leftOf(BROKEN), NOTICED).toBe(0);
    await expectRight();
    await child.stop();
  });

  it('one that was let go while more waited than is read ahead is read on when it comes again', async () => {
    const first = startChild('stream', stage.environment);
    const { metrics } = await first.ready;
    await untilOwnedBy('0', everyPartition);
    const [moving] = await partitionsOfAnother();
    await untilOwnedBy('0', everyPartition);
    await pausePartition(stage.redis, keysOf(moving!));
    await expect.poll(() => stage.redis.hget(keysOf(moving!).head, 'paused'), NOTICED).toBe('1');
    await writeLarge(moving!);
    // It is read until so much waits that the client is told to fetch no more of it.
    await expect.poll(() => hasFullBacklog(String(metrics), moving!), NOTICED).toBe(true);
    const second = startChild('stream', { ...stage.environment, STREAM_SLOT: '1' });
    await second.ready;
    await untilOwnedBy('1', [moving!]);
    await second.stop();
    await untilOwnedBy('0', everyPartition);
    await resumePartition(stage.redis, keysOf(moving!));
    await expect.poll(() => leftOf(moving!), NOTICED).toBe(0);
    await expectRight();
    await first.stop();
  });

  it('a log that was cut above what is read is told of, and ends the process', async () => {
    const child = startChild('stream', stage.environment);
    await child.ready;
    await feedChunk(stage);
    await stage.untilDrained();
    child.signal('SIGSTOP');
    // The fetch that it has asked for is answered with these; with the next ones, none is.
    await feedChunk(stage);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await feedChunk(stage);
    const { high } = await standing(PARTITION);
    const admin = new Admin({ clientId: 'reads-on', bootstrapBrokers: stage.config.kafkaBrokers.split(',') });
    const cut = { partition: PARTITION, offset: BigInt(high) };
    await admin.deleteRecords({ topics: [{ name: stage.namespace.topics.events, partitions: [cut] }] });
    await admin.close();
    child.signal('SIGCONT');
    await feedChunk(stage);
    const { code } = await child.ended;
    expect(code).not.toBe(0);
    expect(child.errors()).toContain(`events ${PARTITION}: the state needs the log from offset`);
  });
});
