// Makes the sources few files that Node loads quickly. To find and read a thousand small modules,
// ours and those of packages, takes most of the time that a command needs to start.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { build } from 'esbuild';
import { PROJECT } from './steps.js';

/** What is started as a process of its own; everything else is loaded by these. */
const ENTRIES = [
  'cli/main.ts',
  'ops/local/clickhouse-front.ts',
  'loadtest/faults.ts',
  'loadtest/bench/raw.ts',
  'loadtest/serve/bare.ts',
];
/** Loaded from node_modules: they are native, or read files that lie beside them. */
const LEFT_ALONE = [
  'chdb',
  'node-rdkafka',
  'msgpackr-extract',
  '@platformatic/wasm-utils',
  '@fastify/swagger-ui',
];
const TARGET = 'node20';

/** What modules of ours and of packages expect to be there, in a file that holds many of them. */
const PRELUDE = `
import { createRequire as createRequireOf } from 'node:module';
import { fileURLToPath as pathOf } from 'node:url';
const require = createRequireOf(import.meta.url);
const __filename = pathOf(import.meta.url);
const __dirname = pathOf(new URL('.', import.meta.url));
const moduleUrl = (file) => import.meta.url.slice(0, import.meta.url.lastIndexOf('/dist/') + 6) + file;
`
  .trim()
  .replaceAll('\n', ' ');

/** Files beside a module are found from where its source stood, whatever file it became a part of. */
const keepsPlaces = {
  name: 'keeps places',
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/ }, async ({ path: file }) => {
      if (file.includes('node_modules')) return undefined;
      const source = await readFile(file, 'utf8');
      const built = path.relative(PROJECT, file).replace(/\.ts$/, '.js');
      return {
        loader: 'ts',
        contents: source.replaceAll('import.meta.url', `moduleUrl(${JSON.stringify(built)})`),
      };
    });
  },
};

/** @param {string} outfolder absolute, or relative to the project; it is run under the name of `dist` */
export async function bundle(outfolder) {
  await build({
    absWorkingDir: PROJECT,
    entryPoints: ENTRIES,
    outbase: '.',
    outdir: outfolder,
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: TARGET,
    external: LEFT_ALONE,
    plugins: [keepsPlaces],
    banner: { js: PRELUDE },
    sourcemap: true,
    sourcesContent: false,
    logLevel: 'warning',
  });
}
