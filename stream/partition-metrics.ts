// Where each owned partition stands, for Prometheus: read from the owners when it asks, so that one that has gone is not shown.
import { Gauge, type Registry } from 'prom-client';
import type { StatefulTopic } from '../platform/keys.ts';

/** One owned partition as it is now. */
export interface PartitionFigures {
  readonly topic: StatefulTopic;
  readonly partition: number;
  /** Records in the log that are not applied. */
  readonly lag: number;
  readonly watermarkMs: number;
  /** Since the oldest record that is read and not committed was appended; 0 if none is. */
  readonly waitingMs: number;
  /** Committed batches that ClickHouse or Kafka do not have yet. */
  readonly undelivered: number;
  /** Since the oldest of them was committed (or taken over); 0 if there is none. */
  readonly undeliveredMs: number;
  readonly states: number;
  readonly windows: number;
  readonly triggers: number;
  /** Told by an operator to apply nothing. */
  readonly paused: boolean;
  /** Read no further for now: enough waits. */
  readonly full: boolean;
}

type Measure = (figures: PartitionFigures) => number;

const gauges: readonly [name: string, help: string, measure: Measure][] = [
  ['flywheel_stream_lag_records', 'Records in the log that are not yet applied.', ({ lag }) => lag],
  [
    'flywheel_stream_watermark_timestamp_seconds',
    "The partition's watermark, as Unix time.",
    ({ watermarkMs }) => watermarkMs / 1_000,
  ],
  [
    'flywheel_stream_oldest_waiting_seconds',
    'Since the oldest record that is read and not yet committed was appended; 0 if none waits.',
    ({ waitingMs }) => waitingMs / 1_000,
  ],
  [
    'flywheel_stream_undelivered_batches',
    'Committed batches that ClickHouse or Kafka do not have yet.',
    ({ undelivered }) => undelivered,
  ],
  [
    'flywheel_stream_oldest_undelivered_seconds',
    'Since the oldest committed batch that ClickHouse or Kafka do not have yet was committed; 0 if none waits.',
    ({ undeliveredMs }) => undeliveredMs / 1_000,
  ],
  [
    'flywheel_stream_paused',
    '1 while an operator keeps the partition from applying anything.',
    ({ paused }) => (paused ? 1 : 0),
  ],
  [
    'flywheel_stream_backlog_full',
    '1 while the partition is read no further, because as much of it waits as memory is given to.',
    ({ full }) => (full ? 1 : 0),
  ],
  ['flywheel_stream_states_cached', 'States that are held in memory.', ({ states }) => states],
  ['flywheel_stream_windows_held', 'Rolling windows that are held.', ({ windows }) => windows],
  [
    'flywheel_stream_triggers_waiting',
    'Triggers that nobody has acknowledged and that have not expired.',
    ({ triggers }) => triggers,
  ],
];

/** @param read asked at each scrape */
export function registerPartitionMetrics(
  registry: Registry,
  topics: readonly StatefulTopic[],
  read: () => readonly PartitionFigures[],
): void {
  const registers = [registry];
  for (const [name, help, measure] of gauges) {
    new Gauge({
      name,
      help,
      labelNames: ['topic', 'partition'],
      registers,
      collect() {
        this.reset();
        for (const figures of read()) {
          const { topic, partition } = figures;
          this.set({ topic, partition }, measure(figures));
        }
      },
    });
  }
  new Gauge({
    name: 'flywheel_stream_partitions_owned',
    help: 'Partitions that this process owns.',
    labelNames: ['topic'],
    registers,
    collect() {
      const owned = read();
      for (const topic of topics) this.set({ topic }, owned.filter((one) => one.topic === topic).length);
    },
  });
}
