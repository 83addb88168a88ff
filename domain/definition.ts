// Definitions: versioned documents that say what is counted, scored, spent and shown.
// One zod schema a kind (those of experiments and receivers in files of their own); files in `definitions/<kind>/<id>.json` hold the
// first ones. What a field means is told by its description, which the API's page shows.
import { z } from 'zod';
import { behaviour, days, durationMs, finite, id, micros } from './definition-fields.ts';
import { experiment, segment } from './experiment-definition.ts';
import { receiver, trigger } from './receiver-definition.ts';

/** The seven standard behaviours; a definition may name others beside them. */
export const standardBehaviours = [
  'visit',
  'search',
  'view',
  'contact',
  'inquiry',
  'order',
  'fulfil',
] as const;
export const deepBehaviours = ['contact', 'inquiry', 'order'] as const;

/** Limits and lateness of the stream itself. They are definitions, so that a replay uses the same. */
export const settings = z.object({
  latenessMs: durationMs
    .default(600_000)
    .describe(
      'An event that is older than its partition’s time by more comes late: it is stored, and counts in nothing but the late ones. Less than `idMemoryMs`.',
    ),
  idMemoryMs: durationMs
    .default(days(1))
    .describe('How long a message id is remembered, so that a repeat is known for one.'),
  maxIdsPerBuyer: z
    .int()
    .min(10)
    .max(50_000)
    .default(5_000)
    .describe('Message ids that are remembered of one buyer, the latest.'),
  maxBehavioursPerBuyer: z
    .int()
    .min(10)
    .max(20_000)
    .default(1_000)
    .describe('Behaviours that are held of one buyer for the funnels; beyond, the oldest are settled early.'),
  maxOpportunitiesPerBuyer: z
    .int()
    .min(1)
    .max(1_000)
    .default(50)
    .describe('Opportunities that one buyer may have open; beyond, the oldest is `evicted`.'),
  maxCellsPerWindow: z
    .int()
    .min(1)
    .max(100_000)
    .default(500)
    .describe(
      'Segments (country, industry and channel together) that are told apart in one minute, hour or day of a partition; later ones count in `other`.',
    ),
  minuteRetentionMs: durationMs
    .default(3_600_000)
    .describe('How long counts by the minute are held for rolling answers, in addition to the lateness.'),
  hourRetentionMs: durationMs.default(25 * 3_600_000).describe('The same of counts by the hour.'),
  dayRetentionMs: durationMs.default(days(2)).describe('The same of counts by the day.'),
  timersPerCommit: z
    .int()
    .min(1)
    .max(10_000)
    .default(1_000)
    .describe('Timers that one commit fires; what more is due follows in the next.'),
  triggerTtlMs: durationMs
    .default(days(7))
    .describe('A trigger that nobody has acknowledged for so long expires.'),
  maxPendingTriggers: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(50_000)
    .describe('Triggers that wait in one partition; beyond, the oldest expire.'),
  linkMemoryMs: durationMs
    .default(days(90))
    .describe(
      'How long what came by a link is kept apart, so that it can be taken back; from when its user merged it.',
    ),
  linkExpiryMs: durationMs
    .min(1)
    .default(days(400))
    .describe(
      'A link ends when its visitor has been silent for longer; then the id is a new visitor. At least `idMemoryMs`.',
    ),
  maxLinksPerBuyer: z
    .int()
    .min(1)
    .max(1_000)
    .default(50)
    .describe('Links that one user keeps apart; beyond, the oldest become the user’s own for good.'),
  mergeChunkBehaviours: z.int().min(1).max(5_000).default(500).describe('Behaviours in one merge record.'),
});
export type Settings = z.infer<typeof settings>;

/** How site event names map to behaviours. */
export const behaviours = z.object({
  rules: z
    .array(
      z.object({
        kind: z.enum(['track', 'page', 'screen']),
        event: z.string().max(256).optional().describe('The event’s or page’s name; absent: any.'),
        behaviour: behaviour.describe(
          'One of the seven standard ones (visit, search, view, contact, inquiry, order, fulfil) or your own.',
        ),
      }),
    )
    .min(1)
    .max(500)
    .describe('The first that fits wins; an event that none fits is stored and counts in nothing.'),
});
export type BehaviourMap = z.infer<typeof behaviours>;

export const FUNNEL_STEPS_MAX = 12;

export const funnel = z.object({
  name: z.string().max(128),
  steps: z.array(behaviour).min(2).max(FUNNEL_STEPS_MAX),
  windowMs: durationMs.describe('All steps must come within this, counted from the first.'),
  mode: z
    .enum(['default', 'strict_order', 'strict_increase', 'strict_order+strict_increase'])
    .default('default')
    .describe(
      'As ClickHouse’s windowFunnel has them: `strict_order` takes nothing else between two steps, `strict_increase` no two steps at one time.',
    ),
});
export type FunnelDefinition = z.infer<typeof funnel>;

/** new → mature (enough deep behaviours) → retained (still active some time after) → churned (absent), and back. */
export const lifecycle = z.object({
  matureBehaviours: z
    .array(behaviour)
    .min(1)
    .default(['contact', 'inquiry', 'order'])
    .describe('What counts towards `matureCount`.'),
  matureCount: z.int().min(1).default(1).describe('So many of these behaviours make a buyer mature.'),
  retainedAfterMs: durationMs
    .default(days(7))
    .describe('Who is active so long after having become mature, or later, is retained.'),
  churnedAfterMs: durationMs
    .min(1)
    .default(days(14))
    .describe('Who has done nothing for so long has churned.'),
});
export type LifecycleDefinition = z.infer<typeof lifecycle>;

const byValue = z.record(z.string(), finite);

/** Quality of an opportunity in [0, 1]: a clamped sum of what the inquiry, the buyer's country and level say. */
export const opportunity = z.object({
  subject: z
    .array(z.string())
    .min(1)
    .default(['supplierId', 'category'])
    .describe('Which properties name what the opportunity is about; the first present wins.'),
  base: z
    .record(behaviour, finite)
    .default({ contact: 0.15, inquiry: 0.25, order: 0.7 })
    .describe(
      'What a contact, inquiry or order is worth by itself; no other behaviour opens an opportunity.',
    ),
  messageLength: z
    .object({ weight: finite, full: z.number().positive() })
    .default({ weight: 0.2, full: 400 })
    .describe('What a message of `full` characters or more adds, a shorter one in proportion.'),
  quantity: z
    .object({ weight: finite, full: z.number().positive() })
    .default({ weight: 0.2, full: 1_000 })
    .describe('The same of a quantity, by its logarithm.'),
  specification: z
    .object({ weight: finite })
    .default({ weight: 0.1 })
    .describe('What an inquiry with a `specification` adds.'),
  country: byValue
    .default({})
    .describe('By the buyer’s country (ISO 3166-1; `ZZ`: not known): what is added.'),
  level: byValue.default({}).describe('By the buyer’s level (`unknown`: none is known): what is added.'),
  qualifiedAt: z
    .number()
    .min(0)
    .max(1)
    .default(0.5)
    .describe('From this quality on it is a quality opportunity.'),
  closeAfterMs: durationMs
    .min(1)
    .default(days(30))
    .describe('An opportunity without progress for so long is lost.'),
});
export type OpportunityDefinition = z.infer<typeof opportunity>;

/**
 * p = σ(intercept + Σ fit + Σ coefficient · ln(1 + min(S, cap))), S a sum of behaviours that halves every `halfLifeMs`.
 * It is the probability of a deep behaviour within `horizonMs`.
 */
export const score = z.object({
  name: z.string().max(128),
  horizonMs: durationMs
    .min(1)
    .describe('The probability is that of a contact, inquiry or order within so long.'),
  halfLifeMs: durationMs
    .min(60_000)
    .describe(
      'After so long a behaviour counts half. The sums of one begin with the first score that has it: with a new one every buyer’s engagement is 0 at first.',
    ),
  cap: z
    .number()
    .positive()
    .default(50)
    .describe('A behaviour’s decayed sum counts up to this; doing it oftener makes nobody likelier.'),
  intercept: finite.describe('What the logit begins with.'),
  engagement: z
    .record(behaviour, finite)
    .describe('By behaviour: what ln(1 + its decayed sum) is multiplied by.'),
  country: byValue
    .default({})
    .describe('By the buyer’s country (ISO 3166-1; `ZZ`: not known): what is added to the logit.'),
  level: byValue.default({}).describe('By the buyer’s level (`unknown`: none is known): what is added.'),
  industry: byValue
    .default({})
    .describe('By the buyer’s industry (`unknown`: none is known): what is added.'),
});
export type ScoreDefinition = z.infer<typeof score>;

export const account = z.object({
  name: z.string().max(128),
  currency: z
    .string()
    .regex(/^[A-Z]{3}$/)
    .describe('ISO 4217; the account’s for life.'),
  dailyBudgetMicros: micros.describe('What may be spent in one of its days, in millionths of the currency.'),
  totalBudgetMicros: micros
    .nullable()
    .default(null)
    .describe('What may be spent in all; null: no such limit.'),
  utcOffsetMinutes: z
    .int()
    .min(-840)
    .max(840)
    .default(0)
    .describe(
      'Its days begin at midnight of this offset from UTC. It is the account’s for life and knows no daylight saving time.',
    ),
  leaseTtlMs: durationMs.min(1_000).default(60_000).describe('How long a process may bid from one lease.'),
  leaseShare: z
    .number()
    .gt(0)
    .max(1)
    .default(0.25)
    .describe('The largest part of what is free that one lease may take.'),
  bidLifeMs: durationMs
    .default(60_000)
    .describe('How long a bid may still win after it was given; a second at the least.'),
  noticeHorizonMs: durationMs
    .default(3_600_000)
    .describe(
      'How long after that a win may be told of. What a lease still holds is free again when both have passed since its end, and five minutes.',
    ),
  pacing: z
    .object({
      gain: z
        .number()
        .min(0)
        .max(10)
        .default(1)
        .describe('How hard the multiplier follows the gap between plan and spend; 0 leaves it as it is.'),
      stepMs: durationMs.min(60_000).default(300_000).describe('How often it is set anew.'),
      minMultiplier: z
        .number()
        .min(0)
        .max(1)
        .default(0.05)
        .describe('The least that bids are multiplied by.'),
      maxMultiplier: z.number().min(1).max(100).default(3).describe('The most that bids are multiplied by.'),
      curveHalfLifeDays: z
        .number()
        .positive()
        .default(7)
        .describe('Days for the weight of a past day’s traffic to halve.'),
    })
    .prefault({})
    .describe('How bids follow the plan of a day (docs/decisions/spend.md).'),
});
export type AccountDefinition = z.infer<typeof account>;

export const campaign = z.object({
  name: z.string().max(256),
  accountId: id.describe('The account that pays; the campaign’s for life.'),
  channel: z.string().max(64).describe('Where it is shown. Spend that names no channel is counted under it.'),
  status: z.enum(['active', 'paused']).default('active'),
  valueMicros: micros
    .default(0)
    .describe('What one quality opportunity is worth, in the account’s currency.'),
  maxBidMicros: micros
    .default(0)
    .describe('The most that is bid for one impression; 0: no ceiling of its own.'),
  scoreId: id.default('opportunity').describe('The score that says how likely it is.'),
  countries: z
    .array(z.string().regex(/^[A-Z]{2}$/))
    .default([])
    .describe('It bids for buyers of these only (ISO 3166-1); none named: of all.'),
});
export type CampaignDefinition = z.infer<typeof campaign>;

export const definitionSchemas = {
  settings,
  behaviours,
  funnel,
  lifecycle,
  opportunity,
  score,
  account,
  campaign,
  segment,
  experiment,
  trigger,
  receiver,
} as const;
export type DefinitionType = keyof typeof definitionSchemas;
export const definitionTypes = Object.keys(definitionSchemas) as DefinitionType[];

/** One definition in force. */
export interface InForce<Document = unknown> {
  readonly id: string;
  readonly revision: number;
  readonly hash: string;
  readonly document: Document;
}

/** What a definition said last, in force or not: money that was spent by it is settled by it for life. */
export interface LastSaid<Document = unknown> extends InForce<Document> {
  /** Absent while it is in force. */
  readonly isWithdrawn?: true;
}

/** A document as its type's schema reads it, defaults filled in; undefined if it does not fit, or the type is none of ours. */
export function readDocument(type: string, document: unknown): Readonly<Record<string, unknown>> | undefined {
  const schema = Object.hasOwn(definitionSchemas, type)
    ? definitionSchemas[type as DefinitionType]
    : undefined;
  return schema?.safeParse(document).data as Readonly<Record<string, unknown>> | undefined;
}
