// Definitions: versioned documents that say what is counted, scored, spent and shown.
// One zod schema a kind; files in `definitions/<kind>/<id>.json` hold the first ones.
import { z } from 'zod';

const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/);
const days = (n: number): number => n * 86_400_000;
const durationMs = z.int().min(0).max(days(800));
const micros = z.int().min(0).max(9_000_000_000_000_000);
const finite = z.number().min(-1e6).max(1e6);

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
const behaviour = z.string().regex(/^[a-z][A-Za-z0-9]{0,31}$/);

/** Limits and lateness of the stream itself. They are definitions, so that a replay uses the same. */
export const settings = z.object({
  latenessMs: durationMs.default(600_000),
  idMemoryMs: durationMs.default(days(1)),
  maxIdsPerBuyer: z.int().min(10).max(50_000).default(5_000),
  maxBehavioursPerBuyer: z.int().min(10).max(20_000).default(1_000),
  maxOpportunitiesPerBuyer: z.int().min(1).max(1_000).default(50),
  maxCellsPerWindow: z.int().min(1).max(100_000).default(500),
  minuteRetentionMs: durationMs.default(3_600_000),
  hourRetentionMs: durationMs.default(25 * 3_600_000),
  dayRetentionMs: durationMs.default(days(2)),
  timersPerCommit: z.int().min(1).max(10_000).default(1_000),
  triggerTtlMs: durationMs.default(days(7)),
  maxPendingTriggers: z.int().min(1).max(1_000_000).default(50_000),
  /** How long what came by a link is kept apart, so that it can be taken back; from the link on. */
  linkMemoryMs: durationMs.default(days(90)),
  /** A link ends when its visitor has been silent for longer; then the id is a new visitor. */
  linkExpiryMs: durationMs.min(1).default(days(400)),
  /** Links that one user keeps apart; beyond, the oldest become the user's own for good. */
  maxLinksPerBuyer: z.int().min(1).max(1_000).default(50),
  /** Behaviours in one merge record. */
  mergeChunkBehaviours: z.int().min(1).max(5_000).default(500),
});
export type Settings = z.infer<typeof settings>;

/** How site event names map to behaviours. The first rule that fits wins; `event` absent fits any name. */
export const behaviours = z.object({
  rules: z
    .array(
      z.object({
        kind: z.enum(['track', 'page', 'screen']),
        event: z.string().max(256).optional(),
        behaviour,
      }),
    )
    .min(1)
    .max(500),
});
export type BehaviourMap = z.infer<typeof behaviours>;

export const FUNNEL_STEPS_MAX = 12;

export const funnel = z.object({
  name: z.string().max(128),
  steps: z.array(behaviour).min(2).max(FUNNEL_STEPS_MAX),
  windowMs: durationMs,
  mode: z
    .enum(['default', 'strict_order', 'strict_increase', 'strict_order+strict_increase'])
    .default('default'),
});
export type FunnelDefinition = z.infer<typeof funnel>;

/** new → mature (enough deep behaviours) → retained (still active some time after) → churned (absent), and back. */
export const lifecycle = z.object({
  matureBehaviours: z.array(behaviour).min(1).default(['contact', 'inquiry', 'order']),
  matureCount: z.int().min(1).default(1),
  retainedAfterMs: durationMs.default(days(7)),
  churnedAfterMs: durationMs.min(1).default(days(14)),
});
export type LifecycleDefinition = z.infer<typeof lifecycle>;

const byValue = z.record(z.string(), finite);

/** Quality of an opportunity in [0, 1]: a clamped sum of what the inquiry, the buyer's country and level say. */
export const opportunity = z.object({
  /** Which properties name what the opportunity is about; the first present wins. */
  subject: z.array(z.string()).min(1).default(['supplierId', 'category']),
  base: z.record(behaviour, finite).default({ contact: 0.15, inquiry: 0.25, order: 0.7 }),
  messageLength: z
    .object({ weight: finite, full: z.number().positive() })
    .default({ weight: 0.2, full: 400 }),
  quantity: z.object({ weight: finite, full: z.number().positive() }).default({ weight: 0.2, full: 1_000 }),
  specification: z.object({ weight: finite }).default({ weight: 0.1 }),
  country: byValue.default({}),
  level: byValue.default({}),
  qualifiedAt: z.number().min(0).max(1).default(0.5),
  /** An opportunity without progress for so long is lost. */
  closeAfterMs: durationMs.min(1).default(days(30)),
});
export type OpportunityDefinition = z.infer<typeof opportunity>;

/**
 * p = σ(intercept + Σ fit + Σ coefficient · ln(1 + min(S, cap))), S a sum of behaviours that halves every `halfLifeMs`.
 * It is the probability of a deep behaviour within `horizonMs`.
 */
export const score = z.object({
  name: z.string().max(128),
  horizonMs: durationMs.min(1),
  halfLifeMs: durationMs.min(60_000),
  cap: z.number().positive().default(50),
  intercept: finite,
  engagement: z.record(behaviour, finite),
  country: byValue.default({}),
  level: byValue.default({}),
  industry: byValue.default({}),
});
export type ScoreDefinition = z.infer<typeof score>;

export const account = z.object({
  name: z.string().max(128),
  currency: z.string().regex(/^[A-Z]{3}$/),
  dailyBudgetMicros: micros,
  totalBudgetMicros: micros.nullable().default(null),
  /** The account's day begins at midnight of this offset from UTC. */
  utcOffsetMinutes: z.int().min(-840).max(840).default(0),
  leaseTtlMs: durationMs.min(1_000).default(60_000),
  /** The largest part of what is free that one lease may take. */
  leaseShare: z.number().gt(0).max(1).default(0.25),
  bidLifeMs: durationMs.default(60_000),
  noticeHorizonMs: durationMs.default(3_600_000),
  pacing: z
    .object({
      /** Gain of the controller: how hard the multiplier follows the gap between plan and spend. */
      gain: z.number().min(0).max(10).default(1),
      stepMs: durationMs.min(60_000).default(300_000),
      minMultiplier: z.number().min(0).max(1).default(0.05),
      maxMultiplier: z.number().min(1).max(100).default(3),
      /** Days for the weight of a past day's traffic to halve. */
      curveHalfLifeDays: z.number().positive().default(7),
    })
    .prefault({}),
});
export type AccountDefinition = z.infer<typeof account>;

export const campaign = z.object({
  name: z.string().max(256),
  accountId: id,
  channel: z.string().max(64),
  status: z.enum(['active', 'paused']).default('active'),
  /** What one quality opportunity is worth, in the account's currency. */
  valueMicros: micros.default(0),
  maxBidMicros: micros.default(0),
  /** The score that says how likely it is. */
  scoreId: id.default('opportunity'),
  countries: z.array(z.string().regex(/^[A-Z]{2}$/)).default([]),
});
export type CampaignDefinition = z.infer<typeof campaign>;

const attributeCondition = z.object({
  attribute: z.string().min(1).max(128),
  operator: z.enum(['equals', 'notEquals', 'in', 'notIn', 'greaterThan', 'lessThan', 'exists']),
  /** A list for `in` and `notIn`; false with `exists` asks for absence. */
  value: z.unknown().optional(),
});

/** Buyers who are alike, for targeting: all conditions must hold. */
export const segment = z.object({
  name: z.string().max(256),
  conditions: z.array(attributeCondition).min(1).max(50),
});
export type SegmentDefinition = z.infer<typeof segment>;

/** Who is meant: by an attribute, or by a segment (`in: false` means those outside it). */
export const targeting = z.union([
  attributeCondition,
  z.object({ segment: id, in: z.boolean().default(true) }),
]);

export const experiment = z.object({
  name: z.string().max(256),
  status: z.enum(['draft', 'running', 'stopped']),
  seed: z.string().max(256).optional(),
  hashVersion: z.union([z.literal(1), z.literal(2)]).default(2),
  coverage: z.number().min(0).max(1).default(1),
  variations: z
    .array(z.object({ key: id, value: z.unknown(), weight: z.number().min(0).max(1) }))
    .min(2)
    .max(20),
  namespace: z
    .object({ id: z.string(), from: z.number().min(0).max(1), to: z.number().min(0).max(1) })
    .optional(),
  targeting: z.array(targeting).default([]),
  /** The variant of those who are not in the experiment. */
  fallback: id,
  /** For trying one out: everybody new who would be in it gets this variant, and is not in it meanwhile. */
  forced: id.optional(),
});
export type ExperimentDefinition = z.infer<typeof experiment>;

/** What is worth telling somebody: a lifecycle transition, or an opportunity that opened or qualified. */
export const trigger = z.object({
  name: z.string().max(128),
  on: z.enum(['transition', 'opportunity']),
  /** Stages for `transition`, `opened` or `qualified` for `opportunity`. */
  to: z.array(z.string()).min(1),
});
export type TriggerDefinition = z.infer<typeof trigger>;

const minutes = (n: number): number => n * 60_000;
const hours = (n: number): number => n * 3_600_000;

/** What a receiver calls its signing secret by. */
export const secretName = id;

/** Where triggers are pushed to: a webhook by the Standard Webhooks specification. */
export const receiver = z.object({
  name: z.string().max(128),
  url: z.url({ protocol: /^https?$/, error: 'must be an http:// or https:// URL' }).max(2_048),
  /** The triggers that it gets; none named: all. */
  triggers: z.array(id).max(100).default([]),
  /** The name of its signing secret. The secret itself never stands in a definition (docs/decisions/triggers.md). */
  secret: secretName,
  status: z.enum(['active', 'disabled']).default('active'),
  /** An attempt that is not answered by then has failed. */
  timeoutMs: durationMs.min(100).max(60_000).default(15_000),
  /** Requests to it at a time. */
  concurrency: z.int().min(1).max(64).default(4),
  /** Pauses after the first, second, … failed attempt; after the last one the delivery is dead. Standard Webhooks' schedule. */
  retryAfterMs: z
    .array(durationMs.max(days(7)))
    .max(30)
    .default([
      5_000,
      minutes(5),
      minutes(30),
      hours(2),
      hours(5),
      hours(10),
      hours(14),
      hours(20),
      hours(24),
    ]),
});
export type ReceiverDefinition = z.infer<typeof receiver>;

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

/** A document as its type's schema reads it, defaults filled in; undefined if it does not fit, or the type is none of ours. */
export function readDocument(type: string, document: unknown): Readonly<Record<string, unknown>> | undefined {
  const schema = Object.hasOwn(definitionSchemas, type)
    ? definitionSchemas[type as DefinitionType]
    : undefined;
  return schema?.safeParse(document).data as Readonly<Record<string, unknown>> | undefined;
}
