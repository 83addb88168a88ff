// One feed from beginning to end: the right `serve`, definitions first, then the items, then the clock; with a report
// that lets a feed that was killed go on, and one that is finished rest.
import path from 'node:path';
import type { Config } from '../../platform/config.ts';
import { publishDefinitions, waitUntilKnown } from './definitions.ts';
import { type FeedProgress, feed, type Speed } from './feed.ts';
import { FeedError, request, type Target } from './post.ts';
import { type FeedReport, newReport, readReport, reportFile, writeReport } from './report.ts';
import { DEFAULT_SEED, fileSource, type Source, simulatedSource } from './sources.ts';

/** A killed feed repeats at most what it sent after the last writing of its report. */
const WRITE_EVERY_MS = 500;

export interface FeedRequest {
  /** Its namespace must be that of the `serve` at `url`; its folder gets the report. */
  readonly config: Config;
  readonly url: string;
  readonly secretKey: string;
  /** `simulate`, or the format of `file`. */
  readonly format: string;
  readonly file?: string | undefined;
  readonly speed?: Speed | undefined;
  /** The time to which the clock is brought at the end; the marketplace always ends with its own. */
  readonly untilMs?: number | undefined;
  readonly date?: string | undefined;
  readonly currency?: string | undefined;
  readonly seed?: string | undefined;
  readonly buyers?: number | undefined;
  /** The marketplace's end; now, if it is left out. */
  readonly endMs?: number | undefined;
  readonly acknowledgedFile?: string | undefined;
  /** Names the log behind `url` (Kafka's topic id): a report of a feed into another one counts for nothing. */
  readonly logId?: string | undefined;
  /** Feeds again although a finished report is there. */
  readonly again?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Resolves when the engine is not too far behind for the next item; it is never asked to wait, if this is left out. */
  readonly untilRoom?: (() => Promise<void>) | undefined;
  readonly onProgress?: ((progress: FeedProgress) => void) | undefined;
}

/** @throws FeedError if the `serve` there works on another namespace */
export async function assertNamespace(target: Target, namespace: string): Promise<void> {
  const { status, body } = await request(target, '/readyz');
  if (typeof body.namespace !== 'string') {
    throw new FeedError(
      'FEED_WRONG_ARGUMENT',
      `${target.url} is no flywheel serve: /readyz answered ${status}`,
    );
  }
  if (body.namespace === namespace) return;
  throw new FeedError(
    'FEED_WRONG_NAMESPACE',
    `the serve at ${target.url} works on the namespace ${body.namespace}, this feed is for ${namespace}: ` +
      `start one with FLYWHEEL_NAMESPACE=${namespace}, or name the other with --namespace`,
  );
}

function idOf({ config, format, file }: FeedRequest): string {
  const name = file === undefined ? '' : `-${path.basename(file).replaceAll(/[^A-Za-z0-9._-]/g, '_')}`;
  return `${config.namespace}-${format}${name}`;
}

/** The report of the same feed by an earlier run; null if there is none that counts. */
async function earlierReport({ again, logId }: FeedRequest, file: string): Promise<FeedReport | null> {
  const earlier = again ? null : await readReport(file);
  return earlier === null || (logId !== undefined && earlier.logId !== logId) ? null : earlier;
}

/** The report to go on with: an unfinished one of the same feed, or a new one. */
function startingReport(given: FeedRequest, earlier: FeedReport | null): FeedReport {
  const { config, format, file } = given;
  if (earlier !== null) return earlier;
  const simulated = format === 'simulate';
  const endMs = simulated ? (given.endMs ?? Date.now()) : null;
  return newReport({
    id: idOf(given),
    namespace: config.namespace,
    format,
    file: file === undefined ? null : path.basename(file),
    logId: given.logId ?? null,
    startedAt: new Date().toISOString(),
    seed: simulated ? (given.seed ?? DEFAULT_SEED) : null,
    endMs,
    untilMs: given.untilMs ?? endMs,
  });
}

async function sourceOf(given: FeedRequest, report: FeedReport): Promise<Source> {
  if (report.seed !== null && report.endMs !== null) {
    return simulatedSource(report.seed, report.endMs, given.buyers);
  }
  if (given.file === undefined) {
    throw new FeedError('FEED_WRONG_ARGUMENT', `the format ${given.format} needs a file`);
  }
  return fileSource(given.format, given.file, {
    ...(given.date === undefined ? {} : { date: given.date }),
    ...(given.currency === undefined ? {} : { currency: given.currency }),
  });
}

/** Brings every partition's clock to `untilMs`, so that the feed ends at a time and not at its last record. */
async function sendClock(target: Target, untilMs: number): Promise<void> {
  const { status, body } = await request(target, '/v1/clock', JSON.stringify({ time: untilMs }));
  if (status !== 200) {
    throw new FeedError('FEED_REFUSED', `/v1/clock answered ${status}: ${String(body.detail ?? '')}`);
  }
}

/** Writes the report now and then, one writing at a time. */
function createWriter(file: string, report: FeedReport): { soon(): void; now(): Promise<void> } {
  let writtenAt = 0;
  let writing = Promise.resolve();
  const now = (): Promise<void> => {
    writtenAt = performance.now();
    writing = writing.then(() => writeReport(file, report));
    return writing;
  };
  return {
    now,
    soon() {
      // A failure stays in `writing`: the last writing, which is awaited, tells of it.
      if (performance.now() - writtenAt >= WRITE_EVERY_MS) now().catch(() => {});
    },
  };
}

/**
 * Feeds, and resolves with the report, which is also at `<dir>/feeds/<id>.json`. A finished feed is not fed again.
 * @throws FeedError, FileError
 */
export async function runFeed(given: FeedRequest): Promise<FeedReport> {
  const { config, url, secretKey } = given;
  const file = reportFile(config.dir, idOf(given));
  const earlier = await earlierReport(given, file);
  if (earlier?.state === 'finished') return earlier;
  const report = startingReport(given, earlier);
  const target: Target = {
    url,
    key: secretKey,
    signal: given.signal ?? new AbortController().signal,
    onRetry: () => {
      report.retries += 1;
    },
  };
  await assertNamespace(target, config.namespace);
  const source = await sourceOf(given, report);
  if (source.definitions.length > 0) {
    await publishDefinitions(config, source.definitions, `flywheel replay ${report.format}`);
    await waitUntilKnown(target, source.definitions);
  }
  const writer = createWriter(file, report);
  await writer.now();
  try {
    await feed({
      source,
      target,
      speed: given.speed ?? 'max',
      untilRoom: given.untilRoom ?? (async () => {}),
      report,
      ...(given.acknowledgedFile === undefined ? {} : { acknowledgedFile: given.acknowledgedFile }),
      onProgress: given.onProgress ?? (() => {}),
      onAnswer: () => writer.soon(),
    });
    if (report.untilMs !== null) await sendClock(target, report.untilMs);
    report.state = 'finished';
    report.finishedAt = new Date().toISOString();
  } finally {
    await writer.now();
  }
  return report;
}
