// Brings node_modules in line with the lock file, and only when it is not. Unpacking and compiling are two steps,
// so that a start that was killed while it compiled does not unpack everything again.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fitsMachine } from './machine.js';
import { PROJECT, runLogged, STATE, StepError } from './steps.js';

/** True when every locked package of this machine is there in its version and the compiled one loads. */
export function packagesAreCurrent() {
  return missingPackages().length === 0 && rdkafkaLoads();
}

/** @returns {Promise<string>} a remark on what was done */
export async function ensurePackages() {
  if (packagesAreCurrent()) return 'up to date';
  if (missingPackages().length > 0) {
    const all = ['--include=dev', '--include=optional'];
    await runLogged('npm-ci', 'npm', ['ci', ...all, '--ignore-scripts', '--no-audit', '--no-fund']);
    // Of an optional package, as each library for one kind of machine is, npm does not say that it did not come.
    const missing = missingPackages();
    if (missing.length > 0)
      throw new StepError(
        `npm ci left out ${missing.join(', ')}: the network or the disk failed it. See that both are well, and start again.`,
      );
  }
  await runLogged('npm-rebuild', 'npm', ['rebuild'], {
    env: { PATH: `${parallelMakeFolder()}${path.delimiter}${process.env.PATH}` },
  });
  return 'installed';
}

/**
 * What is locked for this machine and not there in its version. npm writes its own list last of all, so packages that were being
 * unpacked when npm was killed count as missing.
 * @returns {string[]} their names
 */
function missingPackages() {
  const wanted = readLock(path.join(PROJECT, 'package-lock.json')) ?? { 'package-lock.json': {} };
  const present = readLock(path.join(PROJECT, 'node_modules', '.package-lock.json')) ?? {};
  return Object.entries(wanted)
    .filter(([place, entry]) => place !== '' && (!entry.optional || fitsMachine(entry)))
    .filter(([place, { version }]) => present[place] === undefined || present[place].version !== version)
    .map(([place]) => place.replace(/^.*node_modules\//, ''));
}

function rdkafkaLoads() {
  return spawnSync(process.execPath, ['-e', "require('node-rdkafka')"], { cwd: PROJECT }).status === 0;
}

/**
 * node-rdkafka builds its own librdkafka with one `make` on one core, which takes longer than all else together, and its
 * outer makefile breaks under -j. This folder holds a `make` that runs only that inner build on all cores.
 */
function parallelMakeFolder() {
  const folder = path.join(STATE, 'bin');
  mkdirSync(folder, { recursive: true });
  const make = spawnSync('/bin/sh', ['-c', 'command -v make'], { encoding: 'utf8' }).stdout.trim();
  const script = `#!/bin/sh
if [ "$*" = "-C librdkafka libs install" ]; then
  unset MAKEFLAGS MFLAGS
  "${make}" -j ${availableParallelism()} -C librdkafka libs || exit 1
fi
exec "${make}" "$@"
`;
  writeFileSync(path.join(folder, 'make'), script, { mode: 0o755 });
  return folder;
}

function readLock(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages;
  } catch {
    return undefined;
  }
}
