// The dashboard of who runs it: is everything fresh, how far behind, what is slow, what fails.
import type { BoardSpec, PanelSpec } from './board.ts';
import { quantile, rate, share } from './queries.ts';
import { serve } from './serve.ts';

const glance: PanelSpec[] = [
  {
    title: 'Processes',
    description:
      'Processes of stream, serve and jobs that answer. Fewer than you started: FlywheelProcessDown.',
    unit: 'short',
    stat: true,
    queries: [{ expr: 'sum(up{job=~"stream|serve|jobs"})', legend: 'up' }],
  },
  {
    title: 'Lag',
    description:
      'Records in the log that are not applied, over all partitions. It should come back to nearly 0.',
    unit: 'short',
    stat: true,
    queries: [
      { expr: 'sum(flywheel_stream_lag_records)', legend: 'records' },
      { expr: 'sum(flywheel_stream_paused)', legend: 'partitions paused' },
    ],
  },
  {
    title: 'Oldest waiting',
    description:
      'How long the oldest record that is not applied has waited. Over a minute: FlywheelStreamBehind.',
    unit: 's',
    stat: true,
    queries: [{ expr: 'max(flywheel_stream_oldest_waiting_seconds)', legend: 'age' }],
  },
  {
    title: 'Undelivered',
    description:
      'Committed batches that ClickHouse or Kafka do not have. Where 2,000 of them, 32,000 records, or 16 MB of records wait, a partition applies nothing more.',
    unit: 'short',
    stat: true,
    queries: [{ expr: 'sum(flywheel_stream_undelivered_batches)', legend: 'batches' }],
  },
  {
    title: 'Undelivered for',
    description: 'How long the oldest of them has waited.',
    unit: 's',
    stat: true,
    queries: [{ expr: 'max(flywheel_stream_oldest_undelivered_seconds)', legend: 'age' }],
  },
  {
    title: 'Firing',
    description: 'Alerts that fire now; docs/operating.md has a paragraph for each.',
    unit: 'short',
    stat: true,
    queries: [{ expr: 'count(ALERTS{alertstate="firing"}) or vector(0)', legend: 'alerts' }],
  },
  {
    title: 'Parts',
    description:
      'The share of the connections of serve (Kafka, Redis, definitions) that stand. Below 1: FlywheelPartUnreachable.',
    unit: 'percentunit',
    stat: true,
    queries: [{ expr: 'avg(flywheel_serve_part_up)', legend: 'reached' }],
  },
];

const objectives: PanelSpec[] = [
  {
    title: 'Burn rate, one hour',
    description:
      'How fast the budget of each objective burns; at 1 it lasts 30 days, at 14.4 it is gone in two.',
    unit: 'short',
    queries: [
      {
        expr: 'flywheel:objective_misses:ratio_rate1h / on (objective) flywheel:objective_budget:ratio',
        legend: '{{objective}}',
      },
    ],
  },
  {
    title: 'Burn rate, six hours',
    description:
      'The same over six hours; above 6 somebody is called, above 1 for three days somebody should look.',
    unit: 'short',
    queries: [
      {
        expr: 'flywheel:objective_misses:ratio_rate6h / on (objective) flywheel:objective_budget:ratio',
        legend: '{{objective}}',
      },
    ],
  },
  {
    title: 'Event to visible',
    description:
      'From the append of a batch’s oldest record until it can be read in Redis. Of batches: one that does not come is not seen here.',
    unit: 's',
    queries: [
      { expr: quantile(0.5, 'flywheel_stream_visible_seconds', ''), legend: 'median' },
      { expr: quantile(0.99, 'flywheel_stream_visible_seconds', ''), legend: 'p99' },
    ],
  },
  {
    title: 'Stale partitions',
    description:
      'Where a record has waited for more than a second, or that have no owner: what the objective of freshness counts.',
    unit: 'short',
    queries: [
      { expr: 'flywheel:stream_partitions:stale', legend: 'stale' },
      { expr: 'flywheel:stream_partitions:known', legend: 'all' },
    ],
  },
];

const stream: PanelSpec[] = [
  {
    title: 'Records by verdict',
    description:
      'What records came to. Late ones change nothing, duplicates were there before, control records are our own.',
    unit: 'cps',
    queries: [{ expr: rate('flywheel_stream_records_total', 'verdict'), legend: '{{verdict}}' }],
  },
  {
    title: 'Lag by topic',
    description:
      'Records in the log that are not applied, and how many partitions are read no further for now, because enough of them waits.',
    unit: 'short',
    queries: [
      { expr: 'sum by (topic) (flywheel_stream_lag_records)', legend: '{{topic}}' },
      { expr: 'sum(flywheel_stream_backlog_full)', legend: 'partitions with a full backlog' },
    ],
  },
  {
    title: 'Batch size',
    description:
      'Records of a committed batch. At 12,000, or 4,000 different keys, all the time the stream is at its limit.',
    unit: 'short',
    queries: [
      { expr: quantile(0.5, 'flywheel_stream_batch_records', '', 'topic'), legend: '{{topic}} median' },
    ],
  },
  {
    title: 'Batch and commit',
    description: 'A batch from its first step to its commit, and the script in Redis alone (p99).',
    unit: 's',
    queries: [
      { expr: quantile(0.99, 'flywheel_stream_batch_seconds', ''), legend: 'batch' },
      { expr: quantile(0.99, 'flywheel_stream_commit_seconds', ''), legend: 'commit' },
    ],
  },
  {
    title: 'Insert and send',
    description: 'One insert into ClickHouse, and Kafka’s acknowledgement of outbox records (p99).',
    unit: 's',
    queries: [
      { expr: quantile(0.99, 'flywheel_sink_insert_seconds', ''), legend: 'ClickHouse' },
      { expr: quantile(0.99, 'flywheel_outbox_send_seconds', ''), legend: 'Kafka' },
    ],
  },
  {
    title: 'Rows and records out',
    description: 'Rows into ClickHouse and records into the log, a second.',
    unit: 'cps',
    queries: [
      { expr: rate('flywheel_sink_rows_total', 'table'), legend: '{{table}}' },
      { expr: rate('flywheel_outbox_records_total'), legend: 'outbox' },
    ],
  },
  {
    title: 'Failures and fences',
    description:
      'Steps that failed and are tried again, commits refused because another has taken over, offsets of the log that held no record, rows that ClickHouse refuses for what stands in them (each once a minute), and records that were put aside because Kafka takes none so large.',
    unit: 'cps',
    queries: [
      { expr: rate('flywheel_stream_failures_total', 'step'), legend: '{{step}}' },
      { expr: rate('flywheel_stream_fenced_total'), legend: 'fenced' },
      { expr: rate('flywheel_stream_offsets_skipped_total'), legend: 'offsets without a record' },
      { expr: rate('flywheel_sink_refused_rows_total', 'table'), legend: 'refused of {{table}}' },
      { expr: rate('flywheel_outbox_too_large_total', 'topic'), legend: 'too large for {{topic}}' },
    ],
  },
  {
    title: 'States from memory',
    description: 'The share of the states a batch needed that were in memory.',
    unit: 'percentunit',
    queries: [
      {
        expr: share(
          'flywheel_stream_cache_lookups_total{result="hit"}',
          'flywheel_stream_cache_lookups_total',
        ),
        legend: 'hits',
      },
    ],
  },
  {
    title: 'Size of states',
    description:
      'Bytes of a written state on average. It grows with what a buyer does, up to the caps of `settings`.',
    unit: 'bytes',
    queries: [
      {
        expr: `${rate('flywheel_stream_state_written_bytes_total', 'kind')} / (${rate('flywheel_stream_states_written_total', 'kind')} > 0)`,
        legend: '{{kind}}',
      },
    ],
  },
  {
    title: 'Held in memory',
    description: 'States, rolling windows and waiting triggers that owners hold.',
    unit: 'short',
    queries: [
      { expr: 'sum(flywheel_stream_states_cached)', legend: 'states' },
      { expr: 'sum(flywheel_stream_windows_held)', legend: 'windows' },
      { expr: 'sum(flywheel_stream_triggers_waiting)', legend: 'triggers' },
    ],
  },
  {
    title: 'Partitions owned',
    description: 'Partitions with an owner, by process. Together 12 of events, 4 of spend, 1 of rejected.',
    unit: 'short',
    queries: [
      {
        expr: 'sum by (topic, instance) (flywheel_stream_partitions_owned)',
        legend: '{{topic}} {{instance}}',
      },
    ],
  },
  {
    title: 'Watermark',
    description: 'Where the time of the slowest partition stands.',
    unit: 's',
    queries: [
      {
        expr: 'max by (topic) (time() - (flywheel_stream_watermark_timestamp_seconds > 0))',
        legend: '{{topic}} behind the wall clock',
      },
    ],
  },
];

const processes: PanelSpec[] = [
  {
    title: 'CPU',
    description: 'Seconds of CPU a second. At 1 the event loop of a process is full.',
    unit: 'short',
    queries: [
      {
        expr: 'sum by (job, instance) (rate(process_cpu_seconds_total{job=~"stream|serve|jobs"}[$__rate_interval]))',
        legend: '{{job}} {{instance}}',
      },
    ],
  },
  {
    title: 'Memory',
    description: 'Resident memory. It should stand after the first minutes.',
    unit: 'bytes',
    queries: [
      { expr: 'process_resident_memory_bytes{job=~"stream|serve|jobs"}', legend: '{{job}} {{instance}}' },
    ],
  },
  {
    title: 'Event loop',
    description: 'How long one in a hundred turns of the event loop takes.',
    unit: 's',
    queries: [{ expr: 'nodejs_eventloop_lag_p99_seconds', legend: '{{job}} {{instance}}' }],
  },
];

export const engine: BoardSpec = {
  uid: 'flywheel-engine',
  title: 'Flywheel: engine',
  description: 'Is everything fresh, how far behind, what is slow, what fails.',
  rows: [
    { title: 'At a glance', panels: glance },
    { title: 'Service objectives', panels: objectives },
    { title: 'Stream', panels: stream },
    { title: 'Serve', panels: serve },
    { title: 'Processes', panels: processes },
  ],
};
