// `npm start` and `npm test` begin here: plain JavaScript without dependencies, because nothing is installed yet.
// Every step looks first whether it is done, so that a start that was killed goes on where it was.

import path from 'node:path';
import { ensureBuild } from './build.js';
import { ensureKafkaJars, jarsAreCurrent } from './kafka-jars.js';
import { alone } from './lock.js';
import { ensurePackages, packagesAreCurrent } from './packages.js';
import { createSteps, runForeground, StepError } from './steps.js';
import { ensureTools } from './tools.js';

const OWN_STEPS = 4;
/** Steps that come after these: those of `flywheel up`, the tests, or none. */
const STEPS_AFTER = { up: 5, test: 1, prepare: 0 };

async function main() {
  const [command, ...rest] = process.argv.slice(2);
  const after = STEPS_AFTER[command];
  if (after === undefined) throw new StepError('Usage: node bin/bootstrap.js up|test|prepare [options]');
  if (process.platform === 'win32')
    throw new StepError('Flywheel runs on Linux and macOS; on Windows use WSL.');
  const total = OWN_STEPS + after;
  const steps = createSteps(total);
  await alone(() => prepare(steps, command));
  if (command === 'prepare') return 0;
  if (command === 'test') {
    process.stdout.write(`[${total}/${total}] tests\n`);
    return runForeground([path.join('node_modules', 'vitest', 'vitest.mjs'), 'run', ...rest]);
  }
  const entry = path.join('dist', 'cli', 'main.js');
  const numbering = ['--steps-before', String(OWN_STEPS)];
  return runForeground(['--enable-source-maps', entry, 'up', ...numbering, ...rest]);
}

async function prepare(steps, command) {
  const installed = packagesAreCurrent();
  await steps.run('tools', 1, () => ensureTools({ forTests: command !== 'up' }));
  // Both to their end, also when one fails: what still installs must not meet the next start.
  const fetched = await Promise.allSettled([
    steps.run('packages', installed ? 1 : 150, ensurePackages),
    steps.run("Kafka's jars", jarsAreCurrent() ? 1 : 15, ensureKafkaJars),
  ]);
  const failed = fetched.find(({ status }) => status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  await steps.run('build', 5, ensureBuild);
}

try {
  process.exitCode = (await main()) ?? 0;
} catch (error) {
  process.stderr.write(`\n${error instanceof StepError ? error.message : error.stack}\n`);
  process.exitCode = 1;
}
