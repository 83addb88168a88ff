// The local ClickHouse: our HTTP front with the engine in it, as a child process of its own.

import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type Supervised, superviseChild } from './child.ts';
import type { PartContext } from './part.ts';
import { assertPortFree } from './ports.ts';

const READY_WITHIN_MS = 60_000;
const STOP_WITHIN_MS = 15_000;
/** Statements run on libuv's threads: as many at once. */
const ENGINE_THREADS = 16;
const MEMORY_BYTES_MAX = 4 * 1024 ** 3;

/** Starts the front with its data under `<dir>/clickhouse` and resolves when it answers /ping. */
export async function startClickHouse(context: PartContext, options: { port: number }): Promise<Supervised> {
  await assertPortFree('ClickHouse', options.port);
  const folder = path.join(context.dir, 'clickhouse');
  mkdirSync(folder, { recursive: true });
  return superviseChild(
    {
      name: 'clickhouse',
      command: process.execPath,
      args: [
        ...frontArguments(),
        ...['--port', String(options.port), '--dir', folder],
        ...['--memory-bytes', String(MEMORY_BYTES_MAX)],
      ],
      environment: { UV_THREADPOOL_SIZE: String(ENGINE_THREADS) },
      marker: folder,
      logFolder: context.logFolder,
      isReady: () => answersPing(options.port),
      readyWithinMs: READY_WITHIN_MS,
      stopWithinMs: STOP_WITHIN_MS,
      restart: true,
    },
    context.processes,
    context.onEvent,
  );
}

/** Built, the front is plain JavaScript; from the sources it needs tsx, because Node 20 runs no TypeScript. */
function frontArguments(): string[] {
  const isBuilt = import.meta.url.endsWith('.js');
  const file = fileURLToPath(new URL(`./clickhouse-front.${isBuilt ? 'js' : 'ts'}`, import.meta.url));
  return isBuilt
    ? ['--enable-source-maps', file]
    : ['--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href, file];
}

async function answersPing(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/ping`)).ok;
  } catch {
    return false;
  }
}
