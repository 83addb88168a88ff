// `flywheel backfill`: how far the pasts of funnels are computed: bars (with --follow until all are done), or JSON.
import type { Command } from 'commander';
import { readConfig } from '../platform/config.ts';
import { PlatformError } from '../platform/platform-error.ts';
import { askServe, type ServeTarget } from './ask-serve.ts';
import { type ServeOptions, serveOf } from './secret-key.ts';

const REQUEST_MS_MAX = 10_000;
const LOOK_MS = 500;
const BAR_WIDTH = 24;

export interface ShownBackfill {
  readonly funnel: string;
  readonly revision: number;
  readonly status: string;
  readonly buyersDone: number;
  readonly buyersTotal: number;
  readonly buyersFound: number;
  readonly detail: string;
}

/** @throws PlatformError SERVE_REFUSED, in the words of `serve` */
async function get<Body>(serve: ServeTarget, route: string): Promise<Body> {
  const response = await askServe(serve, route, REQUEST_MS_MAX);
  const body = (await response.json()) as Body & { detail?: string };
  if (response.ok) return body;
  throw new PlatformError(
    'SERVE_REFUSED',
    `${serve.url}${route} answered ${response.status}: ${body.detail}`,
  );
}

async function look(target: ServeTarget, funnel: string | undefined): Promise<ShownBackfill[]> {
  const ids =
    funnel === undefined
      ? (await get<{ definitions: { id: string }[] }>(target, '/v1/definitions/funnel')).definitions.map(
          ({ id }) => id,
        )
      : [funnel];
  return Promise.all(
    ids.map((id) => get<ShownBackfill>(target, `/v1/definitions/funnel/${encodeURIComponent(id)}/backfill`)),
  );
}

/** One line for each funnel, as wide as its names. */
export function describeBackfills(all: readonly ShownBackfill[]): string[] {
  const width = Math.max(0, ...all.map(({ funnel }) => funnel.length));
  return all.map(({ funnel, revision, status, buyersDone, buyersTotal, buyersFound, detail }) => {
    const share = status === 'done' ? 1 : buyersTotal === 0 ? 0 : Math.min(1, buyersDone / buyersTotal);
    const filled = Math.round(share * BAR_WIDTH);
    const bar = `[${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}]`;
    const counts = `${buyersDone}/${buyersTotal} buyers, ${buyersFound} with a past`;
    const why = detail === '' ? '' : ` (${detail})`;
    return `${funnel.padEnd(width)}  revision ${revision}  ${bar} ${status}  ${counts}${why}`;
  });
}

interface Options extends ServeOptions {
  readonly follow?: true;
  readonly json?: true;
}

async function run(funnel: string | undefined, options: Options): Promise<void> {
  const target = await serveOf(readConfig(), options);
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify({ backfills: await look(target, funnel) })}\n`);
    return;
  }
  const isTerminal = process.stdout.isTTY;
  let before: string[] = [];
  for (;;) {
    const all = await look(target, funnel);
    const lines = describeBackfills(all);
    // A terminal shows the bars in place; elsewhere only what has changed is written.
    if (isTerminal && before.length > 0) process.stdout.write(`\u001b[${before.length}A`);
    const shown = isTerminal ? lines : lines.filter((line) => !before.includes(line));
    for (const line of shown) process.stdout.write(`${isTerminal ? '\u001b[2K' : ''}${line}\n`);
    before = lines;
    if (options.follow !== true || all.every(({ status }) => status === 'done')) return;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

export function register(program: Command): void {
  program
    .command('backfill')
    .description('how far the past of a new or changed funnel is computed')
    .argument('[funnel]', 'all funnels when left out')
    .option('--follow', 'go on until all are done')
    .option('--json', 'as JSON, once')
    .option('--url <url>', 'address of serve (default: FLYWHEEL_URL, or SERVE_HOST and SERVE_PORT)')
    .option('--keys-file <file>', 'holds the secret key (default: SECRET_KEY, or keys.json in FLYWHEEL_DIR)')
    .action(run);
}
