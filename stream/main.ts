// The stream: consume ▶ decode ▶ fold ▶ commit ▶ deliver, one owner a partition.
// Read `runStream` top to bottom and you know how the parts hang together; the order of the steps is in owner.ts.
import { hostname } from 'node:os';
import type { Registry } from 'prom-client';
import { type ClickHouse, insertBinary, insertCompact } from '../platform/clickhouse.ts';
import type { Config } from '../platform/config.ts';
import { type Failpoint, neverFails } from '../platform/failpoint.ts';
import type { Producer } from '../platform/kafka.ts';
import type { TopicAdmin } from '../platform/kafka-topics.ts';
import {
  type PartitionId,
  type PartitionKeys,
  partitionKeys,
  type StatefulTopic,
  statefulTopics,
} from '../platform/keys.ts';
import type { Namespace } from '../platform/namespace.ts';
import type { RedisClient } from '../platform/redis.ts';
import {
  UNDELIVERED_BATCHES_MAX,
  UNDELIVERED_BYTES_MAX,
  UNDELIVERED_RECORDS_MAX,
} from '../platform/undelivered.ts';
import type { Batch } from './batch.ts';
import { bugsOf } from './bugs.ts';
import { createFoldMetrics } from './fold-metrics.ts';
import { createGates } from './gates.ts';
import { openLive } from './live.ts';
import { createLogLook } from './log-look.ts';
import { readMessageLimits } from './message-limits.ts';
import { type CommittedFigures, createStreamMetrics, type StreamMetrics } from './metrics.ts';
import { createOutbox } from './outbox.ts';
import { Owner } from './owner.ts';
import type { OwnerLimits } from './owner-parts.ts';
import { createOwnership } from './ownership.ts';
import { figuresOf } from './partition-figures.ts';
import { registerPartitionMetrics } from './partition-metrics.ts';
import { columns } from './rows.ts';
import { createSink, RefusedRow, type Sink } from './sink.ts';
import { Source, type TopicPartition } from './source.ts';
import { untilReplicated } from './sure-commit.ts';
import { type TakenOver, takeOver } from './take-over.ts';
import { createTurns } from './turns.ts';

export interface StreamParts {
  readonly config: Config;
  readonly namespace: Namespace;
  readonly redis: RedisClient;
  readonly clickhouse: ClickHouse;
  /** Never gives a message up: what it sends is in an outbox. */
  readonly producer: Producer;
  /** Bytes that the producer puts together at most. */
  readonly setBytes: number;
  readonly admin: TopicAdmin;
  readonly generations: Readonly<Record<StatefulTopic, number>>;
  readonly registry: Registry;
  readonly failpoint: Failpoint;
  log(level: 'info' | 'warn' | 'error', message: string): void;
  /** State and log do not belong together, or another process has this one's slot: it can not go on. */
  fatal(error: Error): void;
  now(): number;
}

export interface Stream {
  /** Ends after the batches at hand; what is committed and not delivered is left to the next owner. */
  close(): Promise<void>;
}

const BATCH_BYTES_MAX = 8 * 1024 * 1024;
const BATCH_KEYS_MAX = 4_000;
const LINGER_MS = 50;
/**
 * Those of the buyers that came last, for who comes again at once. A kept state costs more than its reading: with 1,000 each
 * became old, and had to be copied twice and collected (docs/decisions/speed.md).
 */
const CACHE_PER_PARTITION = 100;
const CACHE_BYTES_PER_PARTITION = 1024 * 1024;
const TICK_MS = 1_000;
const CLOCK_MS = 5_000;
/** Far longer than a fetch takes, even of a log that has to be read from the disk. */
const STALL_LOOK_MS = 10_000;

/**
 * Starts consuming; resolves when the process has joined its group.
 * @param signal aborted when it is to end: then it joins no group any more
 */
export async function runStream(parts: StreamParts, signal = new AbortController().signal): Promise<Stream> {
  if (parts.config.streamWaitReplicas > 0 && parts.redis.isCluster) {
    throw new Error(
      'STREAM_WAIT_REPLICAS works with one Redis and its replicas; for a cluster set min-replicas-to-write there',
    );
  }
  const metrics = createStreamMetrics(parts.registry, statefulTopics);
  const foldMetrics = createFoldMetrics(parts.registry);
  const sink = openSink(parts, metrics);
  const live = openLive({
    redis: parts.redis,
    namespace: parts.namespace,
    slot: parts.config.streamSlot,
    failed: () => metrics.failed('live'),
    monotonicMs: () => performance.now(),
  });
  const turn = createTurns();
  const gates = createGates();
  const ownerName = `${parts.config.streamSlot}@${hostname()}:${process.pid}`;
  const idOf = identify(parts.namespace, parts.generations);
  const closing = new AbortController();
  const lookAt = createLogLook(
    parts.config.kafkaBrokers,
    parts.log,
    AbortSignal.any([signal, closing.signal]),
  );
  const failed = (error: Error): void => {
    metrics.failed('source');
    parts.log('warn', `Kafka: ${error.message}`);
  };
  /**
   * What the owner before left goes out at once: the state that it is of must not be lost by a failover either. Asked once: this
   * partition is tried again, and no other waits for it.
   */
  async function keepByReplicas(keys: PartitionKeys, { work }: TakenOver): Promise<void> {
    const ports = {
      redis: parts.redis,
      keys,
      observer: { failed: () => metrics.failed('take-over') },
      limits: { waitReplicas: parts.config.streamWaitReplicas },
    };
    if ((await untilReplicated(ports, work.head, undefined, () => true)) === 'FENCED')
      throw new Error('another has taken over meanwhile');
  }
  const ownership = createOwnership({
    ...parts,
    source: () => source,
    async takeOver(partition, log) {
      const id = idOf(partition);
      const keys = partitionKeys(parts.namespace, id);
      const known = { ...log, appendMsAt: (offset: number) => lookAt.appendMs(partition, offset) };
      const counters = foldMetrics.of(id.topic);
      const { redis, failpoint } = parts;
      const taken = await takeOver(redis, id, keys, known, counters, ownerName, failpoint);
      const left = taken.undelivered.map(({ batch }) => batch);
      if (left.length > 0) await keepByReplicas(keys, taken);
      pass(parts.failpoint, 'after-take-over', left);
      return taken;
    },
    firstRecord: lookAt.firstRecord,
    ownerOf(taken, partition, log) {
      const { id } = taken.work;
      return new Owner(taken, {
        redis: parts.redis,
        keys: partitionKeys(parts.namespace, id),
        sink,
        limits: limitsOf(parts.config),
        observer: observe(parts, metrics, id),
        bugs: bugsOf(parts.config.bug),
        live,
        turn,
        gates,
        logEnd: log.high,
        atLogEnd: (position) => source.highOffset(partition) === position,
        now: parts.now,
      });
    },
    takeOverFailed: () => metrics.failed('take-over'),
    sourceFailed: failed,
  });
  const source = new Source(
    {
      brokers: parts.config.kafkaBrokers,
      group: `flywheel-${parts.namespace.name}`,
      slot: parts.config.streamSlot,
      topics: statefulTopics.map((topic) => parts.namespace.topics[topic]),
      sessionTimeoutMs: parts.config.streamSessionTimeoutMs,
      assignment: parts.config.streamAssignment,
    },
    { ...ownership, failed, fatal: parts.fatal },
  );
  registerPartitionMetrics(parts.registry, statefulTopics, () =>
    ownership.all().map((owner) => figuresOf(parts, source, owner)),
  );
  await source.open(signal);
  // While Kafka is away the client itself says so.
  const looking = setInterval(() => void ownership.lookForStalls().catch(() => {}), STALL_LOOK_MS);

  return {
    async close() {
      clearInterval(looking);
      closing.abort(new Error('called off, the process ends'));
      live.close();
      await ownership.close();
      await source.close();
      sink.close();
    },
  };
}

function limitsOf(config: Config): OwnerLimits {
  return {
    batchMax: config.streamBatchMax,
    batchBytesMax: BATCH_BYTES_MAX,
    batchKeysMax: BATCH_KEYS_MAX,
    cacheMax: config.streamCache ? CACHE_PER_PARTITION : 0,
    cacheBytesMax: CACHE_BYTES_PER_PARTITION,
    lingerMs: LINGER_MS,
    undeliveredMax: UNDELIVERED_BATCHES_MAX,
    undeliveredRecordsMax: UNDELIVERED_RECORDS_MAX,
    undeliveredBytesMax: UNDELIVERED_BYTES_MAX,
    tickMs: TICK_MS,
    flushMs: config.streamFlushMs,
    clockMs: config.streamClock ? CLOCK_MS : 0,
    waitReplicas: config.streamWaitReplicas,
  };
}

function identify(namespace: Namespace, generations: StreamParts['generations']) {
  const byTopic = new Map(statefulTopics.map((topic) => [namespace.topics[topic], topic]));
  return ({ topic: name, partition }: TopicPartition): PartitionId => {
    const topic = byTopic.get(name)!;
    return { topic, generation: generations[topic], partition };
  };
}

function openSink(parts: StreamParts, metrics: StreamMetrics): Sink {
  const rowStore = {
    insert: (table: string, columns: readonly string[], rows: readonly (readonly unknown[])[]) =>
      insertCompact(parts.clickhouse, table, columns, rows),
    insertBinary: (table: string, columns: readonly string[], rows: readonly Buffer[]) =>
      insertBinary(parts.clickhouse, table, columns, rows),
  };
  const outbox = createOutbox(parts.producer, parts.namespace, {
    tooLarge({ to }, { detail, sourceId }) {
      metrics.tooLarge(to);
      parts.log('error', `put aside: ${detail}; it comes of ${sourceId}, and is kept in events.rejected`);
    },
    setBytes: parts.setBytes,
    limits: () => readMessageLimits(parts.admin, parts.namespace),
    now: parts.now,
    steadyMs: () => performance.now(),
  });
  return createSink(rowStore, outbox, {
    inserted: metrics.inserted,
    sent: metrics.sent,
    failed(error, attempt) {
      metrics.failed('sink');
      if (error instanceof RefusedRow) metrics.refused(error.table);
      const level = error instanceof RefusedRow ? 'error' : 'warn';
      parts.log(level, `delivery failed, attempt ${attempt}: ${(error as Error).message}`);
    },
    step: (name, batches) => pass(parts.failpoint, name, batches),
  });
}

/** What the batches hold that a crash could lose (a timer shows by the rows that nothing else makes), and which offsets. */
function contentsOf(batches: readonly Batch[]) {
  const reason = columns.transitions.indexOf('reason');
  const contents = { rejects: 0, triggers: 0, timers: 0, merges: 0, forwards: 0, definitions: 0, leases: 0 };
  for (const { records, rows, taken } of batches) {
    contents.rejects += records.filter(({ to }) => to === 'rejected').length;
    contents.triggers += records.filter(({ to }) => to === 'triggers').length;
    contents.timers += (rows.get('transitions') ?? []).filter((row) => row[reason] === 'absent').length;
    contents.merges += taken.get('merge') ?? 0;
    contents.forwards += taken.get('forward') ?? 0;
    contents.definitions += rows.get('definitions')?.length ?? 0;
    contents.leases += rows.get('leases')?.length ?? 0;
  }
  return contents;
}

/**
 * Passes a step's failpoint; `<name>-full`, `-linked`, `-leased`, `-sending` only if the batches at hand hold all that is meant by it.
 */
function pass(failpoint: Failpoint, name: string, batches: readonly Batch[], where = ''): void {
  if (failpoint === neverFails) return;
  const contents = contentsOf(batches);
  const { rejects, triggers, timers, merges, forwards, definitions, leases } = contents;
  const ranges = batches.map(({ from, to }) => `${from}..${to}`).join(' ');
  const counts = Object.entries(contents).map(([what, count]) => `${what} ${count}`);
  const detail = `${where}offsets ${ranges}, ${counts.join(', ')}`;
  failpoint(name, detail);
  if (rejects > 0 && triggers > 0 && timers > 0) failpoint(`${name}-full`, detail);
  if (merges > 0 && forwards > 0 && definitions > 0) failpoint(`${name}-linked`, detail);
  if (leases > 0 && definitions > 0) failpoint(`${name}-leased`, detail);
  if (batches.some(({ records }) => records.length > 0)) failpoint(`${name}-sending`, detail);
}

function observe(parts: StreamParts, metrics: StreamMetrics, id: PartitionId) {
  return {
    committed: (figures: CommittedFigures) => metrics.committed(id.topic, id.partition, figures),
    fenced: () => metrics.fenced(id.topic, id.partition),
    failed(error: unknown) {
      metrics.failed('owner');
      parts.log('error', `${id.topic} ${id.partition}: ${(error as Error).stack ?? String(error)}`);
    },
    step: (name: string, batches: readonly Batch[]) =>
      pass(parts.failpoint, name, batches, `${id.topic} ${id.partition} `),
  };
}
