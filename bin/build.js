// Builds dist/ from the sources: TypeScript, once tsc has found no fault in its types, and the page snippet by esbuild; everything
// else (sql, definitions, the pom) as a copy.
// Run directly it always builds; `ensureBuild` builds only when a source has changed. What runs reads dist/ at any time: the new one is
// made beside it and takes its place when it is whole.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { alone } from './lock.js';
import { bundleSnippet } from './snippet.js';
import { PROJECT, runLogged, StepError } from './steps.js';
import { makeUnfinished } from './unfinished.js';

const CONFIG = ['tsconfig.json', 'tsconfig.build.json', 'package-lock.json'];
/** Plain JavaScript that becomes part of the bundle, because the bootstrap needs it too. */
const SHARED = ['bin/process-lock.js', 'bin/unfinished.js'];
/** Folders that hold no TypeScript but are read at run time. */
const ASSET_FOLDERS = ['sql', 'definitions'];
/** Becomes one file, for browsers. */
const SNIPPET_FOLDER = 'snippet';
const RESULTS = path.join('loadtest', 'results');
const DIST = path.join(PROJECT, 'dist');
const REPLACED = path.join(PROJECT, 'dist.replaced');
const STAMP = 'sources.sha256';

/** True when dist/ was built from the sources as they are now. */
export function buildIsCurrent() {
  const stamp = path.join(DIST, STAMP);
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === hashOf(sourceFiles());
}

/** @returns {Promise<string>} a remark on what was done */
export async function ensureBuild() {
  if (buildIsCurrent()) return 'up to date';
  await runLogged('build', process.execPath, [fileURLToPath(import.meta.url)]);
  return 'built';
}

async function build() {
  const sources = sourceFiles();
  const hash = hashOf(sources);
  const tsc = path.join(PROJECT, 'node_modules', 'typescript', 'bin', 'tsc');
  const checked = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], {
    cwd: PROJECT,
    stdio: 'inherit',
  });
  if (checked.status !== 0) process.exit(checked.status ?? 1);
  // Not before: this file is also loaded where no package is installed yet.
  const { bundle } = await import('./bundle.js');
  // Beside `dist` and as deep, so that what is in it names its sources by the same relative paths. Of this process alone: one whose
  // start was killed builds on beside the next start's.
  const unfinished = makeUnfinished(DIST);
  try {
    await bundle(unfinished);
    addTheRest(unfinished, sources);
    writeFileSync(path.join(unfinished, STAMP), hash);
    // Of sources that changed meanwhile, and somebody has built the newer ones: that start may run already.
    if (hashOf(sourceFiles()) !== hash && buildIsCurrent()) return;
    takeItsPlace(unfinished);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}

function addTheRest(unfinished, sources) {
  for (const source of sources) {
    if (/\.(ts|md)$/.test(source) || [...CONFIG, ...SHARED].includes(source)) continue;
    if (source.startsWith(SNIPPET_FOLDER)) continue;
    const target = path.join(unfinished, source);
    mkdirSync(path.dirname(target), { recursive: true });
    copyFileSync(path.join(PROJECT, source), target);
  }
  bundleSnippet(path.join(unfinished, SNIPPET_FOLDER, 'flywheel.js'));
}

function takeItsPlace(unfinished) {
  const replaced = makeUnfinished(REPLACED);
  try {
    // Again, where another build has put its own there in between.
    for (;;) {
      moveAway(replaced);
      if (moved(unfinished)) return;
    }
  } finally {
    rmSync(replaced, { recursive: true, force: true });
  }
}

function moveAway(replaced) {
  rmSync(replaced, { recursive: true, force: true });
  try {
    renameSync(DIST, replaced);
  } catch (error) {
    if (error.code === 'ENOENT') return;
    if (error.code !== 'EXDEV') throw error;
    // In a container a folder that came with its image cannot be renamed.
    rmSync(DIST, { recursive: true, force: true });
  }
}

function moved(unfinished) {
  try {
    renameSync(unfinished, DIST);
    return true;
  } catch (error) {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    return false;
  }
}

/** Paths relative to the project, sorted. */
function sourceFiles() {
  const { include } = JSON.parse(readFileSync(path.join(PROJECT, 'tsconfig.build.json'), 'utf8'));
  const files = [...CONFIG, ...SHARED];
  for (const folder of [...include, ...ASSET_FOLDERS, SNIPPET_FOLDER]) {
    if (existsSync(path.join(PROJECT, folder))) collect(folder, files);
  }
  return files.sort();
}

function collect(folder, files) {
  for (const entry of readdirSync(path.join(PROJECT, folder), { withFileTypes: true })) {
    const place = path.join(folder, entry.name);
    // Results of benchmarks are written by what was built, and are no source of it.
    if (place === RESULTS) continue;
    if (entry.isDirectory()) collect(place, files);
    else files.push(place);
  }
}

function hashOf(files) {
  const hash = createHash('sha256');
  for (const file of files) hash.update(`${file}\0`).update(readFileSync(path.join(PROJECT, file)));
  return hash.digest('hex');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await alone(build);
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
