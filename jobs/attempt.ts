// One attempt at one delivery, step by step; what a crash between two steps leaves is in docs/decisions/triggers.md.
import type { InForce } from '../domain/definition.ts';
import { type Answer, answered, type Delivery } from '../domain/delivery.ts';
import type { ReceiverDefinition } from '../domain/receiver-definition.ts';
import type { Failpoint } from '../platform/failpoint.ts';
import type { Namespace } from '../platform/namespace.ts';
import type { WebhookSecrets } from '../platform/webhook-secrets.ts';
import { cloudEventOf, webhookHeaders } from './message.ts';
import type { AttemptOutcome, JobsMetrics } from './metrics.ts';
import { type PendingCheck, unknownPauseMs } from './pending.ts';
import { IntentOver, type Sender } from './send.ts';
import type { DeliveryWriter } from './writer.ts';

/** A receiver without a secret is tried again after so long. */
const NO_SECRET_RETRY_MS = 30_000;

export interface AttemptPorts {
  readonly namespace: Namespace;
  readonly writer: DeliveryWriter;
  readonly pending: PendingCheck;
  readonly sender: Sender;
  readonly secrets: WebhookSecrets;
  readonly metrics: JobsMetrics;
  readonly failpoint: Failpoint;
  readonly intentLifeMs: number;
  /** Raised when this turn of leadership is over. */
  readonly signal: AbortSignal;
  nowMs(): number;
  monotonicMs(): number;
  /** In [0, 1). */
  chance(): number;
  warn(message: string): void;
}

function outcomeOf({ status }: Answer): AttemptOutcome {
  if (status >= 200 && status < 300) return 'delivered';
  return status === 410 ? 'gone' : 'failed';
}

/** Neither clock has passed the intent's end: a stopped process finds both far ahead, a suspended machine at least one. */
function intentClock({ nowMs, monotonicMs, intentLifeMs }: AttemptPorts): () => boolean {
  const startedAt = monotonicMs();
  const startedWall = nowMs();
  return () => monotonicMs() - startedAt < intentLifeMs && nowMs() - startedWall < intentLifeMs;
}

function later(delivery: Delivery, waitMs: number, ports: AttemptPorts): Delivery {
  return { ...delivery, dueMs: ports.nowMs() + waitMs };
}

/**
 * Not sent is no failure of the receiver's: its schedule does not move. But one that connects more slowly than an intent lives
 * would take one intent after the other: it is tried later and later.
 */
function unsent(intent: Delivery, nowMs: number, timesBefore: number): Delivery {
  const detail = 'not sent within JOBS_INTENT_LIFE_MS: the receiver connects slowly, or jobs stood still';
  return { ...intent, status: 'queued', atMs: nowMs, dueMs: nowMs + unknownPauseMs(timesBefore), detail };
}

/**
 * Answers the delivery as it stands afterwards: what changed is in Kafka by then. Null: whether its trigger still waits cannot be
 * known now, and nothing has changed.
 * @param unsentBefore how often, one time after the other, nothing could be sent of it
 * @throws what the writer throws, and when the turn is over: then nothing more may be done here
 */
export async function attemptDelivery(
  delivery: Delivery,
  receiver: InForce<ReceiverDefinition>,
  ports: AttemptPorts,
  unsentBefore = 0,
): Promise<Delivery | null> {
  const { writer, pending, secrets, metrics, nowMs, failpoint } = ports;
  const standing = await pending.standing(delivery.trigger);
  if (standing === 'unknown') return null;
  if (standing === 'gone') {
    const detail = 'the trigger was acknowledged elsewhere or has expired';
    const settled: Delivery = { ...delivery, status: 'settled', atMs: nowMs(), detail };
    await writer.write([settled]);
    metrics.settled(delivery.receiver);
    return settled;
  }
  const keys = await secrets.keysOf(receiver.document.secret);
  if (keys.length === 0) return withoutSecret(delivery, receiver, ports);
  const mayStart = intentClock(ports);
  const { timeoutMs } = receiver.document;
  const intent: Delivery = {
    ...delivery,
    status: 'sending',
    attempt: delivery.attempt + 1,
    atMs: nowMs(),
    intentLifeMs: ports.intentLifeMs,
    timeoutMs,
  };
  await writer.write([intent]);
  failpoint('jobs-intent');
  const answer = await sendIntent(intent, receiver, keys, mayStart, ports);
  ports.signal.throwIfAborted();
  failpoint('jobs-answered');
  const after: Delivery =
    answer === null
      ? unsent(intent, nowMs(), unsentBefore)
      : answered(intent, answer, receiver.document, nowMs(), ports.chance());
  await writer.write([after]);
  return after;
}

/** Says in the delivery, once, what it waits for: whoever asks why nothing arrives does not see this process's log. */
async function withoutSecret(
  delivery: Delivery,
  { id, document }: InForce<ReceiverDefinition>,
  ports: AttemptPorts,
): Promise<Delivery> {
  ports.warn(`receiver ${id}: there is no secret ${document.secret}; its triggers wait`);
  const detail = `waits: jobs has no secret ${document.secret} (flywheel deliveries secret makes one)`;
  const waiting = later(delivery, NO_SECRET_RETRY_MS, ports);
  if (delivery.detail === detail) return waiting;
  const said: Delivery = { ...waiting, atMs: ports.nowMs(), detail };
  await ports.writer.write([said]);
  return said;
}

/** Null: nothing was sent. */
async function sendIntent(
  intent: Delivery,
  { id, document }: InForce<ReceiverDefinition>,
  keys: readonly Buffer[],
  mayStart: () => boolean,
  ports: AttemptPorts,
): Promise<Answer | null> {
  const { sender, metrics, monotonicMs, signal } = ports;
  const body = cloudEventOf(ports.namespace, intent);
  const startedAt = monotonicMs();
  try {
    const headers = webhookHeaders(intent.id, ports.nowMs(), body, keys);
    const answer = await sender.send({
      url: document.url,
      headers,
      body,
      timeoutMs: document.timeoutMs,
      mayStart,
      signal,
    });
    metrics.attempt(id, outcomeOf(answer), monotonicMs() - startedAt);
    return answer;
  } catch (error) {
    if (!(error instanceof IntentOver)) throw error;
    metrics.attempt(id, 'unsent', monotonicMs() - startedAt);
    return null;
  }
}
