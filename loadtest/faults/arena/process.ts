// A `flywheel` command as a process of its own that a fault may kill, stop and start again: nobody supervises it. It is the
// built one (the long form and the tests see to it that it is built), which starts in half the time.
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** What is kept of what it says: the beginning has the line of readiness, the end says why it ended. */
const ERRORS_CHARACTERS_MAX = 256 * 1024;

const MAIN = fileURLToPath(
  new URL(
    import.meta.url.endsWith('.js') ? '../../../cli/main.js' : '../../../dist/cli/main.js',
    import.meta.url,
  ),
);

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface FlywheelProcess {
  readonly name: string;
  readonly pid: number;
  /** The line of JSON that the command prints when it is ready. Rejects if it ends before. */
  readonly ready: Promise<Record<string, unknown>>;
  readonly ended: Promise<Ended>;
  isRunning(): boolean;
  errors(): string;
  signal(name: NodeJS.Signals): void;
  /** `kill -9`; resolves when it is gone. */
  kill(): Promise<Ended>;
  /** Asks it to end (SIGTERM) and waits. */
  stop(): Promise<Ended>;
}

/** @param environment beside PATH, all that the command sees */
export function startProcess(
  name: string,
  command: string,
  environment: Readonly<Record<string, string>>,
): FlywheelProcess {
  const child: ChildProcess = spawn(process.execPath, ['--enable-source-maps', MAIN, command], {
    env: { PATH: process.env.PATH, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let errors = '';
  let isRunning = true;
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code, signal) => {
      isRunning = false;
      resolve({ code, signal });
    });
  });
  const ready = new Promise<Record<string, unknown>>((resolve, reject) => {
    child.stdout!.on('data', (chunk: Buffer) => {
      if (output.includes('\n')) return;
      output += chunk.toString('utf8');
      const line = output.split('\n').find((each) => each.startsWith('{"ready"'));
      if (line !== undefined && output.includes(`${line}\n`)) resolve(JSON.parse(line));
    });
    void ended.then(({ code, signal }) =>
      reject(new Error(`${name} ended (${code ?? signal}) before it was ready: ${errors}`)),
    );
  });
  // Who kills it while it starts does not ask for readiness.
  ready.catch(() => {});
  child.stderr!.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString('utf8')).slice(-ERRORS_CHARACTERS_MAX);
  });
  const signal = (signalName: NodeJS.Signals): void => {
    child.kill(signalName);
  };
  return {
    name,
    pid: child.pid!,
    ready,
    ended,
    isRunning: () => isRunning,
    errors: () => errors,
    signal,
    kill() {
      signal('SIGKILL');
      return ended;
    },
    stop() {
      signal('SIGTERM');
      return ended;
    },
  };
}
