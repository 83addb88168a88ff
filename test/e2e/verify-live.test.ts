// The oracle beside a stream that goes on: what has changed since it was read is no difference, what is wrong is one.
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { readDeliveryRecords } from '../../platform/delivery-log.ts';
import { addWebhookSecret } from '../../platform/webhook-secrets.ts';
import { nothingImplied } from '../../verify/implied.ts';
import { type Verdict, verify } from '../../verify/main.ts';
import { endChildren, startChild } from './support/child.ts';
import { chunkFeeder } from './support/feeder.ts';
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
