// What the API says of sources.
import { z } from 'zod';
import { shapeChangeKinds } from '../../domain/source-health/shape.ts';
import { isoTime } from '../answer.ts';
import { period } from '../reports/period.ts';

const share = z.number().nullable();

export const sourceAlert = z.object({
  alert: z.enum(['quiet', ...shapeChangeKinds]),
  severity: z.enum(['warning', 'info']),
  kind: z.string(),
  event: z.string().meta({ description: 'Empty for `quiet`.' }),
  path: z.string().meta({ examples: ['properties.category'] }),
  detail: z.string(),
});

/** What the list says of each, and one source's page begins with. */
export const sourceOverview = z.object({
  source: z.string(),
  events: z.int(),
  verdicts: z.object({ applied: share, late: share, duplicate: share }).meta({
    description: 'Shares of the events.',
  }),
  rejects: z.int(),
  rejectedShare: share.meta({ description: 'Of all that was sent: rejects / (events + rejects).' }),
  lastEvent: isoTime.nullable().meta({ description: 'The latest event time.' }),
  lastReceived: isoTime.nullable(),
  delayMs: z
    .object({ median: z.number(), p95: z.number() })
    .nullable()
    .meta({ description: 'From the event to its receipt.' }),
  rhythm: z
    .enum(['lively', 'quiet', 'unknown'])
    .meta({ description: '`unknown` without a week of history, or when no jobs have looked for an hour.' }),
  alerts: z.array(sourceAlert),
});
export type SourceOverview = z.infer<typeof sourceOverview>;

const evaluated = isoTime.nullable().meta({ description: 'When the jobs last looked at the alerts.' });

export const sourcesAnswer = z.object({
  period,
  evaluated,
  truncated: z.boolean().meta({
    description:
      'True if there are more sources, or reasons of rejects, than are told: those with the most events are.',
  }),
  sources: z.array(sourceOverview),
});

export const sourceAnswer = sourceOverview.extend({
  period,
  evaluated,
  truncated: z.boolean().meta({
    description:
      'True if `volume` (the newest are told), `schema` or `rejectReasons` (the most frequent) has more than is told: ask for a ' +
      'shorter period by `from` and `to`, or `by=day`.',
  }),
  volume: z.array(z.object({ start: isoTime, events: z.int(), late: z.int(), duplicate: z.int() })),
  schemaSampled: z.int().meta({ description: 'The schema was read from every n-th event; 1: from all.' }),
  schema: z.array(
    z.object({
      kind: z.string(),
      event: z.string(),
      events: z.int(),
      firstSeen: isoTime,
      lastSeen: isoTime,
      properties: z.array(
        z.object({
          path: z.string(),
          type: z.string(),
          count: z.int(),
          share: share.meta({ description: 'Of the events of this name.' }),
          firstSeen: isoTime,
          lastSeen: isoTime,
        }),
      ),
    }),
  ),
  rejectReasons: z.array(
    z.object({
      reason: z.string(),
      count: z.int(),
      last: isoTime,
      examples: z.array(
        z.object({
          at: isoTime,
          detail: z.string(),
          route: z.string(),
          origin: z.string().meta({ description: '`collect`, or the topic that it stood in.' }),
          raw: z.string().meta({ description: 'The beginning of what was sent.' }),
        }),
      ),
    }),
  ),
});
export type SourceAnswer = z.infer<typeof sourceAnswer>;
