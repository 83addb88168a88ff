#!/usr/bin/env node
// The executable `flywheel`: the built command line, rebuilt first when a source has changed.

import { buildIsCurrent, ensureBuild } from './build.js';
import { alone } from './lock.js';
import { packagesAreCurrent } from './packages.js';
import { StepError } from './steps.js';

if (!buildIsCurrent()) {
  if (!packagesAreCurrent()) {
    process.stderr.write('flywheel is not built yet. Run: npm start\n');
    process.exit(1);
  }
  try {
    await alone(ensureBuild);
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  }
}
process.setSourceMapsEnabled(true);
await import('../dist/cli/main.js');
