// Deliveries: what a receiver is owed of a trigger. Each record of the topic `deliveries` is the whole state of one.
import { z } from 'zod';
import type { ReceiverDefinition } from './receiver-definition.ts';
import { epochMs, id, key } from './record-fields.ts';
import { firstOf } from './text.ts';

/** A trigger as it stands in the topic `triggers` and in Redis until it is acknowledged or expires. */
export const waitingTrigger = z.object({
  id,
  definition: id,
  revision: z.int().min(1),
  on: z.enum(['transition', 'opportunity']),
  key,
  from: z.string(),
  to: z.string(),
  timeMs: epochMs,
  expiresMs: z.int(),
  data: z.record(z.string(), z.unknown()),
});
export type WaitingTrigger = z.infer<typeof waitingTrigger>;

/**
 * queued: to be sent at `dueMs`. sending: the intent of attempt `attempt`, sent within `intentLifeMs` or never.
 * delivered: answered 2xx. dead: not tried again unless it is replayed. settled: acknowledged by somebody else, or expired.
 */
export const deliveryStatuses = ['queued', 'sending', 'delivered', 'dead', 'settled'] as const;
export type DeliveryStatus = (typeof deliveryStatuses)[number];

export const delivery = z.object({
  kind: z.literal('delivery'),
  /** The `webhook-id`: the same for every attempt and replay. */
  id,
  receiver: id,
  status: z.enum(deliveryStatuses),
  /** Intents so far. */
  attempt: z.int().min(0),
  /** Failed attempts since it was queued or replayed: the place in the receiver's schedule. */
  failures: z.int().min(0),
  dueMs: z.int(),
  /** When it was first queued. */
  createdMs: epochMs,
  /** When this record was written. */
  atMs: epochMs,
  /** The HTTP status of the last attempt; 0: none came. */
  answer: z.int().min(0),
  /** Why it stands as it does. */
  detail: z.string().max(1_024),
  /** `sending`: how long the sender may take to begin, and then to be answered. */
  intentLifeMs: z.int().min(0),
  timeoutMs: z.int().min(0),
  trigger: waitingTrigger,
});
export type Delivery = z.infer<typeof delivery>;

/** How far a partition of `triggers` has been taken into deliveries. */
export const deliveryCursor = z.object({
  kind: z.literal('cursor'),
  partition: z.int().min(0),
  next: z.int().min(0),
  /** Of the topic whose offsets these are: one that is made anew has another. An older version does not say. */
  topicId: z.string().optional(),
  /** What was taken with it, and for whom: the active receivers, and the triggers that each names. An older version does not say. */
  taken: z
    .object({
      from: z.int().min(0),
      receivers: z.array(z.object({ id, triggers: z.array(id) })),
    })
    .optional(),
});
export type DeliveryCursor = z.infer<typeof deliveryCursor>;

/** Somebody asks that a dead delivery be sent again. It carries the delivery, which the sender may have forgotten. */
export const deliveryReplay = z.object({
  kind: z.literal('replay'),
  id,
  by: z.string().max(128),
  atMs: epochMs,
  delivery,
});
export type DeliveryReplay = z.infer<typeof deliveryReplay>;

/** A process begins to lead the jobs: its first transaction, whose end also ends what a broker that died left open. */
export const deliveryTurn = z.object({
  kind: z.literal('turn'),
  atMs: epochMs,
});
export type DeliveryTurn = z.infer<typeof deliveryTurn>;

/** Nothing can come any more of what stands under this key: a record without a value, by which Kafka drops all of it. */
export interface DeliveryForgotten {
  readonly kind: 'forgotten';
  readonly key: string;
}

export type DeliveriesTopicRecord =
  | Delivery
  | DeliveryCursor
  | DeliveryReplay
  | DeliveryTurn
  | DeliveryForgotten;

/** What came of one attempt. */
export interface Answer {
  /** HTTP status; 0: no answer. */
  readonly status: number;
  readonly retryAfter?: string | undefined;
  readonly detail: string;
}

const RETRY_AFTER_MS_MAX = 86_400_000;
/** Receivers that fail together must not return together: up to this much longer. */
const JITTER_SHARE = 0.2;

/** A trigger is meant for a receiver that is active and names it, or names none. */
export function isMeantFor(receiver: ReceiverDefinition, trigger: WaitingTrigger): boolean {
  if (receiver.status !== 'active') return false;
  return receiver.triggers.length === 0 || receiver.triggers.includes(trigger.definition);
}

/** Milliseconds that a Retry-After header asks for (RFC 9110, 10.2.3: seconds or a date); 0 without one that can be read. */
export function retryAfterMs(header: string | undefined, nowMs: number): number {
  if (header === undefined) return 0;
  const text = header.trim();
  const waitMs = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - nowMs;
  return Number.isFinite(waitMs) ? Math.min(Math.max(0, waitMs), RETRY_AFTER_MS_MAX) : 0;
}

/**
 * The delivery after its attempt was answered: 2xx delivers, 410 is final, everything else is tried again by the
 * receiver's schedule, never before what Retry-After asks for.
 * @param chance in [0, 1): spreads the retries
 */
export function answered(
  before: Delivery,
  answer: Answer,
  receiver: Pick<ReceiverDefinition, 'retryAfterMs'>,
  nowMs: number,
  chance: number,
): Delivery {
  const { status, retryAfter } = answer;
  const detail = firstOf(answer.detail, 1_024);
  const next = { ...before, atMs: nowMs, answer: status, detail };
  // What a receiver says of its success explains nothing, and would be kept for weeks by everybody who reads the topic.
  if (status >= 200 && status < 300) return { ...next, status: 'delivered', detail: '' };
  const failures = before.failures + 1;
  const pauseMs = receiver.retryAfterMs[before.failures];
  if (status === 410 || pauseMs === undefined) return { ...next, failures, status: 'dead' };
  const waitMs = Math.max(pauseMs * (1 + JITTER_SHARE * chance), retryAfterMs(retryAfter, nowMs));
  return { ...next, failures, status: 'queued', dueMs: nowMs + Math.ceil(waitMs) };
}

/**
 * Whether a trigger's receipt is due: every receiver that is still active has answered 2xx, and at least one has. One
 * that is dead holds it back, so that the trigger can be pulled or replayed until it expires.
 */
export function isReceiptDue(
  deliveries: readonly Pick<Delivery, 'status' | 'receiver'>[],
  isActive: (receiver: string) => boolean,
): boolean {
  return (
    deliveries.some(({ status }) => status === 'delivered') &&
    deliveries.every(({ status, receiver }) => status === 'delivered' || !isActive(receiver))
  );
}
