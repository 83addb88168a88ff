// Computes the past of each funnel revision that came into force among buyers who were there before it
// (docs/decisions/definitions.md, "A funnel's past"). Killed anywhere and begun again, or done by two at once, it changes nothing.

import { type FunnelDefinition, type InForce, type Settings, settings } from '../domain/definition.ts';
import { backfillRecords, definitionsFor } from '../domain/funnel-past.ts';
import type { BackfillRecord } from '../domain/identity-record.ts';
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
import { buyerPartition } from '../platform/keys.ts';
import { topicPartitions } from '../platform/namespace.ts';
import { isPlatformError } from '../platform/platform-error.ts';
import type { JobsMetrics } from './metrics.ts';
import type { PastReader } from './past-reader.ts';
import { pause } from './pause.ts';
import { behind, endsOf, isDelivered, type ReachPorts } from './stream-reach.ts';

/** How long a turn waits for the stream before it looks at other funnels; and between two looks at all of them. */
const PATIENCE_MS = 10_000;
const PAUSE_MS = 2_000;
/** A look at all of them when nothing is to be done. */
const IDLE_MS = 60_000;
/** Records that Kafka refused are tried again so often; a funnel of which it has refused so many goes no further. */
const REFUSED_RETRY_MS = 60_000;
const REFUSED_MAX = 100;

export interface BackfillPorts extends ReachPorts {
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
  // Also while a turn is under way, which has listed the funnels already.
  let changed = false;
  const forget = definitions.onChange(({ type }) => {
    if (type !== 'funnel') return;
    changed = true;
    wake();
  });
  const known = new Map<string, BackfillProgress>();
  metrics.showBackfills(() => [...known.values()]);
  try {
    while (!signal.aborted) {
      changed = false;
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
      if (changed && all !== null) continue;
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
  await stopOld(ports, known, funnels, save);
  for (const funnel of funnels) {
    if (signal.aborted) return;
    const before = known.get(`${funnel.id}@${funnel.revision}`) ?? unstarted(funnel.id, funnel.revision);
    if (before.status === 'done') continue;
    try {
      await backfill(ports, funnel, before, save, signal);
    } catch (error) {
      // What was called off has not failed.
      if (signal.aborted) return;
      const detail = firstOf((error as Error).message, 500);
      ports.warn(`the past of funnel ${funnel.id} could not be computed and is tried again: ${detail}`);
      const latest = known.get(`${funnel.id}@${funnel.revision}`) ?? before;
      await save({ ...latest, status: 'failed', detail }).catch(() => {});
    }
  }
}

/** Revisions that are no longer in force go no further. */
async function stopOld(
  { warn }: BackfillPorts,
  known: Map<string, BackfillProgress>,
  funnels: readonly Funnel[],
  save: Save,
): Promise<void> {
  for (const [key, progress] of [...known]) {
    const { funnel, revision, status } = progress;
    if (isOver(status) || funnels.some((each) => each.id === funnel && each.revision === revision)) continue;
    try {
      await save({ ...progress, status: 'stopped', detail: '' });
    } catch (error) {
      warn(
        `that funnel ${funnel}@${revision} is stopped cannot be said and is tried again: ${(error as Error).message}`,
      );
      known.set(key, progress);
    }
  }
}

const NOTHING_BEFORE = 'nobody had done anything before its record: there is nothing to compute';
const ON_THEIR_WAY = 'rows of before its record are still on their way to ClickHouse';

function notApplied(partitions: readonly number[], what: string): string {
  const which =
    partitions.length === 1 ? `partition ${partitions[0]} has` : `partitions ${partitions.join(', ')} have`;
  return `${which} not applied ${what} yet; flywheel status says whether one is paused or behind`;
}

function notTaken({ refused: { length, 0: first } }: BackfillProgress): string {
  const whose = length === 1 ? `the record of ${first}` : `the records of ${length} buyers, first ${first}`;
  const rest = length < REFUSED_MAX ? 'the others are written' : 'it goes no further until there are fewer';
  return `Kafka refuses ${whose}; tried again every ${REFUSED_RETRY_MS / 1_000} s, ${rest}`;
}

type Save = (progress: BackfillProgress) => Promise<void>;

/** A funnel whose record every partition has. */
interface Run {
  readonly ports: BackfillPorts;
  readonly funnel: Funnel;
  /** Where its record is in each partition. */
  readonly bounds: readonly number[];
  readonly save: Save;
  readonly signal: AbortSignal;
}

const isCurrent = ({ ports, funnel: { id, revision } }: Run): boolean =>
  ports.definitions.find('funnel', id)?.revision === revision;

/** One funnel, as far as it goes now: what holds it up is said, and other funnels have their turns meanwhile. */
async function backfill(
  ports: BackfillPorts,
  funnel: Funnel,
  before: BackfillProgress,
  save: Save,
  signal: AbortSignal,
): Promise<void> {
  const { reader, nowMs } = ports;
  const found = await reader.bounds(funnel.id, funnel.revision, topicPartitions.events, signal);
  const bounds = found.filter((bound) => bound !== undefined);
  if (bounds.length < found.length) {
    const without = found.flatMap((bound, partition) => (bound === undefined ? [partition] : []));
    return save({ ...before, status: 'waiting', detail: notApplied(without, 'its record') });
  }
  const startedMs = before.startedMs === 0 ? nowMs() : before.startedMs;
  let progress: BackfillProgress = { ...before, startedMs };
  const run: Run = { ports, funnel, bounds, save, signal };
  if (progress.ends.length === 0) {
    // The funnel's record may be in ClickHouse before the events of before it: those who come later are not nobody.
    if (!(await isDelivered(ports, signal, PATIENCE_MS)))
      return save({ ...before, status: 'waiting', detail: ON_THEIR_WAY });
    if (!(await reader.any(bounds, signal)))
      return save({ ...progress, status: 'done', finishedMs: nowMs(), detail: NOTHING_BEFORE });
    progress = await writePieces(run, progress);
  }
  if (progress.refused.length > 0 && nowMs() >= progress.refusedMs + REFUSED_RETRY_MS)
    progress = await writeRefused(run, progress);
  if (signal.aborted) return;
  if (!isCurrent(run)) return save({ ...progress, status: 'stopped', finishedMs: nowMs() });
  if (progress.refused.length > 0) return save({ ...progress, status: 'failed', detail: notTaken(progress) });
  // Waited for once, then only looked at: a partition that is paused must not take a turn each time.
  const late = await behind(ports, progress.ends, signal, progress.ends === before.ends ? 0 : PATIENCE_MS);
  if (signal.aborted) return;
  if (late.length > 0)
    return save({ ...progress, status: 'waiting', detail: notApplied(late, 'the records of its past') });
  await save({ ...progress, status: 'done', finishedMs: nowMs(), detail: '' });
}

/** Piece by piece, from where it had come to. */
async function writePieces(run: Run, before: BackfillProgress): Promise<BackfillProgress> {
  const { ports, bounds, save, signal } = run;
  const keysTotal = await ports.reader.total(bounds, signal);
  let progress: BackfillProgress = { ...before, status: 'running', keysTotal, detail: '' };
  await save(progress);
  while (!signal.aborted && isCurrent(run) && progress.refused.length < REFUSED_MAX) {
    const keys = await ports.reader.keys(bounds, progress.after, signal);
    if (keys.length === 0) {
      progress = { ...progress, ends: await endsOf(ports) };
      await save(progress);
      break;
    }
    const { written, refused } = await writeRecords(run, keys);
    ports.failpoint('jobs-backfill-piece');
    progress = {
      ...progress,
      after: keys.at(-1)!,
      keysDone: progress.keysDone + keys.length,
      records: progress.records + written,
      refused: [...progress.refused, ...refused],
      refusedMs: refused.length === 0 ? progress.refusedMs : ports.nowMs(),
    };
    await save(progress);
  }
  return progress;
}

/** Each by itself, and nothing of the pieces that they were in. */
async function writeRefused(run: Run, before: BackfillProgress): Promise<BackfillProgress> {
  const { ports, save, signal } = run;
  const still: string[] = [];
  let { records } = before;
  for (const key of before.refused) {
    if (signal.aborted || !isCurrent(run)) return before;
    const { written, refused } = await writeRecords(run, [key]);
    records += written;
    still.push(...refused);
  }
  const ends = before.ends.length === 0 ? before.ends : await endsOf(ports);
  const progress = { ...before, records, refused: still, refusedMs: ports.nowMs(), ends };
  await save(progress);
  return progress;
}

/**
 * Writes the records of some keys that follow each other, each for itself, so that one which Kafka refuses costs no other.
 * Resolves when Kafka has answered all of them: with how many it has, and the keys of those that it refused.
 * @throws PlatformError if the producer can write nothing any more
 */
async function writeRecords({ ports, funnel, bounds, signal }: Run, keys: readonly string[]) {
  const { namespace, producer, reader, definitions, metrics, warn } = ports;
  const inForce = definitions.find<Settings>('settings', 'default')?.document ?? settings.parse({});
  const pasts = await reader.pasts(bounds, keys, signal);
  const records: BackfillRecord[] = [];
  for (const record of backfillRecords(pasts, definitionsFor(funnel, inForce))) {
    if (record !== null) records.push(record);
    // Between two keys the loop has its turn: a leader that does not renew its lease is one no longer.
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { events: topic } = namespace.topics;
  const refused: string[] = [];
  const write = async (record: BackfillRecord): Promise<void> => {
    const { key } = record;
    try {
      await producer.sendBatch([
        { topic, partition: buyerPartition(key), key, value: JSON.stringify(record) },
      ]);
    } catch (error) {
      if (isPlatformError(error, 'KAFKA_FATAL') || isPlatformError(error, 'KAFKA_CLOSED')) throw error;
      if (refused.length === 0)
        warn(`Kafka refused the past of ${key} in funnel ${funnel.id}: ${(error as Error).message}`);
      refused.push(key);
    }
  };
  const outcomes = await Promise.allSettled(records.map(write));
  const fatal = outcomes.find(({ status }) => status === 'rejected');
  if (fatal?.status === 'rejected') throw fatal.reason;
  const written = records.length - refused.length;
  metrics.backfilled(written);
  return { written, refused };
}
