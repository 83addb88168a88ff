// Holds the arrows between the folders: no forbidden import, no circle, no clock or chance in domain/.
// It also plants one violation per arrow and demands that the linter and these checks find it: a guard that sees nothing passes everything.

import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PROJECT } from './steps.js';

/** What each folder may import of the project, besides itself. */
const MAY_IMPORT = {
  domain: [],
  snippet: [],
  platform: ['domain'],
  stream: ['domain', 'platform'],
  serve: ['domain', 'platform'],
  jobs: ['domain', 'platform'],
  verify: ['domain', 'platform'],
  simulate: ['domain'],
  ops: ['platform'],
  cli: ['domain', 'platform', 'stream', 'serve', 'jobs', 'verify', 'simulate', 'ops', 'loadtest'],
  loadtest: ['domain', 'platform', 'stream', 'serve', 'jobs', 'verify', 'simulate', 'ops', 'cli'],
};
const FOLDERS = Object.keys(MAY_IMPORT);

/**
 * The oracle shares schemas with the way of the data, and types; never code that decides or changes state.
 */
const ORACLE_MAY = /^domain\/(definition|record|record-fields|[a-z]+-record)\.ts$/;

/** Folders whose arrows the linter's configuration holds too, so that an editor shows a violation at once. */
const LINTED = ['domain', 'platform', 'stream', 'serve', 'jobs', 'verify', 'simulate'];

const IMPORT = /(?:\bfrom\s*|\bimport\s*\(\s*|\bimport\s+)(['"])([^'"]+)\1/g;
const IMPURE =
  /\bMath\s*\.\s*random\b|\bDate\s*\.\s*now\b|\bnew\s+Date\s*(?:\(\s*\)|(?=[;,)\]}\n]))|\bperformance\s*\.\s*now\b|\bcrypto\s*\.|\bprocess\s*\./g;

/** @typedef {Map<string, string>} Sources path relative to the project → text */

/** @returns {Sources} */
function readSources() {
  /** @type {Sources} */
  const sources = new Map();
  const collect = (folder) => {
    for (const entry of readdirSync(path.join(PROJECT, folder), { withFileTypes: true })) {
      const place = `${folder}/${entry.name}`;
      if (entry.isDirectory()) collect(place);
      else if (place.endsWith('.ts')) sources.set(place, readFileSync(path.join(PROJECT, place), 'utf8'));
    }
  };
  for (const folder of FOLDERS) if (existsSync(path.join(PROJECT, folder))) collect(folder);
  return sources;
}

function withoutComments(text) {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:'"`])\/\/[^\n]*/g, '$1');
}

/** Files of the project that `file` imports. */
function importsOf(file, text) {
  return [...withoutComments(text).matchAll(IMPORT)]
    .map(([, , target]) => target)
    .filter((target) => target.startsWith('.'))
    .map((target) => path.posix.join(path.posix.dirname(file), target));
}

/** @param {Sources} sources */
function findForbiddenImports(sources) {
  const found = [];
  for (const [file, text] of sources) {
    const from = file.split('/')[0];
    const run = new Set(importsOf(file, text.replace(/\bimport type [^;]*;/g, '')));
    for (const target of importsOf(file, text)) {
      const to = target.split('/')[0];
      const isArrow = to === from || !FOLDERS.includes(to) || MAY_IMPORT[from].includes(to);
      const isShared = from === 'verify' && to === 'domain' && run.has(target) && !ORACLE_MAY.test(target);
      if (!isArrow || isShared) found.push(`${file} must not import ${target}`);
    }
    if (from === 'domain' && /(['"])node:/.test(withoutComments(text))) {
      found.push(`${file} must not import a Node module`);
    }
  }
  return found;
}

/** @param {Sources} sources */
function findCircles(sources) {
  const found = [];
  const finished = new Set();
  const visit = (file, trail) => {
    const at = trail.indexOf(file);
    if (at !== -1) {
      found.push(`circle: ${[...trail.slice(at), file].join(' → ')}`);
      return;
    }
    if (finished.has(file) || !sources.has(file)) return;
    for (const target of importsOf(file, sources.get(file))) visit(target, [...trail, file]);
    finished.add(file);
  };
  for (const file of sources.keys()) visit(file, []);
  return found;
}

/** @param {Sources} sources */
function findImpurities(sources) {
  const found = [];
  for (const [file, text] of sources) {
    if (!file.startsWith('domain/')) continue;
    for (const [match] of withoutComments(text).matchAll(IMPURE)) {
      found.push(`${file} uses ${match.trim()}: time and chance are arguments in domain/`);
    }
  }
  return found;
}

/**
 * Lints planted files in a folder of their own under this project's configuration.
 * @param {Sources} planted
 * @returns {Set<string>} the files that biome refuses for an import
 */
function refusedByLinter(planted) {
  const folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'flywheel-boundaries-')));
  try {
    for (const file of ['biome.json', '.gitignore']) {
      copyFileSync(path.join(PROJECT, file), path.join(folder, file));
    }
    for (const [file, text] of planted) {
      mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
      writeFileSync(path.join(folder, file), text);
    }
    const biome = path.join(PROJECT, 'node_modules', '.bin', 'biome');
    const args = ['lint', '--max-diagnostics=none', '--reporter=github', '.'];
    const { stdout } = spawnSync(biome, args, { cwd: folder, encoding: 'utf8' });
    const refused = [...stdout.matchAll(/noRestrictedImports[^\n]*?\bfile=([^,\n]+)/g)];
    return new Set(refused.map(([, file]) => path.relative(folder, path.resolve(folder, file))));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Every planted violation that nobody saw. */
function findBlindSpots() {
  const blind = [];
  /** @type {Sources} */
  const planted = new Map();
  const plant = (from, target, name) =>
    planted.set(`${from}/planted-${name}.ts`, `import { x } from '../${target}.ts';\nexport const y = x;\n`);
  for (const from of FOLDERS) {
    for (const to of FOLDERS) {
      if (to !== from && !MAY_IMPORT[from].includes(to)) plant(from, `${to}/planted`, to);
    }
  }
  plant('verify', 'domain/transition', 'transition');
  plant('verify', 'domain/transition-spend', 'transition-part');
  const refused = refusedByLinter(
    new Map([...planted, ['stream/allowed.ts', "export * from '../domain/a.ts';\n"]]),
  );
  for (const [file, text] of planted) {
    if (findForbiddenImports(new Map([[file, text]])).length === 0) blind.push(`these checks: ${file}`);
    if (LINTED.includes(file.split('/')[0]) && !refused.has(file)) blind.push(`the linter: ${file}`);
  }
  if (refused.has('stream/allowed.ts')) blind.push('the linter, which refuses the allowed stream → domain');
  const decides = "{ x } from '../domain/funnel.ts';";
  if (findForbiddenImports(new Map([['verify/a.ts', `import ${decides}`]])).length !== 1)
    blind.push('these checks: the oracle that runs a rule of the domain');
  if (findForbiddenImports(new Map([['verify/a.ts', `import type ${decides}`]])).length !== 0)
    blind.push('these checks, which refuse the oracle a type');
  const circle = new Map([
    ['domain/a.ts', "import { b } from './b.ts';"],
    ['domain/b.ts', "export { a } from './a.ts';"],
  ]);
  if (findCircles(circle).length !== 1) blind.push('these checks: a circle');
  for (const impure of [
    'Math.random()',
    'Date.now()',
    'new Date()',
    'new Date;',
    'performance.now()',
    'crypto.randomUUID()',
  ]) {
    const code = `export const x = ${impure}`;
    if (findImpurities(new Map([['domain/planted.ts', code]])).length !== 1)
      blind.push(`these checks: ${impure}`);
  }
  return blind;
}

const sources = readSources();
const faults = [
  ...findForbiddenImports(sources),
  ...findCircles(sources),
  ...findImpurities(sources),
  ...findBlindSpots().map((spot) => `a planted violation was not found by ${spot}`),
];
for (const fault of faults) process.stderr.write(`${fault}\n`);
process.stdout.write(`boundaries: ${sources.size} files, ${faults.length} faults\n`);
process.exitCode = faults.length === 0 ? 0 : 1;
