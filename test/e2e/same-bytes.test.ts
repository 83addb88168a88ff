// The same log gives the same state, rows and records: however it is cut into batches, with and without a cache, by one
// process or three, and with a process killed in between. The definitions are small, so that every cap and cut is met.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { DefinitionType } from '../../domain/definition.ts';
import { openDefinitionLog } from '../../platform/definition-log.ts';
import { createPublisher } from '../../platform/definition-publish.ts';
import { type Child, endChildren, startChild } from './support/child.ts';
import { type Acknowledged, feed } from './support/feeder.ts';
import { type LogEntry, mixedLog, seeded } from './support/mixed-log.ts';
import {
  differences,
  forget,
  outputEnds,
  type Snapshot,
  snapshot,
  writeDefinitions,
} from './support/snapshot.ts';
import { openStage, type Stage } from './support/stage.ts';
import { expectVerified } from './support/whole.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DRAIN_MS_MAX = 90_000;
const START_MS = Date.UTC(2024, 2, 1);

const settings = {
  latenessMs: 10 * MINUTE_MS,
  maxIdsPerBuyer: 10,
  maxBehavioursPerBuyer: 10,
  maxOpportunitiesPerBuyer: 2,
  maxCellsPerWindow: 3,
  minuteRetentionMs: 10 * MINUTE_MS,
  hourRetentionMs: 2 * HOUR_MS,
  dayRetentionMs: 12 * HOUR_MS,
  timersPerCommit: 4,
  triggerTtlMs: 12 * HOUR_MS,
  linkMemoryMs: 9 * HOUR_MS,
  idMemoryMs: 20 * HOUR_MS,
  linkExpiryMs: 20 * HOUR_MS,
  maxLinksPerBuyer: 2,
  mergeChunkBehaviours: 3,
};
const track = (event: string, behaviour: string) => ({ kind: 'track', event, behaviour });
/** Shorter than lateness: such a timer is due as soon as it is set. Later revisions wait longer. */
const lifecycle = { retainedAfterMs: HOUR_MS, churnedAfterMs: 2 * MINUTE_MS };
const opportunity = { subject: ['category'], closeAfterMs: MINUTE_MS, qualifiedAt: 0.4 };
const steps = ['view', 'contact', 'inquiry'];
const windowMs = 8 * HOUR_MS;
const definitions = {
  'settings/default': settings,
  'behaviours/default': {
    rules: [
      { kind: 'page', behaviour: 'visit' },
      track('Products Searched', 'search'),
      track('Product Viewed', 'view'),
      track('Supplier Contacted', 'contact'),
      track('Inquiry Sent', 'inquiry'),
      track('Order Completed', 'order'),
      track('Order Fulfilled', 'fulfil'),
    ],
  },
  'lifecycle/default': lifecycle,
  'opportunity/default': opportunity,
  'funnel/reached': { name: 'default', steps: ['visit', 'view', 'contact', 'order'], windowMs },
  'funnel/ordered': { name: 'strict order', steps, windowMs, mode: 'strict_order' },
  'funnel/rising': { name: 'strict increase', steps, windowMs, mode: 'strict_increase' },
  'funnel/both': { name: 'both', steps, windowMs, mode: 'strict_order+strict_increase' },
  'score/opportunity': {
    name: 'score',
    horizonMs: 24 * HOUR_MS,
    halfLifeMs: HOUR_MS,
    intercept: -1,
    engagement: { view: 0.1, inquiry: 0.5 },
  },
  'trigger/stages': {
    name: 'stages',
    on: 'transition',
    to: ['new', 'mature', 'retained', 'churned'],
  },
  'trigger/opportunities': { name: 'opportunities', on: 'opportunity', to: ['opened', 'qualified'] },
  'account/display-europe': { name: 'account', currency: 'EUR', dailyBudgetMicros: 10_000_000 },
  'account/search-world': { name: 'account', currency: 'USD', dailyBudgetMicros: 20_000_000 },
  'campaign/display-brands': { name: 'campaign', accountId: 'display-europe', channel: 'display' },
  'campaign/search-parts': { name: 'campaign', accountId: 'search-world', channel: 'search' },
};
const campaigns = [
  { account: 'display-europe', campaign: 'display-brands', currency: 'EUR' },
  { account: 'search-world', campaign: 'search-parts', currency: 'USD' },
];

/** Keys whose UTF-8 order is not their UTF-16 order are among them: ties of timers are broken by bytes. */
function buyers(): string[] {
  const names = ['u:\uff5e', 'u:😀', 'a:ü', 'a:z', 'u:名前', 'u:__proto__', 'u:7', 'u:007'];
  for (let number = 0; number < 60; number += 1) names.push(`${number % 4 === 0 ? 'a' : 'u'}:b${number}`);
  return names;
}

/** Receipts for what the records at these offsets may have triggered: some do wait, some never were. */
function receipts(entries: readonly LogEntry[], offsets: readonly number[]): LogEntry[] {
  const random = seeded(5);
  return entries.flatMap((entry, index) => {
    if (entry.topic !== 'events' || random() > 0.1 || !entry.value.includes('"track"')) return [];
    return [1, 2, 3, 4, 5, 6].map((ordinal) => {
      const trigger = `${entry.partition}-${offsets[index]}-${ordinal}`;
      const body = {
        kind: 'receipt',
        messageId: `r-${trigger}`,
        key: entry.key,
        trigger,
        timestamp: START_MS,
      };
      return { ...entry, value: JSON.stringify(body) };
    });
  });
}

/** Straight into Kafka, past every check: of no type, and of no shape. */
function unfitDefinitions(): LogEntry[] {
  const common = { kind: 'definition', revision: 99, hash: '0'.repeat(64), previousHash: null, at: START_MS };
  const said = { by: 'nobody', why: '' };
  const bodies = [
    { ...common, ...said, type: 'constructor', id: 'x', document: {} },
    { ...common, ...said, type: 'funnel', id: 'reached', document: { steps: 'none' } },
    { ...common, ...said, type: 'settings', id: 'default', document: { timersPerCommit: 0 } },
  ];
  return bodies.flatMap((body) => [
    { topic: 'events' as const, partition: 3, key: null, value: JSON.stringify(body) },
    { topic: 'spend' as const, partition: 1, key: null, value: JSON.stringify(body) },
  ]);
}

let stage: Stage;
let definitionsDir: string;

async function publish(changes: readonly [type: DefinitionType, id: string, document: object][]) {
  const { namespace, producer, config } = stage;
  const log = await openDefinitionLog({ brokers: config.kafkaBrokers, namespace });
  await log.caughtUp();
  const publisher = createPublisher({ log, producer, namespace, nowMs: Date.now });
  for (const [type, id, document] of changes) {
    const result = await publisher.publish({ type, id, document, by: 'test', why: 'a change in the log' });
    expect(result.outcome).toBe('published');
  }
  await log.close();
}

/** Two days, with definitions that change on the way: shorter windows, another funnel, longer waits. */
async function feedLog(): Promise<void> {
  const acknowledged: Acknowledged = new Set();
  const part = async (number: number, records: number): Promise<void> => {
    const startMs = START_MS + number * 12 * HOUR_MS;
    const options = { seed: number, startMs, days: 0.5, records, buyers: buyers(), prefix: `p${number}` };
    const entries = mixedLog({ ...options, campaigns, linked: true });
    const offsets = await feed(stage, entries, acknowledged);
    await feed(stage, receipts(entries, offsets), acknowledged);
  };
  await part(0, 250);
  await part(1, 250);
  await publish([
    ['settings', 'default', { ...settings, latenessMs: 5 * MINUTE_MS, hourRetentionMs: 10 * MINUTE_MS }],
    ['funnel', 'ordered', { name: 'changed', steps: ['visit', ...steps], windowMs, mode: 'strict_order' }],
  ]);
  await part(2, 250);
  await publish([
    ['settings', 'default', settings],
    ['lifecycle', 'default', { ...lifecycle, churnedAfterMs: 5 * HOUR_MS }],
    ['opportunity', 'default', { ...opportunity, closeAfterMs: 7 * HOUR_MS }],
    // There and back: a document that was in force before, as a revision of its own.
    ['funnel', 'reached', { ...definitions['funnel/reached'], windowMs: MINUTE_MS }],
    ['funnel', 'reached', definitions['funnel/reached']],
  ]);
  await feed(stage, unfitDefinitions(), acknowledged);
  await part(3, 550);
}

async function recordsCommitted(child: Child): Promise<number> {
  const { metrics } = await child.ready;
  const text = await (await fetch(String(metrics))).text();
  return [...text.matchAll(/^flywheel_stream_records_total\{.*\} (\d+)/gm)].reduce(
    (sum, [, count]) => sum + Number(count),
    0,
  );
}

interface Run {
  readonly batchMax: number;
  readonly cache: 'on' | 'off';
  readonly processes: number;
  /** Killed at this failpoint first. */
  readonly killedAt?: string;
}

async function replay({ batchMax, cache, processes, killedAt }: Run): Promise<Snapshot> {
  await forget(stage);
  const since = await outputEnds(stage);
  const environment = { ...stage.environment, STREAM_BATCH_MAX: String(batchMax), STREAM_CACHE: cache };
  if (killedAt !== undefined) {
    const killed = startChild('stream', { ...environment, FLYWHEEL_FAILPOINT: killedAt });
    expect((await killed.ended).signal, killed.errors()).toBe('SIGKILL');
  }
  const children = Array.from({ length: processes }, (_, slot) =>
    startChild('stream', { ...environment, STREAM_SLOT: String(slot) }),
  );
  await Promise.all(children.map((child) => child.ready));
  await stage.untilDrained(DRAIN_MS_MAX).catch((error: Error) => {
    throw new Error(`${error.message}\n${children.map((child) => child.errors()).join('\n')}`);
  });
  const committed = await Promise.all(children.map(recordsCommitted));
  for (const child of children) expect((await child.stop()).code, child.errors()).toBe(0);
  // Three processes prove something only if more than one of them had records.
  expect(committed.filter((records) => records > 0).length).toBeGreaterThan(processes === 1 ? 0 : 1);
  return snapshot(stage, since);
}

describe('the same log', () => {
  let expected: Snapshot;

  beforeAll(async () => {
    definitionsDir = mkdtempSync(path.join(tmpdir(), 'flywheel-definitions-'));
    writeDefinitions(definitionsDir, definitions);
    // A slot that went away gives its partitions back soon.
    const environment = { STREAM_SESSION_TIMEOUT_MS: '6000' };
    stage = await openStage('same-bytes', { definitionsDir, environment });
    await feedLog();
    expected = await replay({ batchMax: 12_000, cache: 'on', processes: 1 });
  }, 180_000);
  afterEach(endChildren);
  afterAll(async () => {
    await stage?.close();
    rmSync(definitionsDir, { recursive: true, force: true });
  });

  it('meets what it is meant to meet: caps, cuts, closed windows, expired and acknowledged triggers', async () => {
    for (const [table, rows] of expected.rows) {
      if (table !== 'leases') expect([table, rows.length]).not.toEqual([table, 0]);
    }
    const text = (table: string): string => expected.rows.get(table)!.join('\n');
    for (const reason of ['first', 'matured', 'retained', 'returned', 'absent'])
      expect(text('transitions')).toContain(`"reason":"${reason}"`);
    for (const change of [
      'opened',
      'advanced',
      'updated',
      'qualified',
      'fulfilled',
      'lost',
      'completed',
      'evicted',
    ])
      expect(text('opportunities')).toContain(`"change":"${change}"`);
    for (const status of ['created', 'acknowledged', 'expired'])
      expect(text('triggers')).toContain(`"status":"${status}"`);
    for (const verdict of ['applied', 'late', 'duplicate'])
      expect(text('events')).toContain(`"verdict":"${verdict}"`);
    for (const reason of ['malformed', 'invalid', 'misplaced', 'future'])
      expect(text('rejects')).toContain(`"reason":"${reason}"`);
    expect(text('funnel_hours')).toContain('"country":"other"');
  });

  it.each<Run>([
    { batchMax: 7, cache: 'on', processes: 1 },
    { batchMax: 4_000, cache: 'off', processes: 1 },
    { batchMax: 1, cache: 'off', processes: 3 },
    { batchMax: 7, cache: 'off', processes: 1, killedAt: 'after-commit:60' },
  ])(
    'gives the same bytes with $batchMax records a batch, cache $cache, $processes processes, killed $killedAt',
    async (run) => {
      const found = differences(expected, await replay(run));
      expect(found.slice(0, 20)).toEqual([]);
    },
    150_000,
  );

  it('and what it gives is what the oracle makes of it', async () => {
    await expectVerified(stage);
  });
});
