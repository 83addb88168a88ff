// A `flywheel` command as a process of its own: what tests kill, stop and start again. It is the built one (test/setup/stack.ts
// sees to it that it is built from the sources as they are), which starts in half the time.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Child {
  readonly pid: number;
  /** The line of JSON that the command prints when it is ready. Rejects if it ends before, or is not ready for a minute. */
  readonly ready: Promise<Record<string, unknown>>;
  /** Rejects, too: if it has not ended 100 s after this was asked for. */
  readonly ended: Promise<Ended>;
  output(): string;
  errors(): string;
  /** Resolves when `text` stands in what it wrote to standard error. */
  untilSaid(text: string, timeoutMs?: number): Promise<void>;
  signal(name: NodeJS.Signals): void;
  /** Asks it to end (SIGTERM) and waits, for half a minute at most. */
  stop(): Promise<Ended>;
}

const SAID_CHECK_MS = 20;
const READY_MS_MAX = 60_000;
/** Every command ends by itself within 20 s. */
const STOP_MS_MAX = 30_000;
const ENDED_MS_MAX = 100_000;
const MAIN = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url));
const running = new Set<ChildProcess>();

/** Ends what a failed test left running; for `afterEach`. */
export async function endChildren(): Promise<void> {
  await Promise.all(
    [...running].map(
      (child) =>
        new Promise<void>((resolve) => {
          child.once('exit', () => resolve());
          child.kill('SIGKILL');
        }),
    ),
  );
}

/** @param environment beside PATH, all that the command sees; @param errorsTo a file for its standard error, not seen by `errors` */
export function startChild(
  command: string,
  environment: Record<string, string>,
  args: string[] = [],
  errorsTo?: string,
): Child {
  const stderr = errorsTo === undefined ? 'pipe' : openSync(errorsTo, 'a');
  const child = spawn(process.execPath, ['--enable-source-maps', MAIN, command, ...args], {
    env: { PATH: process.env.PATH, ...environment },
    stdio: ['ignore', 'pipe', stderr],
  });
  if (typeof stderr === 'number') closeSync(stderr);
  running.add(child);
  let output = '';
  let errors = '';
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code, signal) => {
      running.delete(child);
      resolve({ code, signal });
    });
  });
  /** Rejects, and says what it said, if `what` takes longer. */
  const within = <Value>(what: Promise<Value>, mostMs: number, late: string): Promise<Value> => {
    let timer: NodeJS.Timeout;
    const tooLate = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${command} ${late} in ${mostMs} ms: ${errors}`)), mostMs);
    });
    return Promise.race([what, tooLate]).finally(() => clearTimeout(timer));
  };
  const printed = new Promise<Record<string, unknown>>((resolve, reject) => {
    child.stdout!.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
      const line = output.split('\n').find((each) => each.startsWith('{"ready"'));
      if (line !== undefined && output.includes(`${line}\n`)) resolve(JSON.parse(line));
    });
    void ended.then(({ code, signal }) =>
      reject(new Error(`${command} ended (${code ?? signal}) before it was ready: ${errors}`)),
    );
  });
  const ready = within(printed, READY_MS_MAX, 'was not ready');
  // A test that expects the end does not ask for readiness.
  ready.catch(() => {});
  child.stderr?.on('data', (chunk: Buffer) => {
    errors += chunk.toString('utf8');
  });
  return {
    pid: child.pid!,
    ready,
    get ended() {
      return within(ended, ENDED_MS_MAX, 'did not end');
    },
    output: () => output,
    errors: () => errors,
    async untilSaid(text, timeoutMs = 20_000) {
      const untilMs = performance.now() + timeoutMs;
      while (!errors.includes(text)) {
        if (performance.now() > untilMs)
          throw new Error(`${command} did not say ${JSON.stringify(text)} but: ${errors}`);
        await new Promise((resolve) => setTimeout(resolve, SAID_CHECK_MS));
      }
    },
    signal: (name) => child.kill(name),
    stop() {
      child.kill('SIGTERM');
      return within(ended, STOP_MS_MAX, 'did not end');
    },
  };
}
