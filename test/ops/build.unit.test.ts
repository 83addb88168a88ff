// What runs reads dist/ while another build is made: it is there at any time, and is replaced only by one that is whole.

import { spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));

/** As much of esbuild as the build sees. It notes whether dist is there while it is at work, and takes its time. */
const BUNDLE = `import { existsSync, appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
export async function bundle(outfolder) {
  if (existsSync('broken')) throw new Error('no bundle');
  appendFileSync('seen', String(existsSync('dist/cli/main.js')) + '\\n');
  mkdirSync(outfolder + '/cli', { recursive: true });
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  if (existsSync('together')) while (readFileSync('seen', 'utf8') !== 'true\\ntrue\\n') await wait(10);
  else await wait(200);
  writeFileSync(outfolder + '/cli/main.js', "console.log('newer');");
}
`;

let clone: string;

/** A clone of one source, with a build of an older one. */
beforeEach(() => {
  clone = mkdtempSync(path.join(tmpdir(), 'flywheel-build-'));
  for (const name of ['bin', 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json', 'package.json'])
    cpSync(path.join(PROJECT, name), path.join(clone, name), { recursive: true });
  symlinkSync(path.join(PROJECT, 'node_modules'), path.join(clone, 'node_modules'));
  put('bin/bundle.js', BUNDLE);
  put('bin/snippet.js', 'export const bundleSnippet = () => {};');
  put('cli/main.ts', 'export const one: number = 1;\n');
  put('sql/a.sql', 'SELECT 1');
  put('dist/cli/main.js', "console.log('older');");
  put('dist/gone.js', '');
  put('dist/sources.sha256', 'older');
});

afterEach(() => rmSync(clone, { recursive: true, force: true }));

function put(file: string, text: string): void {
  mkdirSync(path.dirname(path.join(clone, file)), { recursive: true });
  writeFileSync(path.join(clone, file), text);
}

function read(file: string): string {
  return readFileSync(path.join(clone, file), 'utf8');
}

function run(...args: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, args, { cwd: clone, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, output })));
}

test('a fault in the types or in the bundle leaves the build that is there', async () => {
  put('cli/main.ts', "export const one: number = 'one';\n");
  const { code, output } = await run('bin/build.js');
  expect([code, output]).toEqual([
    expect.toSatisfy((status) => status > 0),
    expect.stringContaining('TS2322'),
  ]);
  expect([read('dist/cli/main.js'), read('dist/sources.sha256')]).toEqual(["console.log('older');", 'older']);
  put('cli/main.ts', 'export const one: number = 2;\n');
  put('broken', '');
  expect(await run('bin/build.js')).toMatchObject({ code: 1, output: expect.stringContaining('no bundle') });
  expect([read('dist/cli/main.js'), read('dist/sources.sha256')]).toEqual(["console.log('older');", 'older']);
});

test('the older one is there until the newer takes its place, also for two builds at once and after one that was killed', async () => {
  put('dist.99999999/half.js', '');
  put('dist.replaced.99999999/half.js', '');
  const ends = await Promise.all([run('bin/build.js'), run('bin/build.js')]);
  expect(ends.map(({ code, output }) => (code === 0 ? 0 : output))).toEqual([0, 0]);
  expect(read('seen')).toBe('true\ntrue\n');
  expect(readdirSync(path.join(clone, 'dist')).sort()).toEqual(['cli', 'sources.sha256', 'sql']);
  expect(read('dist/cli/main.js')).toContain('newer');
  expect(readdirSync(clone).filter((name) => name.startsWith('dist'))).toEqual(['dist']);
});

test('two that build at once, because the start of one was killed, leave one that is whole', async () => {
  put('together', '');
  // Who is started under the lock builds at once.
  put(
    'start.js',
    `import { spawn } from 'node:child_process';
import { alone } from './bin/lock.js';
const build = () => new Promise((resolve) => spawn(process.execPath, ['bin/build.js'], { stdio: 'inherit' }).once('exit', resolve));
await alone(async () => console.log(await Promise.all([build(), build()])));`,
  );
  expect(await run('start.js')).toEqual({ code: 0, output: '[ 0, 0 ]\n' });
  expect(readdirSync(path.join(clone, 'dist')).sort()).toEqual(['cli', 'sources.sha256', 'sql']);
  expect(readdirSync(clone).filter((name) => name.startsWith('dist'))).toEqual(['dist']);
});

test('one of older sources, whose start was killed, leaves a newer one that is there', async () => {
  put(
    'start.js',
    `import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { alone } from './bin/lock.js';
const build = () => new Promise((resolve) => spawn(process.execPath, ['bin/build.js'], { stdio: 'inherit' }).once('exit', resolve));
await alone(async () => {
  writeFileSync('together', '');
  const older = build();
  while (!existsSync('dist.waits')) await new Promise((resolve) => setTimeout(resolve, 10));
  rmSync('together');
  writeFileSync('seen', '');
  writeFileSync('cli/main.ts', 'export const two: number = 2;');
  const newer = await build();
  const stamp = readFileSync('dist/sources.sha256', 'utf8');
  writeFileSync('seen', 'true\\ntrue\\n');
  console.log([await older, newer], readFileSync('dist/sources.sha256', 'utf8') === stamp);
});`,
  );
  put(
    'bin/bundle.js',
    BUNDLE.replace('while (', "{ writeFileSync('dist.waits', ''); while (").replace(
      'wait(10);',
      'wait(10); }',
    ),
  );
  expect(await run('start.js')).toEqual({ code: 0, output: '[ 0, 0 ] true\n' });
  expect(existsSync(path.join(clone, 'dist', 'gone.js'))).toBe(false);
});

test('one that came with the image of a container, and cannot be renamed, is replaced', async () => {
  put(
    'overlay.mjs',
    `import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
const { renameSync } = fs;
fs.renameSync = (from, to) => {
  if (from.endsWith('/dist')) throw Object.assign(new Error('cross-device'), { code: 'EXDEV' });
  renameSync(from, to);
};
syncBuiltinESMExports();`,
  );
  expect(await run('--import', './overlay.mjs', 'bin/build.js')).toEqual({ code: 0, output: '' });
  expect(read('dist/cli/main.js')).toContain('newer');
  expect(existsSync(path.join(clone, 'dist', 'gone.js'))).toBe(false);
});

test('the command line builds under the lock that it holds, and where there is no build yet', async () => {
  rmSync(path.join(clone, 'dist'), { recursive: true });
  expect(await run('bin/flywheel.js')).toEqual({ code: 0, output: 'newer\n' });
  expect(existsSync(path.join(clone, 'dist', 'sql', 'a.sql'))).toBe(true);
});
