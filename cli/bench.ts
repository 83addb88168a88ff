// `flywheel bench`: speed as ratios of one run, written to loadtest/results/. Exit code 1 if a goal was missed.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { clearBenchFolder, removeBenchFolder, tellOfOlderFolder } from '../loadtest/bench/folder.ts';
import { benchLatency } from '../loadtest/bench/latency.ts';
import { benchMemory } from '../loadtest/bench/memory.ts';
import { benchStream, type StreamBenchResult } from '../loadtest/bench/stream.ts';
import { missedByLatency, missedByMemory, missedByServe, missedByStream } from '../loadtest/goals.ts';
import { benchServe, routeNames } from '../loadtest/serve/bench.ts';

interface BenchOptions {
  readonly events: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly route?: string;
  readonly rate?: number;
  readonly buyers?: number;
  readonly json: boolean;
  readonly dir: string;
  readonly results: string;
}

/** Of the benchmark `memory`. */
const EVENTS_PER_BUYER = 10;

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('a whole number of 1 or more is needed');
  return value;
}

function print(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** What was measured, and what of it missed its goal. */
interface Measured {
  readonly result: object;
  readonly missed: readonly string[];
}

async function runStream(options: BenchOptions, dir: string): Promise<Measured> {
  const { events, rounds } = options;
  print(`stream: ${events} events, ${rounds} rounds, raw and full alternating`);
  const result = await benchStream({ events, rounds, dir, endMs: Date.now(), print });
  print(`raw consume + parse   ${Math.round(result.raw.eventsPerSecond)} events/s`);
  print(`the whole pipeline    ${Math.round(result.full.eventsPerSecond)} events/s`);
  print(`ratio                 ${result.ratio.toFixed(3)}`);
  return { result, missed: missedByStream(result) };
}

async function runServe(options: BenchOptions, dir: string): Promise<Measured> {
  const { rounds, seconds } = options;
  print(`serve: ${rounds} rounds of ${seconds} s a route, bare and full alternating`);
  const { route, dir: toolsDir } = options;
  const result = await benchServe({ rounds, seconds, route, dir, toolsDir, print });
  return { result, missed: missedByServe(result) };
}

/** What the stream could do when that was measured last, events a second; null if it was not. */
async function maximumOf({ results }: BenchOptions): Promise<number | null> {
  const text = await readFile(join(results, 'stream.json'), 'utf8').catch(() => null);
  return text === null ? null : (JSON.parse(text) as StreamBenchResult).full.eventsPerSecond;
}

async function runLatency(options: BenchOptions, dir: string): Promise<Measured> {
  const maximumPerSecond = await maximumOf(options);
  const { seconds, buyers = 50_000 } = options;
  const rate = options.rate ?? Math.round((maximumPerSecond ?? 0) / 2);
  if (rate === 0)
    throw new InvalidArgumentError('needs --rate, or a `flywheel bench stream` before it to take half of');
  print(`latency: ${rate} events a second of ${buyers} buyers, for ${seconds} s`);
  const result = await benchLatency({ rate, seconds, buyers, maximumPerSecond, dir, print });
  const { p50, p95, p99, max } = result.visibleMs;
  const show = (ms: number): string => `${Math.round(ms)} ms`;
  print(`visible in Redis after p50 ${show(p50)}, p95 ${show(p95)}, p99 ${show(p99)}, at most ${show(max)}`);
  return { result, missed: missedByLatency(result) };
}

async function runMemory(options: BenchOptions, dir: string): Promise<Measured> {
  const { rate, seconds, buyers = 1_000_000 } = options;
  print(`memory: ${buyers} buyers with ${EVENTS_PER_BUYER} events each`);
  const result = await benchMemory({ buyers, eventsPerBuyer: EVENTS_PER_BUYER, rate, seconds, dir, print });
  const { peak, end } = result.redisUsedBytes;
  print(`Redis ${Math.round(end / 1e6)} MB at the end, at most ${Math.round(peak / 1e6)} MB`);
  print(`visible in Redis after p99 ${Math.round(result.latency.visibleMs.p99)} ms`);
  return { result, missed: missedByMemory(result) };
}

const benchmarks = { stream: runStream, serve: runServe, latency: runLatency, memory: runMemory };

async function run(what: keyof typeof benchmarks, options: BenchOptions): Promise<void> {
  const dir = join(options.dir, 'flywheel-bench');
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  tellOfOlderFolder(options.dir, print);
  await clearBenchFolder(dir, print);
  await mkdir(dir, { recursive: true });
  const { result, missed } = await benchmarks[what](options, dir);
  await mkdir(options.results, { recursive: true });
  await writeFile(join(options.results, `${what}.json`), `${JSON.stringify(result, null, 2)}\n`);
  await removeBenchFolder(dir, print);
  if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  for (const each of missed) print(`MISSED ${each}`);
  process.exitCode = missed.length === 0 ? 0 : 1;
}

function parseWhat(text: string): keyof typeof benchmarks {
  if (Object.hasOwn(benchmarks, text)) return text as keyof typeof benchmarks;
  throw new InvalidArgumentError(`there are ${Object.keys(benchmarks).join(', ')}`);
}

export function register(program: Command): void {
  program
    .command('bench')
    .description('measure speed side by side in one run; writes loadtest/results/')
    .argument('[what]', 'what to measure: stream, latency, memory or serve', parseWhat, 'stream' as const)
    .option('--events <n>', 'stream: events of the log', positive, 200_000)
    .option('--seconds <n>', 'serve, latency, memory: how long each run is driven', positive, 10)
    .option(
      '--rate <n>',
      'events a second (default: latency half of results/stream.json, memory half of what it did before)',
      positive,
    )
    .option('--buyers <n>', 'distinct buyers (default: latency 50,000, memory 1,000,000)', positive)
    .addOption(new Option('--route <name>', 'serve: only this one').choices(routeNames))
    .option('--rounds <n>', 'alternating rounds', positive, 3)
    .option('--json', 'print the result as one JSON line', false)
    .option('--dir <folder>', 'the parts keep their data in a new folder flywheel-bench there', '.flywheel')
    .option('--results <folder>', 'where the figures are written', 'loadtest/results')
    .action(run);
}
