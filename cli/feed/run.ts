// One feed from beginning to end: the right `serve`, definitions first, then the items, then the clock; with a report
// that lets a feed that was killed go on, and one that is finished rest.
import path from 'node:path';
import type { Config } from '../../platform/config.ts';
import type { FileContent } from '../../simulate/readers/csv-rows.ts';
import { publishDefinitions, waitUntilKnown } from './definitions.ts';
import { type FeedProgress, feed, type Speed } from './feed.ts';
import { FeedError, request, type Target } from './post.ts';
import { type FeedReport, newReport, readReport, reportFile, writeReport } from './report.ts';
import {
  contentId,
  contentOfSource,
  DEFAULT_SEED,
  fileSource,
  SIMULATED_BUYERS,
  type Source,
  simulatedSource,
} from './sources.ts';

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

/** A feed of a file: two of one name are told apart by what is in them. */
interface FeedFile {
  readonly file: string;
  readonly content: FileContent;
}

async function fileOf({ format, file }: FeedRequest, signal: AbortSignal): Promise<FeedFile | null> {
  if (format === 'simulate') return null;
  if (file === undefined) throw new FeedError('FEED_WRONG_ARGUMENT', `the format ${format} needs a file`);
  return { file, content: await contentOfSource(format, file, signal) };
}

/** Of a feed by a version that did not look into the file; of the marketplace's, still. */
function idByName({ config, format, file }: FeedRequest): string {
  const name = file === undefined ? '' : `-${path.basename(file).replaceAll(/[^A-Za-z0-9._-]/g, '_')}`;
  return `${config.namespace}-${format}${name}`;
}

function idOf(given: FeedRequest, of: FeedFile | null): string {
  return of === null ? idByName(given) : `${idByName(given)}-${contentId(of.content)}`;
}

/**
 * What is not said is as the feed was begun: the same command goes on, and so does one that leaves it out. With anything
 * else, the lanes would skip as many items of another source, and neither would be in the log whole.
 * @throws FeedError that names what is another
 */
function assertSameSource(given: FeedRequest, of: FeedFile | null, earlier: FeedReport, file: string): void {
  const iso = (ms: number | null | undefined) => (typeof ms === 'number' ? new Date(ms).toISOString() : ms);
  const compared = [
    ['the content (sha256)', of?.content.sha256, earlier.content?.sha256],
    ['--seed', given.seed, earlier.seed],
    ['--buyers', given.buyers, earlier.buyers],
    ['--date', given.date, earlier.date],
    ['--currency', given.currency, earlier.currency],
    ['--until', iso(given.untilMs), iso(earlier.untilMs)],
  ] as const;
  const others = compared
    .filter(([, now, then]) => now !== undefined && then !== undefined && now !== then)
    .map(([name, now, then]) => `${name} was ${then ?? 'not given'} and is ${now}`);
  if (others.length === 0) return;
  throw new FeedError(
    'FEED_OTHER_SOURCE',
    `the feed ${earlier.id} (${earlier.state}, ${file}) was begun otherwise: ${others.join(', ')}. ` +
      'Give what it was begun with, or nothing, to go on with it; `flywheel replay --again` feeds anew, from the beginning',
  );
}

/**
 * The report of the same feed by an earlier run; null if there is none that counts.
 * @throws FeedError if it was begun with something else, or cannot be gone on with
 */
async function earlierReport(given: FeedRequest, of: FeedFile | null): Promise<FeedReport | null> {
  const { config, again, logId } = given;
  if (again) return null;
  const isOfThisLog = (report: FeedReport): boolean => logId === undefined || report.logId === logId;
  const file = reportFile(config.dir, idOf(given, of));
  const earlier = await readReport(file);
  if (earlier !== null) {
    if (!isOfThisLog(earlier)) return null;
    assertSameSource(given, of, earlier, file);
    return earlier;
  }
  if (of === null) return null;
  const byName = reportFile(config.dir, idByName(given));
  const older = await readReport(byName);
  if (older === null || older.content != null || !isOfThisLog(older)) return null;
  if (older.state === 'finished') return older;
  throw new FeedError(
    'FEED_OTHER_SOURCE',
    `${byName} is of an unfinished feed by a version that did not keep which ${path.basename(of.file)} it was, nor gave ` +
      'its rows the ids that they have now, so it cannot be gone on with: `flywheel replay --again` feeds this file from the beginning, ' +
      'and what that one has sent counts twice; into a new namespace, it does not',
  );
}

/** The report to go on with: an unfinished one of the same feed, or a new one. */
function startingReport(given: FeedRequest, of: FeedFile | null, earlier: FeedReport | null): FeedReport {
  const { config, format, file } = given;
  if (earlier !== null) return earlier;
  const simulated = of === null;
  const endMs = simulated ? (given.endMs ?? Date.now()) : null;
  return newReport({
    id: idOf(given, of),
    namespace: config.namespace,
    format,
    file: file === undefined ? null : path.basename(file),
    logId: given.logId ?? null,
    startedAt: new Date().toISOString(),
    seed: simulated ? (given.seed ?? DEFAULT_SEED) : null,
    endMs,
    untilMs: given.untilMs ?? endMs,
    buyers: simulated ? (given.buyers ?? SIMULATED_BUYERS) : null,
    date: given.date ?? null,
    currency: given.currency ?? null,
    content: of === null ? null : { bytes: of.content.bytes, sha256: of.content.sha256 },
  });
}

/** What the report was begun with; what one of before does not say, as it is given now. */
async function sourceOf(given: FeedRequest, of: FeedFile | null, report: FeedReport): Promise<Source> {
  if (of === null) return simulatedSource(report.seed!, report.endMs!, report.buyers ?? given.buyers);
  const { date, currency } = report;
  return fileSource(report.format, of.file, of.content, {
    ...(date == null ? {} : { date }),
    ...(currency == null ? {} : { currency }),
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
  const { config, url, secretKey, signal = new AbortController().signal } = given;
  const of = await fileOf(given, signal);
  const earlier = await earlierReport(given, of);
  if (earlier?.state === 'finished') return earlier;
  const report = startingReport(given, of, earlier);
  const file = reportFile(config.dir, report.id);
  const target: Target = {
    url,
    key: secretKey,
    signal,
    onRetry: () => {
      report.retries += 1;
    },
  };
  await assertNamespace(target, config.namespace);
  const source = await sourceOf(given, of, report);
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
