// What the steps of the stream tell Prometheus: batches, commits, deliveries, failures.
import { Counter, Histogram, type Registry } from 'prom-client';
import type { StatefulTopic } from '../platform/keys.ts';
import { topicPartitions } from '../platform/namespace.ts';
import type { OutboxRecord } from './batch.ts';
import { columns } from './rows.ts';

/** How one batch went. */
export interface CommittedFigures {
  readonly records: number;
  /** From its first step to its commit. */
  readonly batchSeconds: number;
  /** The script in Redis alone. */
  readonly commitSeconds: number;
  /** From the append of its oldest record until it could be read in Redis. */
  readonly visibleSeconds: number;
  /** Offsets between its records that held none. */
  readonly skipped: number;
}

export interface StreamMetrics {
  committed(topic: StatefulTopic, partition: number, figures: CommittedFigures): void;
  fenced(topic: StatefulTopic, partition: number): void;
  inserted(table: string, rows: number, seconds: number): void;
  /** A row that ClickHouse refused for what stands in it, once for each time that it was tried. */
  refused(table: string): void;
  sent(records: number, seconds: number): void;
  /** A record for a topic was put aside. */
  tooLarge(to: OutboxRecord['to']): void;
  failed(step: FailedStep): void;
}

/** Rejects are cut before. */
const outboxTopics = ['events', 'spend', 'triggers'] as const satisfies readonly OutboxRecord['to'][];

const failedSteps = ['source', 'take-over', 'owner', 'sink', 'live'] as const;
type FailedStep = (typeof failedSteps)[number];

const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

function batchMetrics(registry: Registry) {
  const labelNames = ['topic'] as const;
  const registers = [registry];
  return {
    records: new Histogram({
      name: 'flywheel_stream_batch_records',
      help: 'Records of a committed batch.',
      labelNames,
      buckets: [1, 10, 100, 500, 1_000, 2_000, 4_000, 12_000],
      registers,
    }),
    batches: new Histogram({
      name: 'flywheel_stream_batch_seconds',
      help: 'A batch from its first step (decode) to its commit.',
      labelNames,
      buckets: seconds,
      registers,
    }),
    commits: new Histogram({
      name: 'flywheel_stream_commit_seconds',
      help: 'The commit of a batch: one script in Redis, with the wait for its replicas.',
      labelNames,
      buckets: seconds,
      registers,
    }),
    visible: new Histogram({
      name: 'flywheel_stream_visible_seconds',
      help: 'From the append of a batch’s oldest record to the log until it could be read in Redis.',
      labelNames,
      buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600],
      registers,
    }),
    fenced: new Counter({
      name: 'flywheel_stream_fenced_total',
      help: 'Commits refused because another owner has taken over.',
      labelNames: ['topic', 'partition'],
      registers,
    }),
    skipped: new Counter({
      name: 'flywheel_stream_offsets_skipped_total',
      help: 'Offsets of the log that held no record: markers of transactions, if somebody writes into it with them.',
      labelNames: ['topic', 'partition'],
      registers,
    }),
  };
}

function deliveryMetrics(registry: Registry) {
  const registers = [registry];
  return {
    rows: new Counter({
      name: 'flywheel_sink_rows_total',
      help: 'Rows inserted into ClickHouse.',
      labelNames: ['table'],
      registers,
    }),
    refused: new Counter({
      name: 'flywheel_sink_refused_rows_total',
      help: 'Rows that ClickHouse refused for what stands in them, each time that they were tried.',
      labelNames: ['table'],
      registers,
    }),
    inserts: new Histogram({
      name: 'flywheel_sink_insert_seconds',
      help: 'Time of one insert into ClickHouse.',
      labelNames: ['table'],
      buckets: seconds,
      registers,
    }),
    records: new Counter({
      name: 'flywheel_outbox_records_total',
      help: 'Records that outboxes wrote into the log: links, merges, triggers, rejects, clocks.',
      registers,
    }),
    tooLarge: new Counter({
      name: 'flywheel_outbox_too_large_total',
      help: 'Records that outboxes would have written and that Kafka would not take for their size: they are kept as rejects.',
      labelNames: ['topic'],
      registers,
    }),
    sends: new Histogram({
      name: 'flywheel_outbox_send_seconds',
      help: 'Until Kafka had acknowledged the records of some batches.',
      buckets: seconds,
      registers,
    }),
  };
}

export function createStreamMetrics(registry: Registry, topics: readonly StatefulTopic[]): StreamMetrics {
  const batch = batchMetrics(registry);
  const delivery = deliveryMetrics(registry);
  const failures = new Counter({
    name: 'flywheel_stream_failures_total',
    help: 'Steps that failed and are tried again.',
    labelNames: ['step'],
    registers: [registry],
  });
  // From the start, so that the first of each is seen as a rise.
  for (const topic of topics)
    for (let partition = 0; partition < topicPartitions[topic]; partition += 1)
      for (const counter of [batch.fenced, batch.skipped]) counter.inc({ topic, partition }, 0);
  for (const table of Object.keys(columns)) if (table !== 'events') delivery.refused.inc({ table }, 0);
  for (const topic of outboxTopics) delivery.tooLarge.inc({ topic }, 0);
  for (const step of failedSteps) failures.inc({ step }, 0);
  return {
    committed(topic, partition, { records, batchSeconds, commitSeconds, visibleSeconds, skipped }) {
      batch.records.observe({ topic }, records);
      batch.batches.observe({ topic }, batchSeconds);
      batch.commits.observe({ topic }, commitSeconds);
      batch.visible.observe({ topic }, visibleSeconds);
      if (skipped > 0) batch.skipped.inc({ topic, partition }, skipped);
    },
    fenced: (topic, partition) => batch.fenced.inc({ topic, partition }),
    inserted(table, count, took) {
      delivery.rows.inc({ table }, count);
      delivery.inserts.observe({ table }, took);
    },
    refused: (table) => delivery.refused.inc({ table }),
    sent(count, took) {
      delivery.records.inc(count);
      delivery.sends.observe(took);
    },
    tooLarge: (topic) => delivery.tooLarge.inc({ topic }),
    failed: (step) => failures.inc({ step }),
  };
}
