// `flywheel bench`: speed as ratios of one run, written to loadtest/results/.
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { benchStream } from '../loadtest/bench/stream.ts';
import { benchServe, routeNames } from '../loadtest/serve/bench.ts';

interface BenchOptions {
  readonly events: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly route?: string;
  readonly json: boolean;
  readonly dir: string;
  readonly results: string;
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('a whole number of 1 or more is needed');
  return value;
}

function print(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function runStream(options: BenchOptions, dir: string): Promise<object> {
  const { events, rounds } = options;
  print(`stream: ${events} events, ${rounds} rounds, raw and full alternating`);
  const result = await benchStream({ events, rounds, dir, endMs: Date.now(), print });
  print(`raw consume + parse   ${Math.round(result.raw.eventsPerSecond)} events/s`);
  print(`the whole pipeline    ${Math.round(result.full.eventsPerSecond)} events/s`);
  print(`ratio                 ${result.ratio.toFixed(3)}`);
  return result;
}

async function runServe(options: BenchOptions, dir: string): Promise<object> {
  const { rounds, seconds } = options;
  print(`serve: ${rounds} rounds of ${seconds} s a route, bare and full alternating`);
  return benchServe({ rounds, seconds, route: options.route, dir, toolsDir: options.dir, print });
}

const benchmarks = { stream: runStream, serve: runServe };

async function run(what: keyof typeof benchmarks, options: BenchOptions): Promise<void> {
  const dir = join(options.dir, 'bench');
  await rm(dir, { recursive: true, force: true });
  await mkdir(dir, { recursive: true });
  const result = await benchmarks[what](options, dir);
  await mkdir(options.results, { recursive: true });
  await writeFile(join(options.results, `${what}.json`), `${JSON.stringify(result, null, 2)}\n`);
  await rm(dir, { recursive: true, force: true });
  if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
}

function parseWhat(text: string): keyof typeof benchmarks {
  if (text in benchmarks) return text as keyof typeof benchmarks;
  throw new InvalidArgumentError(`there are ${Object.keys(benchmarks).join(' and ')}`);
}

export function register(program: Command): void {
  program
    .command('bench')
    .description('measure speed side by side in one run; writes loadtest/results/')
    .argument('[what]', 'what to measure: stream or serve', parseWhat, 'stream' as const)
    .option('--events <n>', 'stream: events of the log', positive, 200_000)
    .option('--seconds <n>', 'serve: how long each run is driven', positive, 10)
    .addOption(new Option('--route <name>', 'serve: only this one').choices(routeNames))
    .option('--rounds <n>', 'alternating rounds', positive, 3)
    .option('--json', 'print the result as one JSON line', false)
    .option('--dir <folder>', 'where the parts keep their data', '.flywheel')
    .option('--results <folder>', 'where the figures are written', 'loadtest/results')
    .action(run);
}
