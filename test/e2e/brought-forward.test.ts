// A definition that brings forward what waits, on real parts: thousands of timers of one partition are set again in one commit.
import { afterEach, expect, it } from 'vitest';
import { openDefinitionLog } from '../../platform/definition-log.ts';
import { createPublisher } from '../../platform/definition-publish.ts';
import { partitionKeys } from '../../platform/keys.ts';
import { endChildren, startChild } from './support/child.ts';
import { buyersOf } from './support/mixed-log.ts';
import { openStage, type Stage } from './support/stage.ts';
import { expectVerified } from './support/whole.ts';

const DAY = 86_400_000;
const START = Date.UTC(2026, 0, 5, 9);
const PARTITION = 3;
/** More than the commit's script sets at a time, and than a commit fires. */
const BUYERS = 4_300;

let stage: Stage | undefined;
afterEach(async () => {
  await endChildren();
  await stage?.close();
});

async function publish({ config, namespace, producer }: Stage, churnedAfterMs: number): Promise<void> {
  const log = await openDefinitionLog({ brokers: config.kafkaBrokers, namespace });
  await log.caughtUp();
  const publisher = createPublisher({ log, producer, namespace, nowMs: Date.now });
  const document = { churnedAfterMs };
  const what = { type: 'lifecycle' as const, id: 'default', document, by: 'test', why: 'to win them back' };
  expect((await publisher.publish(what)).outcome).toBe('published');
  await log.close();
}

it('a shorter absence churns thousands who never come again, once each, killed in the middle or not', async () => {
  const opened = await openStage('brought-forward');
  stage = opened;
  const { namespace, environment, producer, redis, rows } = opened;
  const topic = namespace.topics.events;
  const send = (values: readonly string[]) =>
    producer.sendBatch(values.map((value) => ({ topic, partition: PARTITION, key: null, value })));
  const clockAt = (time: number): string => JSON.stringify({ kind: 'clock', time, supplied: true });
  await publish(opened, 300 * DAY);
  const views = buyersOf(PARTITION, BUYERS, 'away').map((key, index) => {
    const times = { timestamp: START + index, receivedAt: START + index, supplied: true };
    const who = key.startsWith('u:') ? { userId: key.slice(2) } : { anonymousId: key.slice(2) };
    return JSON.stringify({
      kind: 'track',
      event: 'Product Viewed',
      messageId: `m${index}`,
      ...who,
      ...times,
    });
  });
  await send([...views, clockAt(START + 30 * DAY)]);
  const first = startChild('stream', environment);
  await opened.untilDrained();
  const { timers } = partitionKeys(namespace, { topic: 'events', generation: 1, partition: PARTITION });
  expect(await redis.zcard(timers)).toBe(BUYERS);

  first.signal('SIGKILL');
  await first.ended;
  await publish(opened, 7 * DAY);
  await send([clockAt(START + 30 * DAY + 1)]);
  // It dies with some of them churned, and the next goes on with the others.
  const second = startChild('stream', { ...environment, FLYWHEEL_FAILPOINT: 'after-commit:4' });
  expect((await second.ended).signal, second.errors()).toBe('SIGKILL');
  startChild('stream', environment);
  await opened.untilDrained();
  const [churned] = await rows<Record<string, number>>(`
    SELECT toUInt32(count()) AS changes, toUInt32(uniqExact(key)) AS buyers,
      toUInt32(countIf(toUnixTimestamp64Milli(time) < ${START + 7 * DAY} OR toUnixTimestamp64Milli(time) >= ${START + 7 * DAY + BUYERS})) AS elsewhen
    FROM transitions FINAL WHERE to_stage = 'churned'`);
  expect(churned).toEqual({ changes: BUYERS, buyers: BUYERS, elsewhen: 0 });
  expect(await redis.zcard(timers)).toBe(0);
  await expectVerified(opened);
});
