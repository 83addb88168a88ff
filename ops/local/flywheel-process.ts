// Flywheel's own processes, `stream`, `serve` and `jobs`, supervised like the parts that they run on.

import { fileURLToPath } from 'node:url';
import { type Supervised, superviseChild } from './child.ts';
import type { PartContext } from './part.ts';

const READY_WITHIN_MS = 60_000;
const STOP_WITHIN_MS = 25_000;

export type FlywheelCommand = 'stream' | 'serve' | 'jobs';

/**
 * Starts `flywheel stream`, `serve` or `jobs` and resolves when it has printed that it is ready.
 * @param environment its settings, as platform/config.ts reads them
 * @param signal aborted, it is not waited for any more
 */
export function startFlywheel(
  context: PartContext,
  command: FlywheelCommand,
  environment: Record<string, string>,
  signal: AbortSignal,
): Promise<Supervised> {
  const [program, ...args] = flywheelCommandLine(command);
  return superviseChild(
    {
      name: command,
      command: program!,
      args,
      environment,
      marker: `main.${isBuilt() ? 'js' : 'ts'} ${command}`,
      logFolder: context.logFolder,
      isReady: (log) => log.includes(`"ready":"${command}"`),
      readyWithinMs: READY_WITHIN_MS,
      stopWithinMs: STOP_WITHIN_MS,
      restart: true,
      signal,
    },
    context.processes,
    context.onEvent,
  );
}

/** How to run a command of `flywheel` in a process of its own: built, or from the sources with tsx. */
export function flywheelCommandLine(command: string): string[] {
  const main = fileURLToPath(new URL(`../../cli/main.${isBuilt() ? 'js' : 'ts'}`, import.meta.url));
  const loader = isBuilt() ? ['--enable-source-maps'] : ['--import', import.meta.resolve('tsx')];
  return [process.execPath, ...memoryFlags(command), ...loader, main, command];
}

/**
 * MB for young objects. What the stream makes for one batch dies with it, what `serve` makes for an answer with that: in Node's 16
 * MB, much of it is copied before, and `serve` at 4,500 answers a second stops ten times a second for 4 ms.
 */
const youngMegabytes: Readonly<Record<string, number>> = { stream: 64, serve: 32 };

/** Node's flags for a command of Flywheel. */
export function memoryFlags(command: string): string[] {
  const megabytes = youngMegabytes[command];
  return megabytes === undefined ? [] : [`--max-semi-space-size=${megabytes}`];
}

function isBuilt(): boolean {
  return import.meta.url.endsWith('.js');
}
