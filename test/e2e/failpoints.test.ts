// `kill -9` at each step of the commit protocol, always in a batch that holds a reject, a trigger and a fired timer;
// after a restart nothing is lost and nothing counts twice.
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { partitionKeys } from '../../platform/keys.ts';
import { endChildren, startChild } from './support/child.ts';
import { type Acknowledged, chunkFeeder } from './support/feeder.ts';
import { openStage, type Stage } from './support/stage.ts';
import { createTriggerPuller, type TriggerPuller } from './support/trigger-puller.ts';
import { expectWhole } from './support/whole.ts';

/** All events in one partition, so that one batch holds everything. */
const PARTITION = 5;
const campaigns = [{ account: 'display-europe', campaign: 'display-brands', currency: 'EUR' }];

let stage: Stage;
let puller: TriggerPuller;
const acknowledged: Acknowledged = new Set();

/** Forty days of a few buyers who come, go deep, and are missed: timers fire within the chunk. */
const feedChunk = chunkFeeder(acknowledged, {
  seed: 100,
  days: 40,
  records: 160,
  buyers: { [PARTITION]: 30 },
  campaigns,
});

/** Runs a stream until it kills itself there; its last words say what its batch held. */
async function killAt(failpoint: string): Promise<void> {
  const child = startChild('stream', { ...stage.environment, FLYWHEEL_FAILPOINT: `${failpoint}-full` });
  expect((await child.ended).signal, child.errors()).toBe('SIGKILL');
  const [, rejects, triggers, timers] =
    /rejects (\d+), triggers (\d+), timers (\d+)/.exec(child.errors()) ?? [];
  expect(Number(rejects)).toBeGreaterThan(0);
  expect(Number(triggers)).toBeGreaterThan(0);
  expect(Number(timers)).toBeGreaterThan(0);
}

/** What of the partition has left: rows, records; and what is still owed. */
async function delivered() {
  const id = { topic: 'events', generation: 1, partition: PARTITION } as const;
  const [events] = await stage.rows<{ count: string }>(
    `SELECT count() AS count FROM events WHERE partition = ${PARTITION}`,
  );
  const ends = await stage.admin.watermarks(stage.namespace.topics.triggers);
  return {
    rows: Number(events!.count),
    triggers: ends.reduce((sum, { high }) => sum + high, 0),
    owed: await stage.redis.hlen(partitionKeys(stage.namespace, id).outbox),
  };
}

async function runToTheEnd(): Promise<void> {
  const child = startChild('stream', stage.environment);
  await child.ready;
  await stage.untilDrained();
  expect((await child.stop()).code, child.errors()).toBe(0);
}

beforeAll(async () => {
  stage = await openStage('failpoints');
  puller = createTriggerPuller(stage, path.join(stage.dir, 'puller.json'));
});
afterEach(endChildren);
afterAll(async () => {
  await stage?.close();
});

describe('a stream that is killed', () => {
  it.each([
    'before-commit',
    'after-commit',
    'before-insert',
    'mid-insert',
    'after-insert',
    'before-outbox',
    'after-outbox',
    'before-clear',
  ])('at %s loses nothing and doubles nothing', async (failpoint) => {
    await feedChunk(stage);
    await killAt(failpoint);
    await runToTheEnd();
    const repeatsBefore = puller.repeats();
    await expectWhole(stage, acknowledged, puller);
    // Records that had left before the kill leave again: the receiver must have seen that.
    if (failpoint === 'after-outbox') expect(puller.repeats()).toBeGreaterThan(repeatsBefore);
  });

  it('after the take-over of an undelivered batch loses nothing and doubles nothing', async () => {
    await feedChunk(stage);
    await killAt('after-commit');
    await killAt('after-take-over');
    await runToTheEnd();
    await expectWhole(stage, acknowledged, puller);
  });

  // What the one before had committed may be lost by a failover: nobody may know of it before replicas have it, or it leaves twice.
  it('leaves what it owed where it is until as many replicas have it as the one after it is asked to wait for', async () => {
    await feedChunk(stage);
    await killAt('after-commit');
    const before = await delivered();
    const child = startChild('stream', { ...stage.environment, STREAM_WAIT_REPLICAS: '1' });
    await child.untilSaid(`${PARTITION}: stopped while replicas were waited for`);
    expect(await delivered()).toEqual(before);
    expect(before.owed).toBeGreaterThan(0);
    child.signal('SIGKILL');
    await child.ended;
    await runToTheEnd();
    const after = await delivered();
    expect(after.owed).toBe(0);
    expect(after.rows).toBeGreaterThan(before.rows);
    await expectWhole(stage, acknowledged, puller);
  });
});
