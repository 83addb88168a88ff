// A partition that stops being read is not quiet: what can be read is read on, the others go on, and what can not is told.
import { Admin } from '@platformatic/kafka';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openTransactionalProducer } from '../../platform/kafka-transactions.ts';
import { partitionKeys } from '../../platform/keys.ts';
import { nothingImplied } from '../../verify/implied.ts';
import { verify } from '../../verify/main.ts';
import { endChildren, startChild } from './support/child.ts';
import { type Acknowledged, chunkFeeder } from './support/feeder.ts';
import { openStage, type Stage } from './support/stage.ts';

const PARTITION = 5;
const BROKEN = 3;
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
