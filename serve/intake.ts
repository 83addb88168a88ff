// The last step of everything that takes data in: records and rejects go into the log together, and only
// when Kafka has acknowledged all of them is the request answered. Bounded: what would wait too long is refused.
import { type RejectedRecord, rejectedRecord } from '../domain/record.ts';
import { firstOf } from '../domain/text.ts';
import type { Outgoing, Producer } from '../platform/kafka.ts';
import type { Namespace } from '../platform/namespace.ts';
import { PlatformError } from '../platform/platform-error.ts';
import type { ServeMetrics } from './metrics.ts';
import { type ProblemError, problemError, retryProblem } from './problem-details.ts';
import type { RejectReason } from './reject-reasons.ts';
import { INTAKE_BODY_BYTES_MAX } from './request-body.ts';

/** Bytes of requests that may wait for Kafka at a time. */
export const IN_FLIGHT_BYTES_MAX = 64 * 1024 * 1024;
const RETRY_SECONDS = 1;
const OUTAGE_RETRY_SECONDS = 5;
const DETAIL_CHARACTERS_MAX = 2_048;

/** One thing of a request that was turned away. */
export interface Rejection {
  /** Its place in the request. */
  readonly index: number;
  readonly reason: RejectReason;
  readonly detail: string;
  /** Its bytes as they came, or as near as can be. */
  readonly raw: Buffer;
  readonly messageId?: string | undefined;
}

/** Where a rejection came in. */
export interface RejectionSource {
  readonly requestId: string;
  /** The route by which it may be submitted again. */
  readonly route: string;
  /** The name of the key. */
  readonly caller: string;
  /** Whether it is a secret key, on routes that take others too. */
  readonly trusted?: boolean;
  readonly atMs: number;
}

export interface IntakePorts {
  readonly namespace: Namespace;
  readonly producer: Producer;
  kafkaIsUp(): boolean;
  readonly metrics: ServeMetrics;
  readonly inFlightBytesMax?: number;
}

export interface Intake {
  /**
   * Writes records (in order), those of `rejections` among them, which it counts; resolves when Kafka has all of them.
   * `bodyBytes` is what the request holds in memory meanwhile; what is written of it may be more. `isRepeatable`: each record
   * is the same one when the request comes again.
   * @throws 429 with Retry-After when too much is on its way, 503 when Kafka is away or does not acknowledge in time,
   * 413 for a record that is larger than Kafka takes.
   */
  write(
    records: readonly Outgoing[],
    bodyBytes: number,
    rejections?: readonly Rejection[],
    isRepeatable?: boolean,
  ): Promise<void>;
  rejected(rejection: Rejection, source: RejectionSource): Outgoing;
}

/** Refused before anything of the request was written. */
type Untaken = ProblemError & { readonly isUntaken: true };

function untaken(...refusal: Parameters<typeof retryProblem>): Untaken {
  return Object.assign(retryProblem(...refusal), { isUntaken: true as const });
}

/** Whether what {@link Intake.write} threw means that nothing of the request was taken. */
export function isUntaken(error: unknown): boolean {
  return error instanceof Error && 'isUntaken' in error;
}

const REPEATABLE = 'Send the same request again: message ids keep repeats from counting twice.';
const UNREPEATABLE =
  'Some of this request may have been taken. Messages with a messageId of their own can be sent again and count once; sent again, one without it may count twice.';

/** What an error of the log is to who asked; undefined for all others. */
function kafkaProblemOf(error: unknown, isRepeatable: boolean): ProblemError | undefined {
  if (!(error instanceof PlatformError)) return undefined;
  switch (error.code) {
    case 'KAFKA_QUEUE_FULL':
      return untaken(
        429,
        'busy',
        'Too many records are on their way already; nothing of this request was taken.',
        RETRY_SECONDS,
      );
    case 'KAFKA_TOO_LARGE':
      return problemError({
        status: 413,
        code: 'too_large',
        detail: `What would be written is larger than Kafka takes; the rest of this request may have been taken: ${error.message}`,
      });
    case 'KAFKA_NOT_DELIVERED':
    case 'KAFKA_UNREACHABLE':
    case 'KAFKA_FATAL':
    case 'KAFKA_CLOSED':
      return retryProblem(
        503,
        'log_unavailable',
        `Kafka did not acknowledge in time. ${isRepeatable ? REPEATABLE : UNREPEATABLE}`,
        OUTAGE_RETRY_SECONDS,
      );
    default:
      return undefined;
  }
}

/** As many bytes as a body may have, which fits the topic. A message alone can be larger: `1e20` is written with all its digits. */
function keptOf({ raw, detail }: Rejection): { readonly raw: Buffer; readonly detail: string } {
  if (raw.length <= INTAKE_BODY_BYTES_MAX) return { raw, detail };
  const cut = `(kept: the first ${INTAKE_BODY_BYTES_MAX} of ${raw.length} bytes)`;
  return { raw: raw.subarray(0, INTAKE_BODY_BYTES_MAX), detail: `${cut} ${detail}` };
}

function bytesOf(records: readonly Outgoing[]): number {
  return records.reduce((sum, { value }) => sum + value.length, 0);
}

function rejectedOutgoing(topic: string, rejection: Rejection, source: RejectionSource): Outgoing {
  const { raw, detail } = keptOf(rejection);
  const record: RejectedRecord = {
    kind: 'rejected',
    sourceTopic: 'collect',
    sourcePartition: -1,
    sourceOffset: rejection.index,
    sourceId: source.requestId,
    route: source.route,
    source: source.caller,
    trusted: source.trusted,
    reason: rejection.reason,
    detail: firstOf(detail, DETAIL_CHARACTERS_MAX).toWellFormed(),
    raw: raw.toString('base64'),
    at: source.atMs,
  };
  return {
    topic,
    partition: 0,
    key: `collect:${source.requestId}:${rejection.index}`,
    value: JSON.stringify(rejectedRecord.parse(record)),
  };
}

export function createIntake(ports: IntakePorts): Intake {
  const { producer, metrics } = ports;
  const inFlightBytesMax = ports.inFlightBytesMax ?? IN_FLIGHT_BYTES_MAX;
  let inFlightBytes = 0;

  async function write(
    records: readonly Outgoing[],
    bodyBytes: number,
    rejections: readonly Rejection[] = [],
    isRepeatable = true,
  ): Promise<void> {
    const bytes = Math.max(bodyBytes, bytesOf(records));
    if (!ports.kafkaIsUp()) {
      metrics.refused.inc({ reason: 'log_unavailable' });
      throw untaken(
        503,
        'log_unavailable',
        'No Kafka broker can be reached; nothing of this request was taken.',
        OUTAGE_RETRY_SECONDS,
      );
    }
    if (inFlightBytes > 0 && inFlightBytes + bytes > inFlightBytesMax) {
      metrics.refused.inc({ reason: 'busy' });
      throw untaken(
        429,
        'busy',
        'Too many bytes wait for Kafka already; nothing of this request was taken.',
        RETRY_SECONDS,
      );
    }
    inFlightBytes += bytes;
    metrics.inFlightBytes.set(inFlightBytes);
    try {
      await producer.sendBatch(records, 'refuse');
      // Not before: what was not taken comes again.
      for (const { reason } of rejections) metrics.rejected.inc({ reason });
    } catch (error) {
      const problem = kafkaProblemOf(error, isRepeatable);
      if (problem === undefined) throw error;
      if (problem.problem.status !== 413) metrics.refused.inc({ reason: problem.problem.code });
      throw problem;
    } finally {
      inFlightBytes -= bytes;
      metrics.inFlightBytes.set(inFlightBytes);
    }
  }

  return {
    write,
    rejected: (rejection, source) => rejectedOutgoing(ports.namespace.topics.rejected, rejection, source),
  };
}
