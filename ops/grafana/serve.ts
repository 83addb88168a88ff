// Panels of what answers over HTTP: how much, how fast, who is refused, and the keys.
import type { PanelSpec } from './board.ts';
import { quantile, rate } from './queries.ts';

export const serve: PanelSpec[] = [
  {
    title: 'Requests by route',
    description: 'Answers a second, by route; what is no route of ours is `none`.',
    unit: 'reqps',
    queries: [{ expr: rate('flywheel_serve_route_seconds_count', 'route'), legend: '{{route}}' }],
  },
  {
    title: 'Seconds by route',
    description: 'From a request to the end of its answer (p99).',
    unit: 's',
    queries: [{ expr: quantile(0.99, 'flywheel_serve_route_seconds', '', 'route'), legend: '{{route}}' }],
  },
  {
    title: 'Answers by status',
    description:
      '5xx are ours; 429 say that somebody is over a limit; 499 are clients that have gone without an answer.',
    unit: 'reqps',
    queries: [{ expr: rate('flywheel_serve_route_seconds_count', 'status'), legend: '{{status}}' }],
  },
  {
    title: 'Refused and limited',
    description:
      'Requests that collect told to come again, by reason, and those that were over the limit of their key or address.',
    unit: 'reqps',
    queries: [
      { expr: rate('flywheel_collect_refused_total', 'reason'), legend: '{{reason}}' },
      {
        expr: `${rate('flywheel_key_limited_total', 'key, limit')} or vector(0)`,
        legend: '{{limit}} of {{key}}',
      },
    ],
  },
  {
    title: 'On its way to Kafka',
    description: 'Bytes of requests that wait for Kafka, by process. At its bound collect refuses.',
    unit: 'bytes',
    queries: [{ expr: 'sum by (instance) (flywheel_collect_in_flight_bytes)', legend: '{{instance}}' }],
  },
  {
    title: 'Keys file',
    description: 'Whether a process cannot read it (1), and how often it was read anew or refused.',
    unit: 'short',
    queries: [
      { expr: 'max(flywheel_keys_file_broken)', legend: 'broken' },
      { expr: 'sum by (outcome) (flywheel_keys_file_reloads_total)', legend: '{{outcome}}' },
    ],
  },
  {
    title: 'Keys that expire',
    description: 'Time that is left of keys with a week at most, of which no other has taken the place.',
    unit: 's',
    queries: [
      { expr: 'min by (key) (flywheel_key_expires_in_seconds{replaced="false"})', legend: '{{key}}' },
    ],
  },
];
