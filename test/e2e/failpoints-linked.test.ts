// `kill -9` at each step of the commit protocol again: in a batch that holds merges, forwards and a changed definition, and in one of
// the ledger's that holds leases and a changed definition. After a restart nothing is lost and nothing counts twice.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openDefinitionLog } from '../../platform/definition-log.ts';
import { createPublisher } from '../../platform/definition-publish.ts';
import { accountPartition, buyerPartition } from '../../platform/keys.ts';
import { endChildren, startChild } from './support/child.ts';
import { type Acknowledged, collectedInLog, feed } from './support/feeder.ts';
import type { LogEntry } from './support/mixed-log.ts';
import { openStage, type Stage } from './support/stage.ts';
import { expectVerified } from './support/whole.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** All of a chunk's people in one partition, so that one batch holds everything. */
const PARTITION = 5;
const ACCOUNT = 'display-europe';
const PEOPLE = 8;
const LOOK_MS = 100;
/** A batch that is not met by then was cut otherwise. */
const KILLED_MS_MAX = 25_000;

let stage: Stage;
const acknowledged: Acknowledged = new Set();
let chunks = 0;
let sent = 0;

function keysIn(kind: 'a' | 'u', prefix: string): string[] {
  const keys: string[] = [];
  for (let number = 0; keys.length < PEOPLE; number += 1) {
    const key = `${kind}:${prefix}-${number}`;
    if (buyerPartition(key) === PARTITION) keys.push(key);
  }
  return keys;
}

function entry(key: string, timestamp: number, own: object): LogEntry {
  sent += 1;
  const common = { messageId: `linked-${sent}`, timestamp, receivedAt: timestamp, supplied: true };
  const who = key.startsWith('u:') ? { userId: key.slice(2) } : { anonymousId: key.slice(2) };
  const value = JSON.stringify({ ...common, ...who, ...own });
  return { topic: 'events', partition: PARTITION, key, value };
}

const did = (key: string, event: string, timestamp: number): LogEntry =>
  entry(key, timestamp, { kind: 'track', event, properties: { category: 'c', country: 'DE' } });

/** A definition that is another each time, in every partition. */
async function changeDefinition(): Promise<void> {
  const { namespace, producer, config } = stage;
  const log = await openDefinitionLog({ brokers: config.kafkaBrokers, namespace });
  await log.caughtUp();
  const publisher = createPublisher({ log, producer, namespace, nowMs: Date.now });
  sent += 1;
  const document = { name: `change ${sent}`, steps: ['view', 'contact'], windowMs: DAY_MS };
  const result = await publisher.publish({
    type: 'funnel',
    id: 'changing',
    document,
    by: 'test',
    why: 'again',
  });
  expect(result.outcome).toBe('published');
  await log.close();
}

/** Where the log of the chunk at hand begins, by partition. */
let chunkFrom: readonly number[] = [];

/** How many derived records of a kind the chunk at hand has led to. */
async function derived(kind: string): Promise<number> {
  const records = await stage.log(stage.namespace.topics.events, chunkFrom);
  return records.filter(({ value }) => value?.includes(`"kind":"${kind}"`) === true).length;
}

/**
 * Feeds and runs a stream until it kills itself there; answers its last words. What is fed may be taken in other pieces than
 * the failpoint waits for: then there is more.
 */
async function killAt(failpoint: string, feedMore: () => Promise<void>): Promise<string> {
  for (let attempt = 1; ; attempt += 1) {
    await feedMore();
    const child = startChild('stream', { ...stage.environment, FLYWHEEL_FAILPOINT: failpoint });
    const patience = setTimeout(() => child.signal('SIGKILL'), KILLED_MS_MAX);
    await child.ended;
    clearTimeout(patience);
    if (child.errors().includes(`failpoint ${failpoint}:`)) return child.errors();
    expect(attempt, child.errors()).toBeLessThan(4);
  }
}

/**
 * Lets what is in the log send on, and dies at once, so that what arrives waits for the next batch. Who comes after a killed
 * process sends first what that one left, so it may live until it has sent something of its own.
 */
async function untilSent(kind: string, atLeast: number): Promise<void> {
  for (let attempt = 1; (await derived(kind)) < atLeast; attempt += 1) {
    expect(attempt).toBeLessThan(10);
    const failpoint = attempt === 1 ? 'after-outbox' : 'after-outbox:2';
    const child = startChild('stream', { ...stage.environment, FLYWHEEL_FAILPOINT: failpoint });
    let hasEnded = false;
    const ended = child.ended.then(() => {
      hasEnded = true;
    });
    while (!hasEnded) {
      if ((await derived(kind)) >= atLeast) child.signal('SIGKILL');
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    await ended;
  }
}

/** Visitors who become users, in an order in which their histories and what they go on doing wait in the log. */
async function feedPeople(): Promise<void> {
  const startMs = Date.UTC(2024, 0, 1) + chunks * DAY_MS;
  const prefix = `c${chunks}`;
  chunks += 1;
  const visitors = keysIn('a', `v${prefix}`);
  const users = keysIn('u', `u${prefix}`);
  chunkFrom = (await stage.admin.watermarks(stage.namespace.topics.events)).map(({ high }) => high);
  await feed(
    stage,
    visitors.flatMap((visitor, index) => [
      did(visitor, 'Product Viewed', startMs + index * MINUTE_MS),
      did(visitor, 'Supplier Contacted', startMs + index * MINUTE_MS + 1),
      entry(users[index]!, startMs + index * MINUTE_MS, {
        kind: 'identify',
        anonymousId: visitor.slice(2),
      }),
    ]),
    acknowledged,
  );
  await untilSent('link', PEOPLE);
  const laterMs = startMs + 20 * MINUTE_MS;
  await feed(
    stage,
    visitors.map((visitor) => did(visitor, 'Inquiry Sent', laterMs)),
    acknowledged,
  );
  await untilSent('merge', PEOPLE);
  await changeDefinition();
  const garbage: LogEntry = { topic: 'events', partition: PARTITION, key: null, value: 'no record' };
  await feed(
    stage,
    [...users.map((user) => did(user, 'Order Completed', laterMs + MINUTE_MS)), garbage],
    acknowledged,
  );
}

async function feedLeases(): Promise<void> {
  await changeDefinition();
  const timestamp = Date.UTC(2024, 0, 1);
  const requests = [1, 2, 3].map((number) => {
    const asked = { lease: `l-${sent}-${number}`, account: ACCOUNT, process: 'p', amountMicros: 1_000_000 };
    return JSON.stringify({ kind: 'leaseRequest', ...asked, timestamp });
  });
  await feed(
    stage,
    [...requests, 'no spend'].map((value) => ({
      topic: 'spend' as const,
      partition: accountPartition(ACCOUNT),
      key: ACCOUNT,
      value,
    })),
    acknowledged,
  );
}

async function runToTheEnd(): Promise<void> {
  const child = startChild('stream', stage.environment);
  await child.ready;
  await stage.untilDrained();
  expect((await child.stop()).code, child.errors()).toBe(0);
}

/** What was acknowledged stands in the log, and everybody of all chunks is joined once. */
async function expectJoined(): Promise<void> {
  expect([...(await collectedInLog(stage))].sort()).toEqual([...acknowledged].sort());
  const [joined] = await stage.rows<{ merged: string }>(
    `SELECT count() AS merged FROM identities FINAL WHERE change = 'merged'`,
  );
  expect(Number(joined!.merged)).toBe(chunks * PEOPLE);
}

beforeAll(async () => {
  stage = await openStage('failpoints-linked');
});
afterEach(endChildren);
afterAll(async () => {
  await stage?.close();
});

describe('a stream that is killed with histories, what follows them, leases and definitions in hand', () => {
  it.each([
    'before-commit',
    'after-commit',
    'before-insert',
    'mid-insert',
    'after-insert',
    'before-outbox',
    'after-outbox',
    'before-clear',
  ])('at %s joins each once and forgets none', async (failpoint) => {
    const words = await killAt(`${failpoint}-linked`, feedPeople);
    expect(words).toMatch(/merges [1-9]\d*, forwards [1-9]\d*, definitions [1-9]/);
    expect(await killAt(`${failpoint}-leased`, feedLeases)).toMatch(/definitions [1-9]\d*, leases [1-9]/);
    await runToTheEnd();
    await expectJoined();
  });

  it('after the take-over of an undelivered batch joins each once and forgets none', async () => {
    await killAt('after-commit-linked', feedPeople);
    // What was taken of derived records is not kept with a batch; what it sends is, and its rows.
    const words = await killAt('after-take-over-sending', async () => {});
    expect(words).toMatch(/definitions [1-9]/);
    await runToTheEnd();
    await expectJoined();
  });

  it('leaves, after all of that, what the log says', async () => {
    await expectVerified(stage);
  });
});
