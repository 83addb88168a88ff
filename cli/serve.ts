// `flywheel serve`: one process of the HTTP API, until SIGTERM or SIGINT.
import type { Command } from 'commander';
import { type Config, readConfig } from '../platform/config.ts';
import type { ServeLog } from '../serve/dependencies.ts';
import { startServe } from '../serve/main.ts';
import { runProcess } from './run-process.ts';

const CLOSE_MS_MAX = 20_000;

function line(level: 'info' | 'warn' | 'error') {
  return (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
    process.stderr.write(
      `${JSON.stringify({ level, time: new Date().toISOString(), message, ...fields })}\n`,
    );
  };
}

const log: ServeLog = { info: line('info'), warn: line('warn'), error: line('error') };

async function runServeCommand(config: Config): Promise<void> {
  await runProcess({
    async start(fatal, signal) {
      const serving = await startServe(config, log, { onFatal: fatal, signal });
      const ready = { ready: 'serve', namespace: serving.namespace.name, url: serving.url };
      return { ready, close: serving.close };
    },
    onError: log.error,
    closeMsMax: CLOSE_MS_MAX,
  });
}

export function register(program: Command): void {
  program
    .command('serve')
    .description('the HTTP API: collect, assignments, bids, budgets, triggers, reports; runs until SIGTERM')
    .action(async () => runServeCommand(readConfig()));
}
