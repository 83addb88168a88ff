// A funnel that is defined while buyers are on their way, over real parts: `jobs`, killed midway, begun again and run twice,
// computes its past, and its numbers are those of a funnel that was there from the start.
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FunnelDefinition } from '../../domain/definition.ts';
import { funnel as funnelSchema } from '../../domain/definition.ts';
import { levelOf } from '../../domain/funnel-levels.ts';
import { type BackfillProgress, readBackfills } from '../../platform/backfill-progress.ts';
import { decodeBuyer } from '../../platform/buyer-codec.ts';
import { openDefinitionLog } from '../../platform/definition-log.ts';
import { createPublisher } from '../../platform/definition-publish.ts';
import { buyerPartition, partitionKeys } from '../../platform/keys.ts';
import { type Child, endChildren, startChild } from './support/child.ts';
import { feed } from './support/feeder.ts';
import {
  LINKED_DAY_MS,
  LINKED_START_MS,
  LINKED_USERS,
  LINKED_VISITORS,
  linkedLog,
} from './support/linked-log.ts';
import type { LogEntry } from './support/mixed-log.ts';
import { openStage, type Stage } from './support/stage.ts';
import { expectVerified } from './support/whole.ts';

const keys = [...LINKED_USERS, ...LINKED_VISITORS];
const steps = ['view', 'contact', 'inquiry'];
const documents: Record<string, FunnelDefinition> = {
  plain: funnelSchema.parse({ name: 'plain', steps, windowMs: LINKED_DAY_MS }),
  strict: funnelSchema.parse({ name: 'strict', steps, windowMs: LINKED_DAY_MS, mode: 'strict_increase' }),
};

function clockAt(time: number): LogEntry[] {
  const value = JSON.stringify({ kind: 'clock', time, supplied: true });
  return Array.from({ length: 12 }, (_, partition) => ({ topic: 'events', partition, key: null, value }));
}

async function define(stage: Stage, id: string, document: object | null): Promise<void> {
  const log = await openDefinitionLog({ brokers: stage.config.kafkaBrokers, namespace: stage.namespace });
  await log.caughtUp();
  const { producer, namespace } = stage;
  const publisher = createPublisher({ log, producer, namespace, nowMs: Date.now });
  const published = await publisher.publish({ type: 'funnel', id, document, by: 'test', why: '' });
  expect(published.outcome).toBe('published');
  await log.close();
}

/** By hour and step: counters and adjustments together. */
async function countsOf(stage: Stage, funnel: string, revision: number): Promise<string[]> {
  const rows = await stage.rows<Record<string, string>>(`
    SELECT at, step, sum(n) AS amount FROM
    (
      SELECT hour AS at, arrayJoin(arrayEnumerate(steps)) AS step, toInt64(steps[step]) AS n
      FROM funnel_hours FINAL WHERE funnel = '${funnel}' AND revision = ${revision}
      UNION ALL
      SELECT start, column + 1, toInt64(amount)
      FROM adjustments FINAL WHERE series = 'funnel:${funnel}' AND revision = ${revision}
    )
    GROUP BY at, step HAVING amount != 0 ORDER BY at, step`);
  return rows.map(({ at, step, amount }) => `${at} step ${step}: ${amount}`);
}

async function levelsOf(stage: Stage, funnel: string): Promise<Record<string, number>> {
  const levels: Record<string, number> = {};
  for (const key of keys) {
    const id = { topic: 'events' as const, generation: 1, partition: buyerPartition(key) };
    const bytes = await stage.redis.getBuffer(partitionKeys(stage.namespace, id).buyer(key));
    if (bytes === null) continue;
    const buyer = decodeBuyer(key, bytes);
    const own = buyer.funnels.find((each) => each.id === funnel);
    levels[key] = own === undefined ? 0 : levelOf(buyer, own);
  }
  return levels;
}

async function backfillOf(stage: Stage, funnel: string): Promise<BackfillProgress | undefined> {
  const all = await readBackfills(stage.redis, stage.namespace, 1);
  return all.filter((each) => each.funnel === funnel).sort((a, b) => b.revision - a.revision)[0];
}

async function until(what: string, holds: () => Promise<boolean>, timeoutMs = 60_000): Promise<void> {
  const untilMs = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > untilMs) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

interface Outcome {
  readonly counts: Record<string, string[]>;
  readonly levels: Record<string, Record<string, number>>;
}

async function outcomeOf(stage: Stage, revision = 1): Promise<Outcome> {
  const outcome: Outcome = { counts: {}, levels: {} };
  for (const id of Object.keys(documents)) {
    outcome.counts[id] = await countsOf(stage, id, revision);
    outcome.levels[id] = await levelsOf(stage, id);
  }
  return outcome;
}

const END_MS = LINKED_START_MS + 3 * LINKED_DAY_MS;
/** Before the funnels, before their pasts, and the rest. */
const parts = linkedLog(5, [0.5, 0.63, 1]);
let expected: Outcome;

async function feedAll(stage: Stage, some: readonly (readonly LogEntry[])[]): Promise<void> {
  for (const piece of some) {
    await feed(stage, piece, new Set());
    await stage.untilDrained();
  }
}

beforeAll(async () => {
  const stage = await openStage('start');
  const stream = startChild('stream', stage.environment);
  await stream.ready;
  for (const [id, document] of Object.entries(documents)) await define(stage, id, document);
  for (const part of parts) await feedAll(stage, part);
  await feedAll(stage, [clockAt(END_MS)]);
  expected = await outcomeOf(stage);
  await stream.stop();
  await stage.close();
}, 120_000);
afterAll(endChildren);

describe('a funnel defined in the middle of a running stream', () => {
  let stage: Stage;
  let environment: Record<string, string>;
  beforeAll(async () => {
    stage = await openStage('middle');
    environment = {
      ...stage.environment,
      JOBS_METRICS_PORT: '0',
      JOBS_SECRETS_FILE: path.join(stage.dir, 'secrets.json'),
    };
  });
  afterAll(async () => {
    await endChildren();
    await stage.close();
  });
  const jobs = async (change: Record<string, string> = {}): Promise<Child> => {
    const child = startChild('jobs', { ...environment, ...change });
    await child.ready;
    return child;
  };

  it('ends with the numbers of one that was there from the start, whoever is killed and however often', async () => {
    const stream = startChild('stream', stage.environment);
    await stream.ready;
    await feedAll(stage, parts[0]!);
    for (const [id, document] of Object.entries(documents)) await define(stage, id, document);
    await feedAll(stage, parts[1]!);
    const killed = await jobs({ FLYWHEEL_FAILPOINT: 'jobs-backfill-piece' });
    expect((await killed.ended).signal).toBe('SIGKILL');
    const pair = [await jobs(), await jobs()];
    const isDone = async (id: string) => (await backfillOf(stage, id))?.status === 'done';
    await until('the pasts are computed', async () => (await isDone('plain')) && (await isDone('strict')));
    // Redis forgets how far it was: all is done again.
    await stage.redis.unlink(`${stage.namespace.redisPrefix}flywheel:backfills:1`);
    await Promise.all(pair.map((child) => child.stop()));
    const again = await jobs();
    await until(
      'the pasts are computed again',
      async () => (await isDone('plain')) && (await isDone('strict')),
    );
    await again.stop();
    await feedAll(stage, parts[2]!);
    await feedAll(stage, [clockAt(END_MS)]);
    const outcome = await outcomeOf(stage);
    expect(outcome.levels).toEqual(expected.levels);
    await expectVerified(stage);
    expect(outcome.counts.plain).toEqual(expected.counts.plain);
    expect(outcome.counts.strict).toEqual(expected.counts.strict);
  }, 240_000);
});
