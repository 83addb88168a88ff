// Two owners of one partition, an answer that got lost, a log and a state that do not belong together: each ends in a
// clear refusal or in the same state as if nothing had happened.
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { generationsKey, partitionKeys } from '../../platform/keys.ts';
import { endChildren, startChild } from './support/child.ts';
import { type Acknowledged, chunkFeeder } from './support/feeder.ts';
import { type RedisProxy, startRedisProxy } from './support/redis-proxy.ts';
import { openStage, type Stage } from './support/stage.ts';
import { createTriggerPuller, type TriggerPuller } from './support/trigger-puller.ts';
import { expectWhole } from './support/whole.ts';

const PARTITION = 3;

let stage: Stage;
let proxy: RedisProxy;
let puller: TriggerPuller;
const acknowledged: Acknowledged = new Set();

const feedChunk = chunkFeeder(acknowledged, {
  seed: 200,
  days: 20,
  records: 80,
  buyers: { [PARTITION]: 20 },
});

async function fencedCount(metricsUrl: unknown): Promise<number> {
  const text = await (await fetch(String(metricsUrl))).text();
  return [...text.matchAll(/^flywheel_stream_fenced_total\{.*\} (\d+)/gm)].reduce(
    (sum, [, count]) => sum + Number(count),
    0,
  );
}

beforeAll(async () => {
  // A slot that went away gives its partitions back soon.
  stage = await openStage('owners', { environment: { STREAM_SESSION_TIMEOUT_MS: '6000' } });
  proxy = await startRedisProxy(stage.config.redisUrl);
  puller = createTriggerPuller(stage, path.join(stage.dir, 'puller.json'));
});
afterEach(endChildren);
afterAll(async () => {
  await proxy?.close();
  await stage?.close();
});

describe('the owner of a partition', () => {
  it('whose commit was made and whose answer was lost reads back and goes on', async () => {
    const child = startChild('stream', { ...stage.environment, REDIS_URL: proxy.url });
    const { metrics } = await child.ready;
    await stage.untilDrained();
    const lost = proxy.loseNextAnswer();
    await feedChunk(stage);
    await lost;
    await stage.untilDrained();
    expect(await fencedCount(metrics)).toBe(0);
    expect((await child.stop()).code, child.errors()).toBe(0);
    await expectWhole(stage, acknowledged, puller);
  });

  it('that was held up while another took over is fenced, and nothing of its batch arrives', async () => {
    const late = startChild('stream', { ...stage.environment, REDIS_URL: proxy.url });
    const { metrics } = await late.ready;
    await stage.untilDrained();
    const held = proxy.holdNext('commit');
    await feedChunk(stage);
    await held;
    // Its process hangs, so that Kafka gives its partitions to another one; then it goes on with what it had.
    late.signal('SIGSTOP');
    const other = startChild('stream', { ...stage.environment, STREAM_SLOT: '1' });
    await other.ready;
    await stage.untilDrained();
    const keys = partitionKeys(stage.namespace, { topic: 'events', generation: 1, partition: PARTITION });
    const before = await stage.redis.hgetall(keys.head);
    late.signal('SIGCONT');
    proxy.release();
    await expect.poll(() => fencedCount(metrics), { timeout: 20_000 }).toBeGreaterThan(0);
    expect((await stage.redis.hgetall(keys.head)).offset).toBe(before.offset);
    await late.stop();
    await stage.untilDrained();
    expect((await other.stop()).code, other.errors()).toBe(0);
    await expectWhole(stage, acknowledged, puller);
  });
});

describe('a process', () => {
  it.each(['cooperative', 'eager'])(
    'that is asked to end while it takes partitions over ends at once (%s)',
    async (assignment) => {
      const environment = { ...stage.environment, STREAM_ASSIGNMENT: assignment };
      const held = proxy.holdNext('take-over');
      const child = startChild('stream', { ...environment, REDIS_URL: proxy.url });
      await child.ready;
      await held;
      const stopping = child.stop();
      await new Promise((resolve) => setTimeout(resolve, 500));
      proxy.release();
      // It would give up after 15 s, with another code.
      expect((await stopping).code, child.errors()).toBe(0);
      const next = startChild('stream', environment);
      await feedChunk(stage);
      await stage.untilDrained();
      expect((await next.stop()).code, next.errors()).toBe(0);
      await expectWhole(stage, acknowledged, puller);
    },
  );

  it('whose slot another one has taken ends and says so', async () => {
    const first = startChild('stream', stage.environment);
    await first.ready;
    // It is in the group, that is: a member of the test before may be missed there first, which takes its session.
    await feedChunk(stage);
    await stage.untilDrained();
    const second = startChild('stream', stage.environment);
    await second.ready;
    expect((await first.ended).code, first.errors()).toBe(1);
    expect(first.errors()).toMatch(/another process has taken slot 0/);
    await feedChunk(stage);
    await stage.untilDrained();
    expect((await second.stop()).code, second.errors()).toBe(0);
    await expectWhole(stage, acknowledged, puller);
  });
});

describe('a take-over', () => {
  const events = () =>
    partitionKeys(stage.namespace, { topic: 'events', generation: 1, partition: PARTITION });

  /** Changes a field of the head for one start of the stream, which must end by itself saying why. */
  async function expectRefused(field: string, value: string, said: RegExp): Promise<void> {
    const before = await stage.redis.hget(events().head, field);
    await stage.redis.hset(events().head, field, value);
    const child = startChild('stream', stage.environment);
    const { code } = await child.ended;
    expect(code, child.errors()).toBe(1);
    expect(child.errors()).toMatch(said);
    if (before === null) await stage.redis.hdel(events().head, field);
    else await stage.redis.hset(events().head, field, before);
  }

  it('is refused if the state is ahead of the log', async () => {
    await expectRefused('offset', '100000', /events 3: the state stands at offset 100000, the log ends at/);
  });

  it('is refused if the state is of another generation', async () => {
    await expectRefused('generation', '7', /events 3: the state is of generation 7/);
  });

  it('is refused if a newer flywheel has written the state', async () => {
    await expectRefused('schema', '99', /events 3: .*schema version 99.*newer flywheel/);
  });

  it('is refused if the topic is not the one that the state came from', async () => {
    const key = generationsKey(stage.namespace);
    const topic = stage.namespace.topics.events;
    const before = (await stage.redis.hget(key, topic))!;
    await stage.redis.hset(key, topic, before.replace(/^1:[^:]*/, '1:another-topic-id'));
    const child = startChild('stream', stage.environment);
    expect((await child.ended).code, child.errors()).toBe(1);
    expect(child.errors()).toMatch(/the state in Redis belongs to another/);
    await stage.redis.hset(key, topic, before);
  });

  it('goes on as before once state and log belong together again', async () => {
    await feedChunk(stage);
    const child = startChild('stream', stage.environment);
    await child.ready;
    await stage.untilDrained();
    expect((await child.stop()).code, child.errors()).toBe(0);
    await expectWhole(stage, acknowledged, puller);
  });
});
