// The dashboard of who grows the marketplace: what buyers do, how far they come, which variants they see, whom we reach.
import type { BoardSpec, PanelSpec } from './board.ts';
import { quantile, rate, share } from './queries.ts';

const intake: PanelSpec[] = [
  {
    title: 'Collected',
    description: 'Events, reports and notices that Kafka acknowledged, by kind.',
    unit: 'cps',
    queries: [{ expr: rate('flywheel_collect_events_total', 'kind'), legend: '{{kind}}' }],
  },
  {
    title: 'Turned away, by reason',
    description: 'What collect and the stream could not take; it is kept, with its reason.',
    unit: 'cps',
    queries: [
      { expr: rate('flywheel_collect_rejected_total', 'reason'), legend: 'collect {{reason}}' },
      { expr: rate('flywheel_stream_rejects_total', 'reason'), legend: 'stream {{reason}}' },
    ],
  },
  {
    title: 'Late and repeated',
    description: 'The share of events that came too late to count, or were there before.',
    unit: 'percentunit',
    queries: [
      {
        expr: share(
          'flywheel_stream_records_total{topic="events",verdict="late"}',
          'flywheel_stream_records_total{topic="events",verdict=~"applied|late|duplicate"}',
        ),
        legend: 'late',
      },
      {
        expr: share(
          'flywheel_stream_records_total{topic="events",verdict="duplicate"}',
          'flywheel_stream_records_total{topic="events",verdict=~"applied|late|duplicate"}',
        ),
        legend: 'duplicate',
      },
    ],
  },
  {
    title: 'Requests by key',
    description: 'Requests that passed, by the name of the write or secret key.',
    unit: 'reqps',
    queries: [{ expr: rate('flywheel_key_requests_total{outcome="accepted"}', 'key'), legend: '{{key}}' }],
  },
  {
    title: 'Sources last heard of',
    description:
      'Since the latest event of each source. Whether that is quiet, its own rhythm says (FlywheelSourceQuiet).',
    unit: 's',
    queries: [{ expr: 'max by (source) (flywheel_source_last_event_age_seconds)', legend: '{{source}}' }],
  },
  {
    title: 'Sources quiet or changed',
    description:
      'Sources that are silent beyond their rhythm, and differences in the shape of what they send.',
    unit: 'short',
    queries: [
      { expr: 'sum(flywheel_source_quiet)', legend: 'quiet' },
      { expr: 'sum by (change) (flywheel_source_shape_changes)', legend: '{{change}}' },
    ],
  },
  {
    title: 'Sources looked after',
    description: 'Since they were evaluated last; over 15 minutes: FlywheelSourcesUnwatched.',
    unit: 's',
    queries: [{ expr: 'time() - max(flywheel_sources_evaluated_timestamp_seconds)', legend: 'ago' }],
  },
];

const buyers: PanelSpec[] = [
  {
    title: 'North star',
    description: 'Visitors of a day, opportunities opened, and those that became of quality, a second.',
    unit: 'cps',
    queries: [{ expr: rate('flywheel_north_star_total', 'measure'), legend: '{{measure}}' }],
  },
  {
    title: 'Funnel steps',
    description:
      'Buyers counted at each step of each funnel, a second. The rates to trust are in the reports.',
    unit: 'cps',
    queries: [{ expr: rate('flywheel_funnel_steps_total', 'funnel, step'), legend: '{{funnel}} {{step}}' }],
  },
  {
    title: 'Opportunities',
    description: 'What happened to opportunities, a second: opened, advanced, fulfilled, lost.',
    unit: 'cps',
    queries: [{ expr: rate('flywheel_opportunity_changes_total', 'change'), legend: '{{change}}' }],
  },
  {
    title: 'Lifecycle',
    description: 'Buyers that entered a stage of their lifecycle, a second.',
    unit: 'cps',
    queries: [{ expr: rate('flywheel_lifecycle_transitions_total', 'stage'), legend: '{{stage}}' }],
  },
  {
    title: 'Pasts of funnels',
    description:
      'Buyers whose past in a new funnel is still to be computed, and funnels that wait, run or failed.',
    unit: 'short',
    queries: [
      { expr: 'sum(flywheel_backfill_keys{state="remaining"}) or vector(0)', legend: 'buyers left' },
      { expr: 'sum by (status) (flywheel_backfills_open)', legend: '{{status}}' },
    ],
  },
  {
    title: 'Records of pasts',
    description: 'Records that bring a funnel’s past to its buyers, as they are written.',
    unit: 'cps',
    queries: [{ expr: rate('flywheel_backfill_records_total'), legend: 'written' }],
  },
];

const experiments: PanelSpec[] = [
  {
    title: 'Variants shown',
    description: 'Evaluations by experiment and variant. Shares other than the weights: look at targeting.',
    unit: 'reqps',
    queries: [
      {
        expr: rate('flywheel_assignments_total', 'experiment, variant'),
        legend: '{{experiment}} {{variant}}',
      },
    ],
  },
  {
    title: 'Crossovers',
    description: 'The share of evaluations of people who have seen two variants.',
    unit: 'percentunit',
    queries: [
      {
        expr: share('flywheel_assignment_crossovers_total', 'flywheel_assignments_total'),
        legend: 'crossovers',
      },
    ],
  },
  {
    title: 'Exposures lost',
    description: 'Exposures that did not get into the log.',
    unit: 'cps',
    queries: [{ expr: rate('flywheel_exposures_lost_total', 'reason'), legend: '{{reason}}' }],
  },
];

const triggers: PanelSpec[] = [
  {
    title: 'Triggers',
    description: 'Created, acknowledged and expired. Mostly expired: nobody takes them.',
    unit: 'cps',
    queries: [
      { expr: rate('flywheel_triggers_total', 'definition, status'), legend: '{{definition}} {{status}}' },
    ],
  },
  {
    title: 'Triggers that wait',
    description: 'Neither acknowledged nor expired yet. They are kept in Redis and in the memory of streams.',
    unit: 'short',
    queries: [{ expr: 'sum(flywheel_stream_triggers_waiting)', legend: 'waiting' }],
  },
  {
    title: 'Deliveries',
    description: 'Attempts at receivers, by outcome, and those that were given up.',
    unit: 'cps',
    queries: [
      {
        expr: `${rate('flywheel_delivery_attempt_seconds_count', 'receiver, outcome')} or vector(0)`,
        legend: '{{receiver}} {{outcome}}',
      },
      { expr: `${rate('flywheel_deliveries_dead_total')} or vector(0)`, legend: 'given up' },
    ],
  },
  {
    title: 'Seconds of an attempt',
    description: 'From the request to the end of a receiver’s answer (p99).',
    unit: 's',
    queries: [
      {
        expr: `${quantile(0.99, 'flywheel_delivery_attempt_seconds', '', 'receiver')} or vector(0)`,
        legend: '{{receiver}}',
      },
    ],
  },
  {
    title: 'Oldest open delivery',
    description: 'Age of the oldest delivery still to be made; over 15 minutes: FlywheelDeliveriesOld.',
    unit: 's',
    queries: [{ expr: 'max(flywheel_deliveries_oldest_open_seconds) or vector(0)', legend: 'oldest' }],
  },
  {
    title: 'Open deliveries',
    description: 'Deliveries that are still to be made, by receiver.',
    unit: 'short',
    queries: [{ expr: 'sum by (receiver) (flywheel_deliveries_open) or vector(0)', legend: '{{receiver}}' }],
  },
  {
    title: 'What deliveries and triggers came to',
    description:
      'Attempts that are to be repeated, deliveries that nobody needs any more, acknowledgements by what they came to, triggers that all receivers have, and what was forgotten a week later.',
    unit: 'cps',
    queries: [
      {
        expr: `${rate('flywheel_delivery_retries_total', 'receiver')} or vector(0)`,
        legend: 'again {{receiver}}',
      },
      {
        expr: `${rate('flywheel_deliveries_settled_total', 'receiver')} or vector(0)`,
        legend: 'settled {{receiver}}',
      },
      {
        expr: `${rate('flywheel_trigger_acknowledgements_total', 'status')} or vector(0)`,
        legend: '{{status}}',
      },
      { expr: rate('flywheel_delivery_receipts_total'), legend: 'receipts' },
      { expr: rate('flywheel_deliveries_forgotten_total'), legend: 'forgotten' },
    ],
  },
  {
    title: 'Leaders of the jobs',
    description: 'Processes that lead the jobs. One; none or two: FlywheelJobsLeaderless.',
    unit: 'short',
    queries: [{ expr: 'sum(flywheel_jobs_leads)', legend: 'leaders' }],
  },
  {
    title: 'Triggers that were lost',
    description:
      'Offsets of the topic triggers that were deleted before a leader took them, since its process began; any: FlywheelTriggersLost.',
    unit: 'short',
    queries: [{ expr: 'sum(flywheel_delivery_triggers_lost_total) or vector(0)', legend: 'lost' }],
  },
];

export const growth: BoardSpec = {
  uid: 'flywheel-growth',
  title: 'Flywheel: growth',
  description: 'What buyers do, how far they come, which variants they see, whom we reach.',
  rows: [
    { title: 'What comes in', panels: intake },
    { title: 'Buyers', panels: buyers },
    { title: 'Experiments', panels: experiments },
    { title: 'Triggers', panels: triggers },
  ],
};
