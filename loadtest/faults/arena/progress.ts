// How far the stream is: what was in hand when something was killed, and how long it takes until that is made good.

import { unpack } from '../../../platform/codec.ts';
import { ensureGeneration } from '../../../platform/kafka-topics.ts';
import { type PartitionId, partitionKeys, statefulTopics } from '../../../platform/keys.ts';
import { topicPartitions } from '../../../platform/namespace.ts';
import { isDrained, lagOf, type PartitionProgress, readProgress } from '../../../platform/progress.ts';
import { fromEntry, type OutboxEntry, verdictAt } from '../../../stream/batch.ts';
import type { Arena } from './arena.ts';
import { sleep, until } from './wait.ts';

const CHECK_MS = 50;

/** What was under way at a moment. */
export interface InHand {
  /** Records in the log that no commit holds. */
  readonly lag: number;
  /** Batches that are committed and not known to be delivered. */
  readonly undelivered: number;
  /** Records below the stored offsets that a successor reads and delivers again. */
  readonly reread: number;
}

async function idsOf(arena: Arena): Promise<PartitionId[]> {
  const generations = await ensureGeneration(arena.namespace, arena.admin, arena.redis);
  return statefulTopics.flatMap((topic) =>
    Array.from({ length: topicPartitions[topic] }, (_, partition) => ({
      topic,
      generation: generations[topic],
      partition,
    })),
  );
}

/** `<topic>:<partition>` → where its log ends. */
export type Ends = ReadonlyMap<string, number>;
const nameOf = ({ topic, partition }: Pick<PartitionId, 'topic' | 'partition'>): string =>
  `${topic}:${partition}`;

/** Where the logs end now, of those partitions only if they are given. */
export async function endsOf(arena: Arena, of?: ReadonlySet<string>): Promise<Ends> {
  const progress = await readProgress(arena.namespace, arena.redis, arena.admin);
  const all = progress.map((one) => [nameOf(one), one.high] as const);
  return new Map(all.filter(([name]) => of === undefined || of.has(name)));
}

/**
 * Exact when nobody owns the partitions; else a moment's look.
 * @param ends counts only those partitions, and of their logs what stood there then: what came since met nothing of what was done
 */
export async function inHand(arena: Arena, ends?: Ends): Promise<InHand> {
  const all = await readProgress(arena.namespace, arena.redis, arena.admin);
  const progress =
    ends === undefined
      ? all
      : all.flatMap((one) => (ends.has(nameOf(one)) ? [{ ...one, high: ends.get(nameOf(one))! }] : []));
  const ids = (await idsOf(arena)).filter((id) => ends === undefined || ends.has(nameOf(id)));
  const rereads = await Promise.all(
    ids.map(async (id) => {
      const keys = partitionKeys(arena.namespace, id);
      const [offset, entries] = await Promise.all([
        arena.redis.hget(keys.head, 'offset'),
        arena.redis.hgetallBuffer(keys.outbox),
      ]);
      const froms = Object.values(entries).map(
        (blob) => fromEntry(unpack(blob as Buffer) as OutboxEntry).from,
      );
      return Math.max(0, Number(offset ?? 0) - Math.min(Number(offset ?? 0), ...froms));
    }),
  );
  return {
    lag: lagOf(progress),
    undelivered: progress.reduce((sum, { undelivered }) => sum + undelivered, 0),
    reread: rereads.reduce((sum, reread) => sum + reread, 0),
  };
}

/** Who owns a partition, how many commits there were of it, and the offset that it applies next. */
export interface Commits {
  readonly nonce: string;
  readonly seq: number;
  readonly offset: number;
}

/** `<topic>:<partition>` → its commits, of those that were ever owned. */
export async function commitsOf(arena: Arena): Promise<Map<string, Commits>> {
  const ids = await idsOf(arena);
  const heads = await Promise.all(
    ids.map((id) => arena.redis.hmget(partitionKeys(arena.namespace, id).head, 'nonce', 'seq', 'offset')),
  );
  return new Map(
    heads.flatMap(([nonce, seq, offset], index) => {
      if (typeof nonce !== 'string') return [];
      return [[nameOf(ids[index]!), { nonce, seq: Number(seq), offset: Number(offset) }] as const];
    }),
  );
}

/** What of a commit is a row of `events`: all that was collected and could be read. */
const ROW_VERDICTS: ReadonlySet<string> = new Set(['applied', 'late', 'duplicate']);

/** Offsets of the rows that each batch in the outbox of a partition of `events` stands for. */
async function owedRows(arena: Arena, id: PartitionId): Promise<number[][]> {
  const entries = await arena.redis.hgetallBuffer(partitionKeys(arena.namespace, id).outbox);
  const batches = Object.values(entries).map((blob) => fromEntry(unpack(blob as Buffer) as OutboxEntry));
  return batches.map((batch) =>
    batch.verdicts
      .map((_, index) => batch.from + index)
      .filter((offset) => ROW_VERDICTS.has(verdictAt(batch, offset).verdict)),
  );
}

/** Rows of `events` that ClickHouse has, of those offsets and above. */
async function writtenFrom({ clickhouse }: Arena, offset: number): Promise<Set<string>> {
  const query = `SELECT DISTINCT partition, offset FROM events WHERE offset >= ${offset}`;
  const rows = await (await clickhouse.query({ query, format: 'JSONEachRow' })).json<{
    partition: number;
    offset: string;
  }>();
  return new Set(rows.map((row) => `${row.partition}:${row.offset}`));
}

/** Rows of `events` that ClickHouse has of records that those commits have not applied. */
export async function rowsFrom(
  { clickhouse }: Arena,
  commits: ReadonlyMap<string, Commits>,
): Promise<number> {
  const ahead = Array.from({ length: topicPartitions.events }, (_, partition) => {
    const offset = commits.get(nameOf({ topic: 'events', partition }))?.offset ?? 0;
    return `(partition = ${partition} AND offset >= ${offset})`;
  });
  const query = `SELECT uniqExact(partition, offset) AS count FROM events WHERE ${ahead.join(' OR ')}`;
  const [row] = await (await clickhouse.query({ query, format: 'JSONEachRow' })).json<{ count: string }>();
  return Number(row!.count);
}

/** What ClickHouse has of a batch that an outbox holds. */
export interface PartOfBatch {
  readonly rows: number;
  readonly written: number;
}

/** Every batch of `events` that is committed and perhaps not delivered. Exact while their owners stand still. */
export async function batchesInHand(arena: Arena, of?: Ends): Promise<PartOfBatch[]> {
  const ids = (await idsOf(arena)).filter(
    (id) => id.topic === 'events' && (of === undefined || of.has(nameOf(id))),
  );
  const owed = await Promise.all(ids.map((id) => owedRows(arena, id)));
  const from = Math.min(...owed.flat(2));
  if (!Number.isFinite(from)) return [];
  const written = await writtenFrom(arena, from);
  return ids.flatMap(({ partition }, index) =>
    owed[index]!.map((offsets) => ({
      rows: offsets.length,
      written: offsets.filter((offset) => written.has(`${partition}:${offset}`)).length,
    })),
  );
}

/**
 * Records that are committed and whose rows ClickHouse does not have. An outbox keeps a batch that is delivered until the next
 * commit, so how many batches are in it says nothing of what is still owed. Exact when nobody owns the partitions.
 */
export async function unwrittenOf(arena: Arena, of?: Ends): Promise<number> {
  const batches = await batchesInHand(arena, of);
  return batches.reduce((sum, { rows, written }) => sum + rows - written, 0);
}

/** `<topic>:<partition> <seq>` of every batch that an outbox holds. */
async function batchesOwed(arena: Arena): Promise<Set<string>> {
  const ids = await idsOf(arena);
  const seqs = await Promise.all(
    ids.map((id) => arena.redis.hkeys(partitionKeys(arena.namespace, id).outbox)),
  );
  return new Set(ids.flatMap((id, index) => seqs[index]!.map((seq) => `${nameOf(id)} ${seq}`)));
}

/**
 * Resolves when everything that was in the log or in an outbox at the call is applied and delivered, whatever comes after it. What
 * was in the log is in outboxes once it is applied, beside what was there before: they are read then, and not sooner.
 */
export async function untilMadeGood(arena: Arena, timeoutMs: number): Promise<void> {
  const ends = await endsOf(arena);
  await until(
    'what was in the log is applied',
    async () => {
      const progress = await readProgress(arena.namespace, arena.redis, arena.admin);
      return progress.every((one) => one.offset >= ends.get(nameOf(one))!);
    },
    timeoutMs,
  );
  let owed: ReadonlySet<string> | undefined;
  await until(
    'what was in the outboxes is delivered',
    async () => {
      const now = await batchesOwed(arena);
      owed ??= now;
      return [...owed].every((batch) => !now.has(batch));
    },
    timeoutMs,
  );
}

/** As `untilMadeGood`; resolves with the seconds since `sinceMs`, which is when what was done to the engine was over. */
export async function recoveredIn(arena: Arena, timeoutMs: number, sinceMs: number): Promise<number> {
  await untilMadeGood(arena, timeoutMs);
  return Math.round(performance.now() - sinceMs) / 1_000;
}

/** Resolves with the milliseconds until nothing is left to apply, deliver or flush. @throws Error saying what is */
export async function untilDrained(arena: Arena, timeoutMs: number): Promise<number> {
  const startedMs = performance.now();
  for (;;) {
    let progress: PartitionProgress[] = [];
    let reason = '';
    try {
      progress = await readProgress(arena.namespace, arena.redis, arena.admin);
      if (isDrained(progress)) return performance.now() - startedMs;
    } catch (error) {
      reason = (error as Error).message;
    }
    if (performance.now() - startedMs > timeoutMs) {
      const open = progress.filter((one) => !isDrained([one]));
      throw new Error(`not drained after ${timeoutMs} ms: ${reason}${JSON.stringify(open.slice(0, 5))}`);
    }
    await sleep(CHECK_MS);
  }
}
