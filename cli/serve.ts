// `flywheel serve`: one process of the HTTP API, until SIGTERM or SIGINT.
import type { Command } from 'commander';
import { type Config, readConfig } from '../platform/config.ts';
import type { ServeLog } from '../serve/dependencies.ts';
import { startServe } from '../serve/main.ts';

const CLOSE_MS_MAX = 20_000;

function line(level: 'info' | 'warn' | 'error') {
  return (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
    process.stderr.write(
      `${JSON.stringify({ level, time: new Date().toISOString(), message, ...fields })}\n`,
    );
  };
}

const log: ServeLog = { info: line('info'), warn: line('warn'), error: line('error') };

function waitForSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  });
}

/** Runs until a signal; resolves when everything is closed. */
export async function runServeCommand(config: Config): Promise<void> {
  const stopped = waitForSignal();
  const serving = await startServe(config, log);
  process.stdout.write(
    `${JSON.stringify({ ready: 'serve', namespace: serving.namespace.name, url: serving.url })}\n`,
  );
  await stopped;
  setTimeout(() => process.exit(1), CLOSE_MS_MAX).unref();
  await serving.close();
}

export function register(program: Command): void {
  program
    .command('serve')
    .description('the HTTP API: collect, assignments, bids, budgets, triggers, reports; runs until SIGTERM')
    .action(async () => runServeCommand(readConfig()));
}
