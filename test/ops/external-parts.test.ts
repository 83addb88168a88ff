// Parts that run elsewhere: `flywheel up` works on them, starts none of its own in their place, and leaves them running.
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Summary } from '../../cli/up-summary.ts';
import { type Stack, startStack } from '../../ops/local/stack.ts';
import { Admin } from '../../platform/kafka-admin.ts';
import { openTopicAdmin } from '../../platform/kafka-topics.ts';
import { namespaceOf, topicPartitions } from '../../platform/namespace.ts';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const PARTS = ['kafka', 'redis', 'clickhouse'] as const;

let dir: string;
let elsewhere: Stack;

beforeAll(async () => {
  dir = mkdtempSync(path.join(tmpdir(), 'flywheel-elsewhere-'));
  elsewhere = await startStack({
    dir: path.join(dir, 'elsewhere'),
    ports: 'ephemeral',
    parts: PARTS,
    kafkaJarsFolder: path.join(PROJECT, '.flywheel', 'kafka'),
  });
});

afterAll(async () => {
  await elsewhere?.stop();
  rmSync(dir, { recursive: true, force: true });
});

function up(): Promise<{ code: number | null; output: string }> {
  const options = [
    '--dir',
    path.join(dir, 'up'),
    '--ports',
    'ephemeral',
    '--once',
    '--verify',
    '--buyers',
    '200',
  ];
  const child = spawn(process.execPath, ['bin/flywheel.js', 'up', ...options], {
    cwd: PROJECT,
    env: {
      ...process.env,
      KAFKA_BROKERS: elsewhere.kafkaBrokers,
      REDIS_URL: elsewhere.redisUrl,
      CLICKHOUSE_URL: elsewhere.clickhouseUrl,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, output })));
}

/** An operator's own topic: the log can be used so, but does not keep what a replay would need. */
async function makeEventsKeptForAWeek(): Promise<void> {
  const admin = new Admin({ clientId: 'test', bootstrapBrokers: [elsewhere.kafkaBrokers!] });
  const settings = {
    ...{ 'message.timestamp.type': 'LogAppendTime', 'retention.ms': '604800000' },
    ...{ 'max.message.bytes': '2097152' },
  };
  const configs = Object.entries(settings).map(([name, value]) => ({ name, value }));
  const topics = [namespaceOf('default').topics.events];
  await admin.createTopics({ topics, partitions: topicPartitions.events, replicas: 1, configs });
  await admin.close();
}

test('all three are worked on as they are, none is started beside them and none is ended', async () => {
  const pids = PARTS.map((part) => elsewhere.pidOf(part));
  await makeEventsKeptForAWeek();
  const { code, output } = await up();
  expect(code, output).toBe(0);
  expect(output).toMatch(/^topics: events has retention\.ms 604800000, not -1: /m);
  const summary = JSON.parse(output.trimEnd().split('\n').at(-1)!) as Summary;
  expect(summary.events.total).toBeGreaterThan(0);

  // Every child of `up` leaves a log behind, every part a folder.
  expect(readdirSync(path.join(dir, 'up', 'logs')).sort()).toEqual([
    'jobs.log',
    'prometheus.log',
    'serve.log',
    'stream.log',
  ]);
  expect(PARTS.filter((part) => readdirSync(path.join(dir, 'up')).includes(part))).toEqual([]);

  const stillThere = JSON.parse(readFileSync(path.join(dir, 'elsewhere', 'pids.json'), 'utf8')) as {
    children: { pid: number }[];
  };
  expect(stillThere.children.map(({ pid }) => pid).sort()).toEqual([...pids].sort());
  const redis = new Redis(elsewhere.redisUrl!);
  expect(await redis.dbsize()).toBeGreaterThan(0);
  redis.disconnect();
  const stored = await fetch(
    `${elsewhere.clickhouseUrl}/?database=flywheel&query=SELECT+count()+FROM+events+FINAL`,
  );
  expect(Number(await stored.text())).toBe(summary.events.total);
  const admin = openTopicAdmin(elsewhere.kafkaBrokers!);
  const watermarks = await admin
    .watermarks(namespaceOf('default').topics.events)
    .finally(() => admin.close());
  const logged = watermarks.reduce((sum, { low, high }) => sum + high - low, 0);
  expect(logged).toBeGreaterThanOrEqual(summary.events.total);
});
