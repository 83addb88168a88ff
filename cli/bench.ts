// `flywheel bench`: speed as ratios of one run, written to loadtest/results/.
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { benchStream } from '../loadtest/bench/stream.ts';

interface BenchOptions {
  readonly events: number;
  readonly rounds: number;
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

async function run(options: BenchOptions): Promise<void> {
  const print = (line: string): void => {
    process.stderr.write(`${line}\n`);
  };
  const dir = join(options.dir, 'bench');
  await rm(dir, { recursive: true, force: true });
  await mkdir(dir, { recursive: true });
  print(`stream: ${options.events} events, ${options.rounds} rounds, raw and full alternating`);
  const result = await benchStream({ ...options, dir, endMs: Date.now(), print });
  await mkdir(options.results, { recursive: true });
  await writeFile(join(options.results, 'stream.json'), `${JSON.stringify(result, null, 2)}\n`);
  await rm(dir, { recursive: true, force: true });
  if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else {
    print(`raw consume + parse   ${Math.round(result.raw.eventsPerSecond)} events/s`);
    print(`the whole pipeline    ${Math.round(result.full.eventsPerSecond)} events/s`);
    print(`ratio                 ${result.ratio.toFixed(3)}`);
  }
}

export function register(program: Command): void {
  program
    .command('bench')
    .description('measure speed side by side in one run; writes loadtest/results/')
    .argument('[what]', 'what to measure: stream', 'stream')
    .option('--events <n>', 'events of the log', positive, 200_000)
    .option('--rounds <n>', 'alternating rounds', positive, 3)
    .option('--json', 'print the result as one JSON line', false)
    .option('--dir <folder>', 'where the parts keep their data', '.flywheel')
    .option('--results <folder>', 'where the figures are written', 'loadtest/results')
    .action(async (what: string, options: BenchOptions) => {
      if (what !== 'stream')
        throw new InvalidArgumentError(`there is no benchmark ${JSON.stringify(what)}: use stream`);
      await run(options);
    });
}
