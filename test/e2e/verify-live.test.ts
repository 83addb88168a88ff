// The oracle beside a stream that goes on: what has changed since it was read is no difference, what is wrong is one.
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { decodeBuyer, encodeBuyer } from '../../platform/buyer-codec.ts';
import { readDeliveryRecords } from '../../platform/delivery-log.ts';
import { buyerPartition, partitionKeys } from '../../platform/keys.ts';
import { addWebhookSecret } from '../../platform/webhook-secrets.ts';
import { nothingImplied } from '../../verify/implied.ts';
import { type Verdict, verify } from '../../verify/main.ts';
import { endChildren, startChild } from './support/child.ts';
import { chunkFeeder, feed } from './support/feeder.ts';
import { buyersOf, mixedLog } from './support/mixed-log.ts';
import { openStage, type Stage } from './support/stage.ts';
import { defineReceiver, startWebhookReceiver } from './support/webhook-receiver.ts';

const feedChunk = chunkFeeder(new Set(), { seed: 900, days: 1, records: 30, buyers: { 3: 5, 7: 5 } });
const WAIT_MS = 10_000;
/** Time for a partition to rest. */
const FEED_EVERY_MS = 1_500;

let stage: Stage;

beforeAll(async () => {
  stage = await openStage('verify-live', { environment: { STREAM_FLUSH_MS: '100' } });
});
afterEach(endChildren);
afterAll(() => stage?.close());

/** Verifies while chunks come, one after the other. */
async function verifyBesideFeed(): Promise<{ verdict: Verdict; chunks: number }> {
  let isOver = false;
  let chunks = 0;
  const feeding = (async () => {
    while (!isOver) {
      await feedChunk(stage);
      chunks += 1;
      await new Promise((resolve) => setTimeout(resolve, FEED_EVERY_MS));
    }
  })();
  try {
    const { config } = stage;
    const verdict = await verify({ config, implied: nothingImplied, waitMs: WAIT_MS, onProgress: () => {} });
    return { verdict, chunks };
  } finally {
    isOver = true;
    await feeding;
  }
}

it('finds nothing where everything is right, while events keep coming', async () => {
  const child = startChild('stream', stage.environment);
  await child.ready;
  await feedChunk(stage);
  await stage.untilDrained();
  for (let turn = 0; turn < 3; turn += 1) {
    const { verdict, chunks } = await verifyBesideFeed();
    expect(verdict.differences.slice(0, 5)).toEqual([]);
    expect(chunks).toBeGreaterThan(0);
  }
});

it('finds nothing while triggers become deliveries', async () => {
  const { config, namespace, dir } = stage;
  const secretsFile = path.join(dir, 'secrets.json');
  const receiver = await startWebhookReceiver(await addWebhookSecret(secretsFile, 'crm'));
  await defineReceiver(stage, 'crm', { name: 'crm', url: receiver.url, secret: 'crm' });
  const jobs = startChild('jobs', {
    ...stage.environment,
    JOBS_METRICS_PORT: '0',
    JOBS_SECRETS_FILE: secretsFile,
    JOBS_ALLOW_HOSTS: '127.0.0.1',
  });
  const stream = startChild('stream', stage.environment);
  await Promise.all([jobs.ready, stream.ready]);
  const delivered = async () => (await readDeliveryRecords(config.kafkaBrokers, namespace)).length;
  const before = await delivered();
  for (let turn = 0; turn < 3; turn += 1) {
    const { verdict } = await verifyBesideFeed();
    expect(verdict.differences.slice(0, 5)).toEqual([]);
  }
  expect(await delivered()).toBeGreaterThan(before);
  await receiver.close();
});

it('finds what is wrong all the same', async () => {
  const child = startChild('stream', stage.environment);
  await child.ready;
  await stage.untilDrained();
  await stage.clickhouse.command({
    query: `INSERT INTO north_star_days SELECT * REPLACE(visitors + 1 AS visitors) FROM north_star_days FINAL ORDER BY day LIMIT 1`,
  });
  const { verdict } = await verifyBesideFeed();
  expect(verdict.differences.map(({ kind }) => kind)).toEqual(['north_star_days rows']);
});

describe('levels of persons, while something comes twenty times a second,', () => {
  const DAY_MS = 86_400_000;
  const startMs = Date.UTC(2024, 0, 1);
  /** Always shorter than it takes to read all partitions. */
  const TRICKLE_MS = 50;
  const partitions = [3, 7];
  let persons: Stage;

  beforeAll(async () => {
    persons = await openStage('verify-persons', { environment: { STREAM_FLUSH_MS: '100' } });
    const buyers = partitions.flatMap((partition) => buyersOf(partition, 10, 'person-'));
    const log = mixedLog({ seed: 910, startMs, days: 1, records: 400, buyers, prefix: 'p', linked: true });
    await feed(persons, log, new Set());
  });
  afterAll(() => persons?.close());

  /** Verifies while others than those persons go on in their partitions. */
  async function verifyBesideTrickle(name: string): Promise<Verdict> {
    let isOver = false;
    const trickling = (async () => {
      for (let number = 0; !isOver; number += 1) {
        const entries = partitions.map((partition) => {
          const [key] = buyersOf(partition, 1, 'other-') as [string];
          const timestamp = startMs + DAY_MS + number;
          const times = { timestamp, receivedAt: timestamp, supplied: true };
          const body = { kind: 'page', messageId: `${name}-${partition}-${number}`, ...times };
          const value = JSON.stringify({ ...body, userId: key.slice(2), properties: {} });
          return { topic: 'events' as const, partition, key, value };
        });
        await feed(persons, entries, new Set());
        await new Promise((resolve) => setTimeout(resolve, TRICKLE_MS));
      }
    })();
    try {
      const { config } = persons;
      return await verify({ config, implied: nothingImplied, waitMs: 1_000, onProgress: () => {} });
    } finally {
      isOver = true;
      await trickling;
    }
  }

  const levelsIn = ({ kinds }: Verdict) => kinds.find(({ kind }) => kind === 'levels of persons');

  it('are compared of those who rest', async () => {
    const child = startChild('stream', persons.environment);
    await child.ready;
    await persons.untilDrained();
    const verdict = await verifyBesideTrickle('first');
    expect(verdict.differences.slice(0, 5)).toEqual([]);
    expect(levelsIn(verdict)!.compared).toBeGreaterThan(0);
  });

  it('are found if they are wrong', async () => {
    const linked = await persons.rows<{ user: string }>(
      `SELECT DISTINCT user FROM identities FINAL WHERE change = 'merged' ORDER BY user`,
    );
    const spoilt: string[] = [];
    for (const { user } of linked) {
      const id = { topic: 'events', generation: 1, partition: buyerPartition(user) } as const;
      const key = partitionKeys(persons.namespace, id).buyer(user);
      const state = decodeBuyer(user, (await persons.redis.getBuffer(key))!);
      const funnel = state.funnels.find(({ reached }) => reached.length > 0);
      if (funnel === undefined) continue;
      funnel.reached = funnel.reached.slice(0, -1);
      await persons.redis.set(key, encodeBuyer(state));
      spoilt.push(`person ${user} funnel ${funnel.id}`);
    }
    expect(spoilt).not.toEqual([]);
    const child = startChild('stream', persons.environment);
    await child.ready;
    const { differences } = await verifyBesideTrickle('second');
    expect(new Set(differences.map(({ kind }) => kind))).toEqual(
      new Set(['levels of persons', 'linked levels']),
    );
    const found = differences.filter(({ kind }) => kind === 'levels of persons');
    for (const { where } of found) expect(spoilt.some((each) => where.startsWith(`${each} `))).toBe(true);
  });
});
