// One supervised child process: started, watched until it is ready, restarted with back-off when it dies, stopped in order.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, statSync } from 'node:fs';
import path from 'node:path';
import type { ProcessList } from './pids.ts';
import { StackError } from './stack-error.ts';

const TAIL_LINES = 15;
const LOG_BYTES_MAX = 20 * 1024 * 1024;
const READY_POLL_MS = 40;
const RESTARTS_MAX = 5;
/** A child that ran this long counts as healthy again: its restarts start anew. */
const HEALTHY_AFTER_MS = 60_000;
const BACKOFF_FIRST_MS = 250;
const BACKOFF_LAST_MS = 8000;
const SETPRIV = '/usr/bin/setpriv';

/** How to start one part and how to see that it serves. */
export interface ChildOptions {
  name: string;
  command: string;
  args: readonly string[];
  /** A part of the command line that tells this child from other programs. */
  marker: string;
  environment?: Record<string, string>;
  logFolder: string;
  /** True as soon as the part answers; `log` is what this child has written so far. */
  isReady(log: string): Promise<boolean> | boolean;
  readyWithinMs: number;
  stopSignal?: NodeJS.Signals;
  stopWithinMs: number;
  /** Restart a child that dies by itself; false reports it at once. */
  restart: boolean;
  /** Aborted, it is waited for and started again no more: one that is not ready yet is stopped. */
  signal?: AbortSignal | undefined;
}

/** What a supervisor tells while a part runs. */
export interface ChildEvent {
  name: string;
  kind: 'exited' | 'restarted' | 'gave-up' | 'noted';
  /** One line for people. */
  message: string;
}

export interface Supervised {
  name: string;
  pid(): number | undefined;
  /** True once it was given up: it runs again only when it is started again. */
  staysDown(): boolean;
  /** Starts it again, with as many restarts as at first, if it stays down. Resolves when it is ready or given up again. */
  startAgain(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts the child and resolves when it is ready.
 * @throws StackError TOOL_MISSING, CHILD_CRASHED or CHILD_NOT_READY, with the tail of its log
 */
export async function superviseChild(
  options: ChildOptions,
  processes: ProcessList,
  onEvent: (event: ChildEvent) => void,
): Promise<Supervised> {
  let stopping = false;
  let restarts = 0;
  let isGivenUp = false;
  let current = await startOnce(options, processes);
  let restarting: Promise<void> | undefined;
  let cancelPause = (): void => {};
  const isOver = (): boolean => stopping || options.signal?.aborted === true;

  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      cancelPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  const watch = (running: RunningChild): void => {
    void running.ended.then((ending) => {
      if (isOver()) return;
      onEvent({ name: options.name, kind: 'exited', message: `${options.name} ${ending}` });
      if (running.ranMs() > HEALTHY_AFTER_MS) restarts = 0;
      restarting = restartWithBackoff(ending);
    });
  };

  const restartWithBackoff = async (lastEnding: string): Promise<void> => {
    let ending = lastEnding;
    while (!isOver() && options.restart && restarts < RESTARTS_MAX) {
      await pause(Math.min(BACKOFF_FIRST_MS * 2 ** restarts, BACKOFF_LAST_MS));
      if (isOver()) return;
      restarts += 1;
      try {
        current = await startOnce(options, processes);
      } catch (error) {
        ending = error instanceof Error ? error.message : String(error);
        continue;
      }
      onEvent({
        name: options.name,
        kind: 'restarted',
        message: `${options.name} was restarted (${restarts} of ${RESTARTS_MAX})`,
      });
      watch(current);
      return;
    }
    if (isOver()) return;
    isGivenUp = true;
    onEvent({
      name: options.name,
      kind: 'gave-up',
      message: `${options.name} ${options.restart ? `died after ${restarts} restarts and stays down` : 'died'}: ${ending}\n${current.tail()}`,
    });
  };

  watch(current);
  return {
    name: options.name,
    pid: () => current.process.pid,
    staysDown: () => isGivenUp,
    startAgain: async () => {
      if (!isGivenUp) return;
      isGivenUp = false;
      restarts = 0;
      restarting = restartWithBackoff('was started again');
      await restarting;
    },
    stop: async () => {
      stopping = true;
      cancelPause();
      await restarting;
      await current.stop();
    },
  };
}

interface RunningChild {
  process: ChildProcess;
  /** Resolves with how it ended, for example "exited with code 1". */
  ended: Promise<string>;
  /** The same at once; undefined while it runs. */
  ending(): string | undefined;
  /** What it has written so far. */
  written(): string;
  ranMs(): number;
  tail(): string;
  stop(): Promise<void>;
}

async function startOnce(options: ChildOptions, processes: ProcessList): Promise<RunningChild> {
  mkdirSync(options.logFolder, { recursive: true });
  const logFile = path.join(options.logFolder, `${options.name}.log`);
  rotate(logFile);
  const logStart = existsSync(logFile) ? statSync(logFile).size : 0;
  const log = openSync(logFile, 'a');
  const { command, args } = dyingWithParent(options);
  // A group of its own: Ctrl-C in a terminal must reach only this process, which then stops its children in order.
  const child = spawn(command, args, { stdio: ['pipe', log, log], detached: true });
  closeSync(log);
  const startedAt = performance.now();
  await new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
  child.on('error', () => {});
  child.stdin?.on('error', () => {});
  const pid = child.pid!;
  processes.add(options.name, pid, options.marker);
  const written = (): string => readFileSync(logFile).subarray(logStart).toString('utf8');
  let ending: string | undefined;
  const ended = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => {
      ending = signal === null ? `exited with code ${code}` : `was ended by ${signal}`;
      processes.remove(pid);
      resolve(ending);
    });
  });
  const running: RunningChild = {
    process: child,
    ended,
    ending: () => ending,
    written,
    ranMs: () => performance.now() - startedAt,
    tail: () => tailOf(written(), logFile),
    stop: async () => {
      if (ending !== undefined) return;
      child.kill(options.stopSignal ?? 'SIGTERM');
      child.stdin?.end();
      const timer = setTimeout(() => child.kill('SIGKILL'), options.stopWithinMs);
      await ended;
      clearTimeout(timer);
    },
  };
  try {
    await untilReady(options, running);
  } catch (error) {
    // Nobody else knows of it yet: it must not run on unwatched, whatever was wrong.
    await running.stop();
    throw error;
  }
  return running;
}

/** @throws StackError CHILD_CRASHED or CHILD_NOT_READY, what `isReady` throws, and the reason of the signal */
async function untilReady(
  { name, isReady, readyWithinMs, signal }: ChildOptions,
  running: RunningChild,
): Promise<void> {
  while (!(await isReady(running.written()))) {
    const ending = running.ending();
    if (ending !== undefined)
      throw new StackError('CHILD_CRASHED', `${name} ${ending} while starting.\n${running.tail()}`);
    signal?.throwIfAborted();
    if (running.ranMs() > readyWithinMs) {
      const seconds = Math.round(readyWithinMs / 1000);
      throw new StackError(
        'CHILD_NOT_READY',
        `${name} was not ready within ${seconds} s.\n${running.tail()}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, READY_POLL_MS));
  }
}

/** The full path of a program. @throws StackError TOOL_MISSING, with the Debian package that brings it */
export function findTool(command: string, debianPackage: string): string {
  const found = spawnSync('/bin/sh', ['-c', 'command -v "$0"', command], { encoding: 'utf8' });
  if (found.status === 0) return found.stdout.trim();
  throw new StackError(
    'TOOL_MISSING',
    `${command} is not installed. On Debian or Ubuntu: apt-get install ${debianPackage}`,
  );
}

/** With util-linux's setpriv the kernel ends the child when this process dies, however it dies; the pid list is for a Linux without it. */
function dyingWithParent(options: ChildOptions): { command: string; args: readonly string[] } {
  const variables = Object.entries(options.environment ?? {}).map(([name, value]) => `${name}=${value}`);
  const launched =
    variables.length === 0
      ? [options.command, ...options.args]
      : ['/usr/bin/env', ...variables, options.command, ...options.args];
  if (process.platform === 'linux' && existsSync(SETPRIV)) launched.unshift(SETPRIV, '--pdeathsig', 'TERM');
  const [command, ...args] = launched;
  return { command: command!, args };
}

function rotate(logFile: string): void {
  if (existsSync(logFile) && statSync(logFile).size > LOG_BYTES_MAX) renameSync(logFile, `${logFile}.1`);
}

function tailOf(log: string, logFile: string): string {
  const lines = log.trimEnd().split('\n').slice(-TAIL_LINES);
  return [
    `The last lines of ${path.relative(process.cwd(), logFile)}:`,
    ...lines.map((line) => `  ${line}`),
  ].join('\n');
}
