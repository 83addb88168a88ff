// How a command that runs until it is told to end does so: on SIGTERM or SIGINT with 0; with 1 where it can no longer do its
// work, so that whoever supervises it starts another one.

interface Running {
  /** What the line says that tells it is ready. */
  readonly ready: Readonly<Record<string, unknown>>;
  close(): Promise<void>;
}

export interface ProcessWork {
  /** @param fatal told when the work can not go on; @param signal aborted when it is to end: then it rejects, if it is not ready yet */
  start(fatal: (error: Error) => void, signal: AbortSignal): Promise<Running>;
  readonly onError: (message: string) => void;
  /** After so long a close is given up, with 1. */
  readonly closeMsMax: number;
}

/** What it needs of Node's `process`. */
export interface Host {
  once(signal: 'SIGTERM' | 'SIGINT', listener: () => void): unknown;
  readonly stdout: { write(text: string): unknown };
  exit(code: number): unknown;
}

/** Resolves with the exit code when everything is closed. @throws what `start` throws, and what `close` does */
async function runToItsEnd({ start, onError, closeMsMax }: ProcessWork, host: Host): Promise<number> {
  const ending = new AbortController();
  let code = 0;
  const end = (): void => {
    if (ending.signal.aborted) return;
    setTimeout(() => host.exit(1), closeMsMax).unref();
    ending.abort();
  };
  const fatal = (error: Error): void => {
    onError(error.message);
    code = 1;
    end();
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) host.once(signal, end);
  const asked = new Promise((resolve) => ending.signal.addEventListener('abort', resolve));
  const running = await start(fatal, ending.signal).catch((error: unknown) => {
    if (!ending.signal.aborted) throw error;
  });
  if (running === undefined) return code;
  host.stdout.write(`${JSON.stringify(running.ready)}\n`);
  await asked;
  await running.close();
  return code;
}

/** Runs until a signal, or until the work can not go on; then closes, and ends the process. */
export async function runProcess(work: ProcessWork, host: Host = process): Promise<void> {
  host.exit(await runToItsEnd(work, host));
}
