// What a feed did: kept in a file while it runs, so that one that was killed goes on where it was, and read by
// `flywheel verify`, which must find at least what it says.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { writeWholeJson } from '../whole-file.ts';
import { FeedError } from './post.ts';

const count = z.int().min(0);
const counts = z.record(z.string(), count);

const feedReport = z.object({
  /** `<namespace>-<format>`, for a replay with the file's name and the beginning of its content's hash. */
  id: z.string(),
  namespace: z.string(),
  format: z.string(),
  file: z.string().nullable(),
  /** The log that it went into; null where the feeder was not told. Into another log it is another feed. */
  logId: z.string().nullable(),
  state: z.enum(['running', 'finished']),
  startedAt: z.iso.datetime(),
  finishedAt: z.iso.datetime().nullable(),
  /** What the source was made with, so that a feed that goes on is the same one. */
  seed: z.string().nullable(),
  endMs: z.int().nullable(),
  untilMs: z.int().nullable(),
  buyers: count.nullish(),
  date: z.string().nullish(),
  currency: z.string().nullish(),
  /** Of the file, unpacked. These four are absent in the reports of feeds that did not keep them. */
  content: z.object({ bytes: count, sha256: z.string() }).nullish(),
  /** Items of each lane that were acknowledged: a feed that goes on skips as many. */
  lanes: counts,
  events: z.object({
    sent: count,
    accepted: count,
    rejected: count,
    byKind: counts,
    /** Accepted ones that others of their lane had overtaken by more than the lateness that is shipped. */
    overtaken: count,
  }),
  /** The latest event time that was accepted, by lane. */
  latestMs: counts,
  spend: z.object({ sent: count, accepted: count, rejected: count, reports: count, notices: count }),
  /** Absent in the reports of feeds that knew of none. */
  exposures: z
    .object({ sent: count, accepted: count, rejected: count })
    .default({ sent: 0, accepted: 0, rejected: 0 }),
  rejectedByReason: counts,
  /** Faults that the simulator put in; accepted, but for the invalid ones. */
  planted: z.object({ duplicate: count, delayed: count, late: count, invalid: count }),
  retries: count,
  /** Rows of each kind that this feed alone must have led to; nothing here is an estimate from above. */
  atLeast: z.object({
    events: count,
    links: count,
    rejects: count,
    duplicates: count,
    late: count,
    spend: count,
  }),
});
export type FeedReport = z.infer<typeof feedReport>;

/** One more of this name. */
export function countOne(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}

export function newReport(
  given: Pick<
    FeedReport,
    | 'id'
    | 'namespace'
    | 'format'
    | 'file'
    | 'logId'
    | 'startedAt'
    | 'seed'
    | 'endMs'
    | 'untilMs'
    | 'buyers'
    | 'date'
    | 'currency'
    | 'content'
  >,
): FeedReport {
  return {
    ...given,
    state: 'running',
    finishedAt: null,
    lanes: {},
    events: { sent: 0, accepted: 0, rejected: 0, byKind: {}, overtaken: 0 },
    latestMs: {},
    spend: { sent: 0, accepted: 0, rejected: 0, reports: 0, notices: 0 },
    exposures: { sent: 0, accepted: 0, rejected: 0 },
    rejectedByReason: {},
    planted: { duplicate: 0, delayed: 0, late: 0, invalid: 0 },
    retries: 0,
    atLeast: { events: 0, links: 0, rejects: 0, duplicates: 0, late: 0, spend: 0 },
  };
}

/** A repeat of a late event is late again, not a duplicate; few are. */
const DUPLICATES_SHARE = 0.9;

/** What the counts so far imply. */
export function impliedBy(report: FeedReport): FeedReport['atLeast'] {
  const { events, spend, exposures, planted } = report;
  const { identify = 0, alias = 0, group = 0 } = events.byKind;
  return {
    events: events.accepted,
    links: identify + alias + group,
    rejects: events.rejected + spend.rejected + exposures.rejected,
    duplicates: Math.floor(planted.duplicate * DUPLICATES_SHARE),
    late: events.overtaken,
    spend: spend.accepted,
  };
}

export function reportFile(dir: string, id: string): string {
  return path.join(dir, 'feeds', `${id}.json`);
}

/**
 * The report of an earlier feed; null only if there is no such file. Whoever overlooked one that is cut off would feed again
 * what was fed, and demand nothing of what came of it.
 * @throws FeedError if there is a file that is no report
 */
export async function readReport(file: string): Promise<FeedReport | null> {
  try {
    return feedReport.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    const [issue] = cause instanceof z.ZodError ? cause.issues : [];
    const why = issue === undefined ? String(cause) : `${issue.path.join('.')}: ${issue.message}`;
    throw new FeedError(
      'FEED_REPORT_UNREADABLE',
      `${file} is no whole report of a feed (${why}). Put it back from a copy, or move it away: then nothing that it counted is demanded, and its feed begins again`,
      cause,
    );
  }
}

export const writeReport: (file: string, report: FeedReport) => Promise<void> = writeWholeJson;
