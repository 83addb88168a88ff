// `flywheel replay rejected`: after a fix, everything in events.rejected is submitted again, in its order.
import { createHash } from 'node:crypto';
import type { RejectedRecord } from '../domain/record.ts';
import { jsonOf } from '../platform/json-text.ts';
import { readPartition } from '../platform/kafka-read.ts';
import { openTopicAdmin, type Watermarks } from '../platform/kafka-topics.ts';
import type { Namespace } from '../platform/namespace.ts';
import { PlatformError } from '../platform/platform-error.ts';
import { validateRejectedRecord } from '../platform/validate.ts';
import { REPLAY_HEADER, SOURCE_HEADER } from '../serve/intake-answer.ts';
import { countOne } from './feed/report.ts';
import { type InLog, noticesInLog, type RefusedNotice, refusedNotice } from './notices-in-log.ts';
import { type Submission, submissionOf } from './rejected-submission.ts';

const ATTEMPTS_MAX = 30;
const RETRY_DELAY_MS = 1_000;
/** Answers that every submission would get: a wrong key, a wrong address. */
const FOR_ALL: readonly number[] = [401, 403, 404];

export interface ReplayRejectedOptions {
  readonly brokers: string;
  readonly namespace: Namespace;
  /** Of a `serve` of the same namespace. */
  readonly url: string;
  readonly secretKey: string;
  /** Only what was rejected from then on, epoch ms. */
  readonly sinceMs?: number | undefined;
  /** Only what was rejected for this reason. */
  readonly reason?: string | undefined;
  /** Count, submit nothing. */
  readonly dryRun?: boolean | undefined;
  /** Told after each reject. */
  readonly onProgress?: ((report: ReplayRejectedReport) => void) | undefined;
}

export interface ReplayRejectedReport {
  /** Rejects in the topic, and those that the filters let through. */
  read: number;
  matched: number;
  /** Those read from `sinceMs` on, whatever they were rejected for. */
  readByReason: Record<string, number>;
  /** The same bytes for the same route came before, or a notice that the log has and the ledger did not reject: submitted once. */
  repeated: number;
  /** No route takes it (control records, lines of CSV of another width, bytes that say nothing). */
  unsubmittable: number;
  /** All others that matched. */
  submittable: number;
  /** None in a dry run. */
  submitted: number;
  accepted: number;
  rejected: number;
  /** What was turned away again, by its reason now. */
  rejectedByReason: Record<string, number>;
}

interface IntakeAnswer {
  readonly accepted?: number;
  readonly code?: string;
  readonly rejected?: readonly { readonly reason: string }[];
}

/** Where the rejects begin and end, by partition. */
async function bounds({ brokers, namespace }: ReplayRejectedOptions): Promise<readonly Watermarks[]> {
  const admin = openTopicAdmin(brokers);
  return admin.watermarks(namespace.topics.rejected).finally(() => admin.close());
}

/** Rejects from the topic's low to its high offset, in order. */
async function* rejects(
  { brokers, namespace }: ReplayRejectedOptions,
  watermarks: readonly Watermarks[],
): AsyncGenerator<[RejectedRecord, string]> {
  const topic = namespace.topics.rejected;
  for (const [partition, { low, high }] of watermarks.entries()) {
    for await (const batch of readPartition({ brokers, topic, partition, from: low, to: high })) {
      for (const { offset, value } of batch) {
        const record = validateRejectedRecord(jsonOf(value?.toString() ?? ''));
        if (record.ok) yield [record.value, `${partition}:${offset}`];
      }
    }
  }
}

/** Retries what serve asks to retry. @throws PlatformError SERVE_REFUSED for answers that no reject deserves (wrong key, no serve). */
async function submit(
  submission: Submission,
  source: string | undefined,
  { url, secretKey }: ReplayRejectedOptions,
): Promise<IntakeAnswer> {
  for (let attempt = 1; ; attempt += 1) {
    const response = await fetch(`${url}${submission.route}`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${secretKey}`,
        'content-type': submission.contentType,
        [REPLAY_HEADER]: 'rejected',
        ...(source ? { [SOURCE_HEADER]: encodeURIComponent(source.toWellFormed()) } : {}),
      },
      body: submission.body,
    });
    const answer = (await response.json()) as IntakeAnswer & { detail?: string };
    const retry = response.status === 429 || response.status === 503;
    // Anything else is said of this submission alone: the others may be taken.
    if (!retry && !FOR_ALL.includes(response.status)) return answer;
    if (!retry || attempt === ATTEMPTS_MAX) {
      throw new PlatformError(
        'SERVE_REFUSED',
        `${url}${submission.route} answered ${response.status}: ${answer.detail}`,
      );
    }
    const seconds = Number(response.headers.get('retry-after'));
    await new Promise((resolve) => setTimeout(resolve, seconds > 0 ? seconds * 1_000 : RETRY_DELAY_MS));
  }
}

function count(report: ReplayRejectedReport, answer: IntakeAnswer): void {
  report.submitted += 1;
  report.accepted += answer.accepted ?? 0;
  const reasons =
    answer.rejected?.map(({ reason }) => reason) ?? (answer.accepted ? [] : [answer.code ?? 'unknown']);
  report.rejected += reasons.length;
  for (const reason of reasons) countOne(report.rejectedByReason, reason);
}

function isSince({ at }: RejectedRecord, { sinceMs = 0 }: ReplayRejectedOptions): boolean {
  return at >= sinceMs;
}

function isOfReason(record: RejectedRecord, { reason }: ReplayRejectedOptions): boolean {
  return reason === undefined || record.reason === reason;
}

/** How the log has the notices among the rejects. */
async function noticesHad(
  options: ReplayRejectedOptions,
  watermarks: readonly Watermarks[],
): Promise<Map<string, InLog>> {
  const names = new Set<string>();
  const rejectedAt = new Set<string>();
  let firstMs = Number.POSITIVE_INFINITY;
  for await (const [record] of rejects(options, watermarks)) {
    const notice = refusedNotice(record);
    if (notice?.place !== undefined) rejectedAt.add(notice.place);
    if (notice === undefined || !isSince(record, options) || !isOfReason(record, options)) continue;
    names.add(notice.name);
    firstMs = Math.min(firstMs, record.at);
  }
  return noticesInLog(options, { names, rejectedAt, firstMs });
}

/** Whether a notice need not be submitted. What the ledger rejected has its record in the log, and needs another one there. */
function isHad({ name, place }: RefusedNotice, had: ReadonlyMap<string, InLog>): boolean {
  return place === undefined ? had.has(name) : had.get(name) === 'taken';
}

/**
 * Submits rejects again. Message ids stay, so what was taken meanwhile changes nothing; what is turned away again
 * stays where it is and is not written a second time.
 */
export async function replayRejected(options: ReplayRejectedOptions): Promise<ReplayRejectedReport> {
  const report: ReplayRejectedReport = {
    read: 0,
    matched: 0,
    readByReason: {},
    repeated: 0,
    unsubmittable: 0,
    submittable: 0,
    submitted: 0,
    accepted: 0,
    rejected: 0,
    rejectedByReason: {},
  };
  const seen = new Set<string>();
  const watermarks = await bounds(options);
  const had = await noticesHad(options, watermarks);
  for await (const [record, position] of rejects(options, watermarks)) {
    report.read += 1;
    if (!isSince(record, options)) continue;
    countOne(report.readByReason, record.reason);
    if (!isOfReason(record, options)) continue;
    report.matched += 1;
    const notice = refusedNotice(record);
    const content = createHash('sha256').update(`${record.route}\n${record.raw}`).digest('base64');
    const submission = submissionOf(record, position);
    if (seen.has(content) || (notice !== undefined && isHad(notice, had))) report.repeated += 1;
    else if (submission === undefined) report.unsubmittable += 1;
    else {
      report.submittable += 1;
      const answer =
        options.dryRun === true ? { accepted: 1 } : await submit(submission, record.source, options);
      if (options.dryRun !== true) count(report, answer);
      if (notice !== undefined && answer.accepted) had.set(notice.name, 'taken');
    }
    seen.add(content);
    options.onProgress?.(report);
  }
  return report;
}
