// `flywheel verify`: recomputes what the log says by other means and compares it with all that is stored.
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { type Config, readConfig } from '../platform/config.ts';
import { type Implied, nothingImplied } from '../verify/implied.ts';
import { verify } from '../verify/main.ts';
import { describe, isClean } from '../verify/report.ts';
import { FeedError } from './feed/post.ts';
import { readReport } from './feed/report.ts';

interface Options {
  readonly namespace?: string;
  readonly feedReport?: readonly string[];
  readonly json?: boolean;
  readonly wait: number;
  readonly show: number;
}

const EXIT_DIFFERENT = 1;
const EXIT_FAILED = 2;

function wholeNumber(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError('it must be a whole number');
  return Number(text);
}

/** All reports in the folder; none where nothing was ever fed. */
async function writtenReports(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new FeedError('FEED_REPORT_UNREADABLE', `${folder} cannot be read: ${error.message}`, error);
  });
  return names.filter((name) => name.endsWith('.json')).map((name) => path.join(folder, name));
}

/**
 * What the feeders' reports imply: those named, or all that were written for the namespace.
 * @throws FeedError for one that cannot be read: of which namespace it is, it does not say
 */
async function readImplied(config: Config, named: readonly string[] | undefined): Promise<Implied> {
  const files = named ?? (await writtenReports(path.join(config.dir, 'feeds')));
  let sum = nothingImplied;
  for (const file of files) {
    const report = await readReport(file);
    if (report === null && named !== undefined)
      throw new FeedError('FEED_REPORT_UNREADABLE', `there is no report ${file}`);
    if (report === null || (named === undefined && report.namespace !== config.namespace)) continue;
    const { atLeast } = report;
    sum = {
      events: sum.events + atLeast.events,
      links: sum.links + atLeast.links,
      rejects: sum.rejects + atLeast.rejects,
      duplicates: sum.duplicates + atLeast.duplicates,
      late: sum.late + atLeast.late,
      spend: sum.spend + atLeast.spend,
    };
  }
  return sum;
}

/** Says what is under way: on a terminal in one line that is written over, elsewhere a line each. */
function createProgress(): { show(line: string): void; clear(): void; readonly underWay: string } {
  const isTerminal = process.stderr.isTTY === true;
  let underWay = 'connecting';
  return {
    show: (line) => {
      underWay = line;
      process.stderr.write(isTerminal ? `\r\u001b[K${line}` : `verify: ${line}\n`);
    },
    clear: () => {
      if (isTerminal) process.stderr.write('\r\u001b[K');
    },
    get underWay() {
      return underWay;
    },
  };
}

/** @returns 0 clean, 1 a difference or too little compared, 2 it could not be done. */
export async function runVerifyCommand(options: Options): Promise<number> {
  const progress = createProgress();
  try {
    const defaults = readConfig();
    const config = { ...defaults, namespace: options.namespace ?? defaults.namespace };
    const implied = await readImplied(config, options.feedReport);
    const verdict = await verify({
      config,
      implied,
      waitMs: options.wait * 1_000,
      onProgress: progress.show,
    });
    progress.clear();
    const output = options.json ? JSON.stringify(verdict) : describe(verdict, options.show).join('\n');
    process.stdout.write(`${output}\n`);
    return isClean(verdict) ? 0 : EXIT_DIFFERENT;
  } catch (error) {
    progress.clear();
    const reason = error instanceof Error ? error.message : String(error);
    if (error instanceof FeedError) {
      process.stderr.write(`verify could not be done: ${reason}\n`);
      return EXIT_FAILED;
    }
    process.stderr.write(
      `verify could not be done (${progress.underWay}): ${reason}\nIt needs Kafka, Redis and ClickHouse all the time; are they up? Try again then.\n`,
    );
    return EXIT_FAILED;
  }
}

export function register(program: Command): void {
  program
    .command('verify')
    .description('recompute everything from the log by other means and compare it with Redis and ClickHouse')
    .option('--namespace <name>', 'the data set to verify (default: FLYWHEEL_NAMESPACE)')
    .option(
      '--feed-report <file...>',
      "feeders' reports that say how much there must be (default: the namespace's own)",
    )
    .option('--json', 'everything as one JSON object')
    .option('--show <n>', 'differences of each kind to print in full', wholeNumber, 10)
    .option('--wait <seconds>', 'how long to wait until the stream has caught up', wholeNumber, 60)
    .action(async (options: Options) => {
      process.exitCode = await runVerifyCommand(options);
    });
}
