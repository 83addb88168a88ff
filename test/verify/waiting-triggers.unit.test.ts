// Oracle and stream, each by its own means, where more triggers come than may wait: the oldest expire, and nothing differs.
import { describe, expect, it } from 'vitest';
import { compareTriggers } from '../../verify/triggers.ts';
import { buyersOf, seeded } from '../e2e/support/mixed-log.ts';
import { type Produced, toPartition } from '../stream/support/engine.ts';
import { definitionValue } from '../stream/support/partition.ts';
import { createRecordedEngine, type RecordedEngine, scopeOf } from './support/engine-scope.ts';

const PARTITION = 3;
const HOUR_MS = 3_600_000;
const START_MS = Date.UTC(2024, 3, 1, 9);
const APPEND_MS = START_MS + 500 * 24 * HOUR_MS;
const WORLDS = 12;
const ROUNDS = 60;
const buyers = buyersOf(PARTITION, 12, 'waiting-');

const settings = (revision: number, maxPendingTriggers: number, triggerTtlMs: number): Produced => ({
  partition: PARTITION,
  value: definitionValue('settings', 'default', revision, {
    latenessMs: 600_000,
    maxPendingTriggers,
    triggerTtlMs,
  }),
});

/** A buyer is mature at its second view, and churned by a timer soon behind its last. */
function definitions(maxPendingTriggers: number, triggerTtlMs: number): Produced[] {
  const values = [
    definitionValue('behaviours', 'default', 1, {
      rules: [{ kind: 'track', event: 'view', behaviour: 'view' }],
    }),
    definitionValue('lifecycle', 'default', 1, {
      matureCount: 2,
      matureBehaviours: ['view'],
      retainedAfterMs: HOUR_MS,
      churnedAfterMs: 2 * HOUR_MS,
    }),
    definitionValue('trigger', 'any', 1, {
      name: 'any',
      on: 'transition',
      to: ['new', 'mature', 'retained', 'churned'],
    }),
  ];
  return [
    settings(1, maxPendingTriggers, triggerTtlMs),
    ...values.map((value) => ({ partition: PARTITION, value })),
  ];
}

function view(key: string, number: number, timestamp: number): Produced {
  const said = { kind: 'track', event: 'view', messageId: `view-${number}`, userId: key.slice(2) };
  return toPartition(key, { ...said, timestamp, receivedAt: timestamp, supplied: true });
}

function receipt(engine: RecordedEngine, random: () => number, timestamp: number): Produced[] {
  const { triggers } = engine.partitions[PARTITION]!.stored() as { triggers: string[] };
  const one = triggers[Math.floor(random() * triggers.length)];
  if (one === undefined) return [];
  const { id: trigger, key } = JSON.parse(one.slice(one.indexOf(' ') + 1)) as { id: string; key: string };
  return [toPartition(key, { kind: 'receipt', trigger, key, receiver: 'crm', timestamp })];
}

/** Some buyers at a time come at once, then time passes; some receipts come between, and once the cap changes. */
function world(seed: number): RecordedEngine {
  const random = seeded(seed);
  const cuts = { sizes: [1 + Math.floor(random() * 4)], restarts: random() < 0.3 };
  const engine = createRecordedEngine({ cuts, appendMs: APPEND_MS, random, repeats: 0 });
  const ttlMs = (1 + Math.floor(random() * 6)) * HOUR_MS;
  engine.run(definitions(1 + Math.floor(random() * 5), ttlMs));
  let timeMs = START_MS;
  for (let round = 0; round < ROUNDS; round += 1) {
    timeMs += Math.floor(random() ** 3 * 4 * HOUR_MS);
    const some = buyers.filter(() => random() < 0.4);
    engine.run(some.map((key, index) => view(key, round * buyers.length + index, timeMs)));
    if (random() < 0.5) engine.run(receipt(engine, random, timeMs));
    if (round === ROUNDS / 2) engine.run([settings(2, 2, ttlMs)]);
  }
  return engine;
}

describe('oracle and stream', () => {
  const seeds = Array.from({ length: WORLDS }, (_, seed) => seed + 1);
  it.each(seeds)('agree on which triggers wait and which have expired: world %i', async (seed) => {
    const scope = scopeOf(world(seed), APPEND_MS);
    await compareTriggers(scope);
    const { comparison } = scope;
    // What is sent to the topic `triggers` is not kept here.
    const differences = comparison.differences.filter(({ kind }) => kind !== 'triggers records');
    expect(differences.slice(0, 3)).toEqual([]);
    expect(comparison.compared('triggers rows')).toBeGreaterThan(50);
    expect(comparison.compared('triggers pending')).toBeGreaterThan(0);
  });
});
