// Makes the page snippet one file for browsers: `node bin/snippet.js OUTFILE`.

import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { PROJECT } from './steps.js';

/** Browsers since 2021. */
const TARGET = 'es2021';

/** @param {string} outfile absolute, or relative to the project */
export function bundleSnippet(outfile) {
  const esbuild = path.join(PROJECT, 'node_modules', '.bin', 'esbuild');
  // No `"use strict"`: a module is strict for the type checker, and each byte counts here.
  const sloppy = `--tsconfig-raw=${JSON.stringify({ compilerOptions: { alwaysStrict: false } })}`;
  const how = ['--bundle', '--minify', '--format=iife', `--target=${TARGET}`, '--log-level=warning', sloppy];
  const bundled = spawnSync(esbuild, ['snippet/main.ts', ...how, `--outfile=${outfile}`], {
    cwd: PROJECT,
    stdio: 'inherit',
  });
  if (bundled.status !== 0) process.exit(bundled.status ?? 1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) bundleSnippet(process.argv[2]);
