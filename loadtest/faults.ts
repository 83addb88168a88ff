// `npm run faults -- --seed FIRST --seeds N --kills K [--only NAME,…]`: attacks the whole engine under load, prints what
// happened and keeps it in loadtest/results/. Exit code 1 if anything did not hold.
import { mkdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import type { Fault } from './faults/fault.ts';
import { allFaults } from './faults/registry.ts';
import { type FaultResult, runFaults } from './faults/runner.ts';
import { originOf } from './measured.ts';

/** Above so many a file is not called by all their names. */
const NAMED_MAX = 3;

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('a whole number of 1 or more is needed');
  return value;
}

interface Options {
  readonly seed: number;
  readonly seeds: number;
  readonly kills: number;
  readonly only?: readonly Fault[];
  readonly results: string;
}

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** Where the results of a whole run are kept, and those of one that is still going on or was cut off. */
function filesOf({ results, only, seed }: Options): { readonly whole: string; readonly partial: string } {
  const name = path.join(results, `faults-${nameOf(only)}-seed-${seed}`);
  return { whole: `${name}.json`, partial: `${name}.partial.json` };
}

async function keep(options: Options, results: readonly FaultResult[]): Promise<void> {
  await mkdir(options.results, { recursive: true });
  const { seed, seeds, kills } = options;
  const kept = { ...(await originOf()), at: new Date().toISOString(), seed, seeds, kills, results };
  await writeFile(filesOf(options).partial, `${JSON.stringify(kept, null, 2)}\n`);
}

/** What a file of results is called by. */
function nameOf(only: readonly Fault[] | undefined): string {
  if (only === undefined) return 'all';
  if (only.length > NAMED_MAX) return `${only.length}-of-${allFaults.length}`;
  return only.map(({ name }) => name).join('+');
}

function faultsOf(only: string): readonly Fault[] {
  return only.split(',').map((name) => {
    const fault = allFaults.find((each) => each.name === name);
    if (fault !== undefined) return fault;
    const names = allFaults.map((each) => each.name).join(', ');
    throw new InvalidArgumentError(`there is no fault ${JSON.stringify(name)}; there are ${names}`);
  });
}

async function run(options: Options): Promise<void> {
  const faults = options.only ?? allFaults;
  const seeds = Array.from({ length: options.seeds }, (_, index) => options.seed + index);
  const soFar: FaultResult[] = [];
  const results = await runFaults({
    faults,
    seeds,
    kills: options.kills,
    print,
    // A run that is ended early has left what it found, and the whole one before it as it was.
    onResult: (result) => {
      soFar.push(result);
      return keep(options, soFar);
    },
  });
  await rename(filesOf(options).partial, filesOf(options).whole);
  const failed = results.filter(({ outcome }) => outcome === 'failed');
  const skipped = results.filter(({ outcome }) => outcome === 'skipped');
  print(`${results.length} runs, ${failed.length} failed, ${skipped.length} skipped`);
  process.exitCode = failed.length === 0 ? 0 : 1;
}

await new Command('faults')
  .description('attacks the engine under load and says whether it held')
  .option('--seed <n>', 'the first seed', wholeNumber, 1)
  .option('--seeds <n>', 'how many seeds', wholeNumber, 1)
  .option('--kills <n>', 'kills of each random run', wholeNumber, 10)
  .option('--only <names>', 'these faults alone, separated by commas', faultsOf)
  .option('--results <folder>', 'where the results are kept', 'loadtest/results')
  .action(run)
  .parseAsync();
