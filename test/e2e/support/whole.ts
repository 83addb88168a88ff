// What must hold of the rows, the log and the triggers once everything is drained, whatever was killed on the way.
import { expect } from 'vitest';
import { nothingImplied } from '../../../verify/implied.ts';
import { type Verdict, verify } from '../../../verify/main.ts';
import { type Acknowledged, collectedInLog } from './feeder.ts';
import type { Stage } from './stage.ts';
import type { TriggerPuller } from './trigger-puller.ts';

/** Positions by the table that answers for them: each record of the log is exactly one of these. */
async function accountedFor(stage: Stage): Promise<string[]> {
  const rows = await stage.rows<{ position: string }>(`
    SELECT concat('events:', toString(partition), ':', toString(offset)) AS position FROM events FINAL
    UNION ALL
    SELECT concat('events:', toString(partition), ':', toString(offset)) FROM exposures FINAL
    UNION ALL
    SELECT DISTINCT concat('spend:', toString(partition), ':', toString(offset)) FROM spend FINAL
    UNION ALL
    SELECT concat(source_topic, ':', toString(source_partition), ':', toString(source_offset)) FROM rejects FINAL`);
  return rows.map(({ position }) => position).sort();
}

async function expectNoDoubles(stage: Stage): Promise<void> {
  const [applied] = await stage.rows<{ all: string; distinct: string }>(
    `SELECT count() AS all, uniqExact(key, message_id) AS distinct FROM events FINAL WHERE verdict = 'applied'`,
  );
  expect(Number(applied!.all)).toBeGreaterThan(0);
  expect(applied!.all).toBe(applied!.distinct);
}

async function expectTriggersOnce(stage: Stage, puller: TriggerPuller): Promise<void> {
  await puller.pull();
  const created = await stage.rows<{ id: string }>(
    `SELECT trigger_id AS id FROM triggers FINAL WHERE status = 'created'`,
  );
  const counted = [...puller.counted()].sort();
  expect(counted.length).toBeGreaterThan(0);
  expect(counted).toEqual(created.map(({ id }) => id).sort());
  expect(new Set(counted).size).toBe(counted.length);
}

/** The oracle, which reads the log by itself, finds no difference in what Redis and ClickHouse hold. */
export async function expectVerified(stage: Stage): Promise<Verdict> {
  const { config } = stage;
  const verdict = await verify({ config, implied: nothingImplied, waitMs: 10_000, onProgress: () => {} });
  expect(verdict.differences.slice(0, 20)).toEqual([]);
  expect(verdict.differenceCount).toBe(0);
  const compared = verdict.kinds.reduce((sum, kind) => sum + kind.compared, 0);
  expect(compared).toBeGreaterThan(0);
  return verdict;
}

/** Nothing lost, nothing twice. */
export async function expectWhole(
  stage: Stage,
  acknowledged: Acknowledged,
  puller: TriggerPuller,
): Promise<void> {
  const fed = [...acknowledged].sort();
  expect([...(await collectedInLog(stage))].sort()).toEqual(fed);
  expect(await accountedFor(stage)).toEqual(fed);
  await expectNoDoubles(stage);
  await expectTriggersOnce(stage, puller);
  await expectVerified(stage);
}
