// Computes the past of each funnel revision that came into force among buyers who were there before it
// (docs/decisions/definitions.md, "A funnel's past"). Killed anywhere and begun again, or done by two at once, it changes nothing.

import { type FunnelDefinition, type InForce, type Settings, settings } from '../domain/definition.ts';
import { backfillRecords, definitionsFor } from '../domain/funnel-past.ts';
import { firstOf } from '../domain/text.ts';
import {
  type BackfillProgress,
  readBackfills,
  unstarted,
  writeBackfill,
} from '../platform/backfill-progress.ts';
import type { DefinitionLog } from '../platform/definition-log.ts';
import type { Failpoint } from '../platform/failpoint.ts';
import type { Producer } from '../platform/kafka.ts';
import type { TopicAdmin } from '../platform/kafka-topics.ts';
import { buyerPartition, partitionKeys } from '../platform/keys.ts';
import { type Namespace, topicPartitions } from '../platform/namespace.ts';
import type { RedisClient } from '../platform/redis.ts';
import type { JobsMetrics } from './metrics.ts';
import type { PastReader } from './past-reader.ts';

const LOOK_MS = 200;
/** How long a turn waits for the stream before it looks at other funnels; and between two looks at all of them. */
const PATIENCE_MS = 10_000;
const PAUSE_MS = 2_000;
/** A look at all of them when nothing is to be done. */
const IDLE_MS = 60_000;

export interface BackfillPorts {
  readonly namespace: Namespace;
  /** Of `events`. */
  readonly generation: number;
  readonly redis: RedisClient;
  readonly admin: TopicAdmin;
  readonly definitions: Pick<DefinitionLog, 'find' | 'list' | 'onChange'>;
  readonly producer: Pick<Producer, 'sendBatch'>;
  readonly reader: PastReader;
  readonly metrics: Pick<JobsMetrics, 'backfilled' | 'showBackfills'>;
  readonly failpoint: Failpoint;
  readonly nowMs: () => number;
  readonly warn: (message: string) => void;
}

type Funnel = InForce<FunnelDefinition>;

/** Goes on until the signal: every funnel in force, one after the other, whenever one has changed. */
export async function keepBackfilled(ports: BackfillPorts, signal: AbortSignal): Promise<void> {
  const { definitions, redis, namespace, generation, metrics, warn } = ports;
  let wake: () => void = () => {};
  const forget = definitions.onChange(({ type }) => type === 'funnel' && wake());
  const known = new Map<string, BackfillProgress>();
  metrics.showBackfills(() => [...known.values()]);
  try {
    while (!signal.aborted) {
      // A lost Redis has forgotten what was done; then it is done again, and changes nothing.
      const all = await readBackfills(redis, namespace, generation).catch((error: Error) => {
        warn(`how far backfills are cannot be read: ${error.message}`);
        return null;
      });
      if (all !== null) {
        known.clear();
        for (const each of all) known.set(`${each.funnel}@${each.revision}`, each);
        await backfillAll(ports, known, signal);
      }
      const idle = all !== null && [...known.values()].every(({ status }) => isOver(status));
      await pause(idle ? IDLE_MS : PAUSE_MS, signal, (woken) => {
        wake = woken;
      });
    }
  } finally {
    forget();
    metrics.showBackfills(null);
  }
}

const isOver = (status: BackfillProgress['status']): boolean => status === 'done' || status === 'stopped';

async function backfillAll(
  ports: BackfillPorts,
  known: Map<string, BackfillProgress>,
  signal: AbortSignal,
): Promise<void> {
  const funnels = ports.definitions.list<FunnelDefinition>('funnel');
  const save = async (progress: BackfillProgress): Promise<void> => {
    known.set(`${progress.funnel}@${progress.revision}`, progress);
    await writeBackfill(ports.redis, ports.namespace, ports.generation, progress);
  };
  for (const progress of known.values()) {
    const isCurrent = funnels.some(
      ({ id, revision }) => id === progress.funnel && revision === progress.revision,
    );
    if (!isCurrent && !isOver(progress.status)) await save({ ...progress, status: 'stopped', detail: '' });
  }
  for (const funnel of funnels) {
    if (signal.aborted) return;
    const before = known.get(`${funnel.id}@${funnel.revision}`) ?? unstarted(funnel.id, funnel.revision);
    if (before.status === 'done') continue;
    try {
      await backfill(ports, funnel, before, save, signal);
    } catch (error) {
      const detail = firstOf((error as Error).message, 500);
      ports.warn(`the past of funnel ${funnel.id} could not be computed and is tried again: ${detail}`);
      const latest = known.get(`${funnel.id}@${funnel.revision}`) ?? before;
      await save({ ...latest, status: 'failed', detail }).catch(() => {});
    }
  }
}

const NOTHING_BEFORE = 'nobody had done anything before its record: there is nothing to compute';
const ON_THEIR_WAY = 'rows of before its record are still on their way to ClickHouse';

function notApplied(partitions: readonly number[]): string {
  const which =
    partitions.length === 1 ? `partition ${partitions[0]} has` : `partitions ${partitions.join(', ')} have`;
  return `${which} not applied its record yet; flywheel status says whether one is paused or behind`;
}

type Save = (progress: BackfillProgress) => Promise<void>;

async function backfill(
  ports: BackfillPorts,
  funnel: Funnel,
  before: BackfillProgress,
  save: Save,
  signal: AbortSignal,
): Promise<void> {
  const { reader, definitions, nowMs } = ports;
  const { id, revision } = funnel;
  const found = await reader.bounds(id, revision, topicPartitions.events);
  const bounds = found.filter((bound) => bound !== undefined);
  if (bounds.length < found.length) {
    const behind = found.flatMap((bound, partition) => (bound === undefined ? [partition] : []));
    return save({ ...before, status: 'waiting', detail: notApplied(behind) });
  }
  const startedMs = before.startedMs === 0 ? nowMs() : before.startedMs;
  if (!(await reader.any(bounds)))
    return save({ ...before, status: 'done', startedMs, finishedMs: nowMs(), detail: NOTHING_BEFORE });
  if (!(await isDelivered(ports, signal)))
    return save({ ...before, status: 'waiting', detail: ON_THEIR_WAY });
  const keysTotal = await reader.total(bounds);
  let progress: BackfillProgress = { ...before, status: 'running', startedMs, keysTotal, detail: '' };
  await save(progress);
  const isCurrent = (): boolean => definitions.find('funnel', id)?.revision === revision;
  while (!signal.aborted && isCurrent()) {
    const keys = await reader.keys(bounds, progress.after);
    if (keys.length === 0) break;
    const records = await writePiece(ports, funnel, bounds, keys, progress.after);
    ports.failpoint('jobs-backfill-piece');
    const keysDone = progress.keysDone + keys.length;
    progress = { ...progress, after: keys.at(-1)!, keysDone, records: progress.records + records };
    await save(progress);
  }
  if (signal.aborted) return;
  if (!isCurrent()) return save({ ...progress, status: 'stopped', finishedMs: nowMs() });
  if (await isApplied(ports, signal)) await save({ ...progress, status: 'done', finishedMs: nowMs() });
}

/** Writes the records of a piece; resolves with how many when Kafka has them. */
async function writePiece(
  { namespace, producer, reader, definitions, metrics }: BackfillPorts,
  funnel: Funnel,
  bounds: readonly number[],
  keys: readonly string[],
  after: string,
): Promise<number> {
  const inForce = definitions.find<Settings>('settings', 'default')?.document ?? settings.parse({});
  const pasts = await reader.pasts(bounds, keys, after);
  const records = backfillRecords(pasts, definitionsFor(funnel, inForce));
  await producer.sendBatch(
    records.map((record) => ({
      topic: namespace.topics.events,
      partition: buyerPartition(record.key),
      key: record.key,
      value: JSON.stringify(record),
    })),
  );
  metrics.backfilled(records.length);
  return records.length;
}

/** Looks until it is so, at most for a while. */
async function comesTrue(
  look: () => Promise<boolean>,
  signal: AbortSignal,
  patienceMs = Number.POSITIVE_INFINITY,
): Promise<boolean> {
  const untilMs = performance.now() + patienceMs;
  while (!signal.aborted) {
    if (await look()) return true;
    if (performance.now() > untilMs) return false;
    await pause(LOOK_MS, signal);
  }
  return false;
}

function eachPartition<Value>(
  { namespace, generation }: BackfillPorts,
  work: (keys: ReturnType<typeof partitionKeys>, partition: number) => Promise<Value>,
): Promise<Value[]> {
  return Promise.all(
    Array.from({ length: topicPartitions.events }, (_, partition) =>
      work(partitionKeys(namespace, { topic: 'events', generation, partition }), partition),
    ),
  );
}

/** ClickHouse and Kafka have everything that every partition had committed when this was asked. */
async function isDelivered(ports: BackfillPorts, signal: AbortSignal): Promise<boolean> {
  const { redis } = ports;
  const committed = await eachPartition(ports, async ({ head }) =>
    Number((await redis.hget(head, 'seq')) ?? 0),
  );
  const look = async (): Promise<boolean> => {
    const waiting = await eachPartition(ports, async ({ outbox }, partition) =>
      (await redis.hkeys(outbox)).some((seq) => Number(seq) <= committed[partition]!),
    );
    return !waiting.includes(true);
  };
  return comesTrue(look, signal, PATIENCE_MS);
}

/** Every partition has passed what the log held when this was asked. */
async function isApplied(ports: BackfillPorts, signal: AbortSignal): Promise<boolean> {
  const { redis, admin, namespace } = ports;
  const ends = await admin.watermarks(namespace.topics.events);
  const look = async (): Promise<boolean> => {
    const passed = await eachPartition(
      ports,
      async ({ head }, partition) => Number((await redis.hget(head, 'offset')) ?? 0) >= ends[partition]!.high,
    );
    return !passed.includes(false);
  };
  return comesTrue(look, signal);
}

function pause(
  ms: number,
  signal: AbortSignal,
  onWake: (wake: () => void) => void = () => {},
): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
    onWake(done);
    if (signal.aborted) done();
  });
}
