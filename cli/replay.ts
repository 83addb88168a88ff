// `flywheel replay`: feeds a data set through the public API, each format into a namespace of its own.
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Config, readConfig } from '../platform/config.ts';
import { namespaceOf } from '../platform/namespace.ts';
import { readers } from '../simulate/readers/readers.ts';
import { dayOf } from '../simulate/readers/values.ts';
import { askServe, type ServeTarget } from './ask-serve.ts';
import type { FeedProgress, Speed } from './feed/feed.ts';
import { FeedError } from './feed/post.ts';
import type { FeedReport } from './feed/report.ts';
import { assertNamespace, runFeed } from './feed/run.ts';
import { assertFormat, formatAndFile, formats } from './feed/sources.ts';
import { parseIsoTime } from './iso-time.ts';
import { replayRejected } from './replay-rejected.ts';
import { serveOf } from './secret-key.ts';
import { duration, progressBar } from './up-steps.ts';

const READY_MS_MAX = 10_000;
/** Not a data set: what was turned away before, submitted again. */
const REJECTED = 'rejected';

const SHOW_EVERY_MS = 500;
const LINE_EVERY_MS = 5_000;

interface Options {
  readonly since?: number;
  readonly reason?: string;
  readonly dryRun?: boolean;
  readonly namespace?: string;
  readonly url?: string;
  readonly keysFile?: string;
  readonly speed: Speed;
  readonly until?: number;
  readonly date?: string;
  readonly currency?: string;
  readonly seed?: string;
  readonly buyers?: number;
  readonly acknowledged?: string;
  readonly again?: boolean;
}

function parseSpeed(text: string): Speed {
  if (text === 'max') return 'max';
  const times = Number(text);
  if (times > 0 && Number.isFinite(times)) return times;
  throw new InvalidArgumentError('must be max, or how many times faster than it was, such as 60');
}

function parseDate(text: string): string {
  if (dayOf(text) === null) throw new InvalidArgumentError('must be YYYY-MM-DD');
  return text;
}

function parseCurrency(text: string): string {
  if (!/^[A-Z]{3}$/.test(text)) throw new InvalidArgumentError('must be an ISO 4217 code, such as EUR');
  return text;
}

function parseCount(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('must be a whole number from 1 on');
  return value;
}

function describeProgress({ sent, rejected, retries, share, elapsedMs }: FeedProgress): string {
  const total = share > 0 ? Math.round(sent / share) : undefined;
  const faults = [rejected > 0 ? `${rejected} rejected` : '', retries > 0 ? `${retries} retries` : ''];
  return [progressBar(sent, total, elapsedMs), ...faults.filter((fault) => fault !== '')].join(', ');
}

/** A line that is drawn anew on a terminal, and written now and then elsewhere. */
function createProgressLine(): { show(progress: FeedProgress): void; end(): void } {
  const terminal = process.stderr.isTTY === true;
  let shownAt = 0;
  return {
    show(progress) {
      const now = performance.now();
      if (now - shownAt < (terminal ? SHOW_EVERY_MS : LINE_EVERY_MS)) return;
      shownAt = now;
      process.stderr.write(
        terminal ? `\r\x1b[2K${describeProgress(progress)}` : `${describeProgress(progress)}\n`,
      );
    },
    end() {
      if (terminal) process.stderr.write('\r\x1b[2K');
    },
  };
}

function describeCounts(byReason: Readonly<Record<string, number>>): string {
  return Object.entries(byReason)
    .map(([reason, count]) => `${count} ${reason}`)
    .join(', ');
}

function describeReport(report: FeedReport): string {
  const { events, spend, exposures, rejectedByReason, namespace } = report;
  const accepted = events.accepted + spend.accepted + exposures.accepted;
  const seconds = Date.parse(report.finishedAt ?? '') - Date.parse(report.startedAt);
  const reasons = describeCounts(rejectedByReason);
  const rejected = reasons === '' ? 'none rejected' : `rejected: ${reasons}`;
  const rate = Math.round((accepted / Math.max(1, seconds)) * 1_000).toLocaleString('en');
  return `${accepted.toLocaleString('en')} accepted into ${namespace} in ${duration(seconds)} (${rate}/s), ${rejected}`;
}

/** Versions that did not look into the file took every one of its name for the same. */
function describeEarlier({ finishedAt, file, content }: FeedReport): string {
  const byName = file !== null && content == null;
  const which = byName ? `; it may have been another ${file}, its version did not keep which` : '';
  return `nothing to send: fed before, until ${finishedAt} (--again repeats it)${which}`;
}

/** Formats that are read from a file have a namespace of their own: their times would make live events late. */
function namespaceFor(format: string, config: Config, options: Options): string {
  const own = format !== 'simulate' && format !== REJECTED;
  return options.namespace ?? (own ? format : config.namespace);
}

async function submitRejected(
  config: Config,
  { url, secretKey }: ServeTarget,
  options: Options,
): Promise<void> {
  if (options.dryRun !== true) {
    // Whoever feeds waits for a serve that is starting; here, nobody would see why.
    await askServe({ url, secretKey }, '/readyz', READY_MS_MAX);
    const target = { url, key: secretKey, signal: new AbortController().signal, onRetry: () => {} };
    await assertNamespace(target, config.namespace);
  }
  let submitted = 0;
  const report = await replayRejected({
    brokers: config.kafkaBrokers,
    namespace: namespaceOf(config.namespace),
    url,
    secretKey,
    sinceMs: options.since,
    reason: options.reason,
    dryRun: options.dryRun,
    onProgress: (so) => {
      submitted = so.submitted;
    },
  }).catch((error) => {
    process.stderr.write(
      `stopped after ${submitted} were submitted; the same command submits them again, which changes nothing, and goes on\n`,
    );
    throw error;
  });
  const { reason } = options;
  if (reason !== undefined && report.matched === 0) {
    const others = describeCounts(report.readByReason) || 'none';
    process.stderr.write(`nothing was rejected for ${reason}; there are: ${others}\n`);
  }
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

/** @throws FeedError FEED_WRONG_ARGUMENT */
async function assertReadable(file: string): Promise<void> {
  await access(file, constants.R_OK).catch((cause: unknown) => {
    throw new FeedError('FEED_WRONG_ARGUMENT', `${file} cannot be read: is there such a file?`, cause);
  });
}

async function replay(first: string, second: string | undefined, options: Options): Promise<void> {
  const startedMs = Date.now();
  // `up --replay` takes both in one word; here, too.
  const { format, file } = second === undefined ? formatAndFile(first) : { format: first, file: second };
  const given = readConfig();
  if (format !== REJECTED) assertFormat(format);
  if (file !== undefined) await assertReadable(file);
  const config = { ...given, namespace: namespaceFor(format, given, options) };
  const serve = await serveOf(config, options);
  if (format === REJECTED) return submitRejected(config, serve, options);
  const line = createProgressLine();
  const stopping = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort());
  try {
    const report = await runFeed({
      config,
      ...serve,
      format,
      file,
      speed: options.speed,
      untilMs: options.until,
      date: options.date,
      currency: options.currency,
      seed: options.seed,
      buyers: options.buyers,
      acknowledgedFile: options.acknowledged,
      again: options.again,
      signal: stopping.signal,
      onProgress: line.show,
    });
    line.end();
    const isEarlier = Date.parse(report.finishedAt ?? '') < startedMs;
    process.stderr.write(`${isEarlier ? describeEarlier(report) : describeReport(report)}\n`);
    process.stdout.write(`${JSON.stringify(report)}\n`);
  } catch (error) {
    line.end();
    if (!stopping.signal.aborted) throw error;
    process.stderr.write('stopped; the same command goes on from here\n');
    process.exitCode = 130;
  }
}

/** One line a format, under the options. */
function describeFormats(): string {
  const lines = readers.map(({ format, summary }) => `  ${format.padEnd(14)} ${summary}`);
  return ['', 'Formats of files:', ...lines].join('\n');
}

/** Adds the command. */
export function register(program: Command): void {
  program
    .command('replay')
    .description('feed a data set through the API of a running serve, its event times kept')
    .argument('<format>', `${formats.join(', ')}, or ${REJECTED} for what was turned away before`)
    .argument('[file]', 'CSV, gzip or not; none for simulate')
    .option(
      '--namespace <name>',
      'the namespace of that serve (default: for a file the name of its format, else FLYWHEEL_NAMESPACE)',
    )
    .option('--url <url>', 'address of serve (default: FLYWHEEL_URL, or SERVE_HOST and SERVE_PORT)')
    .option('--keys-file <file>', 'holds the secret key (default: SECRET_KEY, or keys.json in FLYWHEEL_DIR)')
    .addOption(
      new Option('--speed <times>', 'max, or times as fast as it was').argParser(parseSpeed).default('max'),
    )
    .option('--until <time>', 'end with a clock record of this time in every partition', parseIsoTime)
    .option('--date <YYYY-MM-DD>', 'for a set without dates: the day it is taken to be of', parseDate)
    .option(
      '--currency <code>',
      'kag-spend, daily-spend: the currency, which the files do not name',
      parseCurrency,
    )
    .option('--seed <text>', 'simulate: another marketplace')
    .option('--buyers <n>', 'simulate: how many (default: 20000)', parseCount)
    .option('--acknowledged <file>', 'add the message ids that serve has acknowledged to this file')
    .option('--again', 'feed again what was fed before')
    .option('--since <time>', 'rejected: only what was rejected from then on', parseIsoTime)
    .option('--reason <reason>', 'rejected: only what was rejected for it')
    .option('--dry-run', 'rejected: count, submit nothing')
    .addHelpText('after', describeFormats())
    .action(replay);
}
