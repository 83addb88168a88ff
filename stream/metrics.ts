// What the stream tells Prometheus.
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Verdict } from '../domain/record.ts';

export interface StreamMetrics {
  verdict(topic: string, verdict: Verdict): void;
  rejected(topic: string, reason: string): void;
  committed(topic: string, records: number, seconds: number): void;
  fenced(topic: string): void;
  inserted(table: string, rows: number, seconds: number): void;
  sinkFailed(): void;
  failed(step: string): void;
  progress(topic: string, partition: number, lag: number, watermarkMs: number): void;
  owned(topic: string, partitions: number): void;
}

const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export function createStreamMetrics(registry: Registry): StreamMetrics {
  const registers = [registry];
  // Counted for every record: kept as plain numbers until Prometheus asks.
  const verdicts = new Map<string, Map<Verdict, number>>();
  new Counter({
    name: 'flywheel_stream_records_total',
    help: 'Records folded, by verdict.',
    labelNames: ['topic', 'verdict'],
    registers,
    collect() {
      for (const [topic, counts] of verdicts) {
        for (const [verdict, count] of counts) this.inc({ topic, verdict }, count);
        counts.clear();
      }
    },
  });
  const rejects = new Counter({
    name: 'flywheel_stream_rejects_total',
    help: 'Records that could not be taken, by reason.',
    labelNames: ['topic', 'reason'],
    registers,
  });
  const batches = new Histogram({
    name: 'flywheel_stream_batch_records',
    help: 'Records of a committed batch.',
    labelNames: ['topic'],
    buckets: [1, 10, 100, 500, 1_000, 2_000, 4_000],
    registers,
  });
  const commits = new Histogram({
    name: 'flywheel_stream_commit_seconds',
    help: 'From the first record of a batch to its commit.',
    labelNames: ['topic'],
    buckets: seconds,
    registers,
  });
  const fenced = new Counter({
    name: 'flywheel_stream_fenced_total',
    help: 'Commits refused because another owner has taken over.',
    labelNames: ['topic'],
    registers,
  });
  const rows = new Counter({
    name: 'flywheel_sink_rows_total',
    help: 'Rows inserted into ClickHouse.',
    labelNames: ['table'],
    registers,
  });
  const inserts = new Histogram({
    name: 'flywheel_sink_insert_seconds',
    help: 'Time of one insert into ClickHouse.',
    labelNames: ['table'],
    buckets: seconds,
    registers,
  });
  const failures = new Counter({
    name: 'flywheel_stream_failures_total',
    help: 'Steps that failed and are tried again.',
    labelNames: ['step'],
    registers,
  });
  const lag = new Gauge({
    name: 'flywheel_stream_lag_records',
    help: 'Records in the log that are not yet applied.',
    labelNames: ['topic', 'partition'],
    registers,
  });
  const watermark = new Gauge({
    name: 'flywheel_stream_watermark_seconds',
    help: "The partition's watermark, as Unix time.",
    labelNames: ['topic', 'partition'],
    registers,
  });
  const owned = new Gauge({
    name: 'flywheel_stream_partitions_owned',
    help: 'Partitions that this process owns.',
    labelNames: ['topic'],
    registers,
  });
  return {
    verdict(topic, verdict) {
      const counts = verdicts.get(topic) ?? new Map<Verdict, number>();
      counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
      verdicts.set(topic, counts);
    },
    rejected: (topic, reason) => rejects.inc({ topic, reason }),
    committed(topic, count, took) {
      batches.observe({ topic }, count);
      commits.observe({ topic }, took);
    },
    fenced: (topic) => fenced.inc({ topic }),
    inserted(table, count, took) {
      rows.inc({ table }, count);
      inserts.observe({ table }, took);
    },
    sinkFailed: () => failures.inc({ step: 'sink' }),
    failed: (step) => failures.inc({ step }),
    progress(topic, partition, behind, watermarkMs) {
      lag.set({ topic, partition }, behind);
      watermark.set({ topic, partition }, watermarkMs / 1_000);
    },
    owned: (topic, partitions) => owned.set({ topic }, partitions),
  };
}
