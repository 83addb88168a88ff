// `flywheel jobs`: one candidate for the work by the clock, until SIGTERM or SIGINT.
import type { Command } from 'commander';
import { type JobsLog, startJobs } from '../jobs/main.ts';
import { type Config, readConfig } from '../platform/config.ts';

const CLOSE_MS_MAX = 20_000;

function line(level: 'info' | 'warn' | 'error') {
  return (message: string): void => {
    process.stderr.write(`${JSON.stringify({ level, time: new Date().toISOString(), message })}\n`);
  };
}

const log: JobsLog = {
  info: line('info'),
  warn: line('warn'),
  error: line('error'),
  fatal(error) {
    line('error')(error.message);
    process.exit(1);
  },
};

function waitForSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  });
}

/** Runs until a signal; resolves when everything is closed. */
export async function runJobsCommand(config: Config): Promise<void> {
  const stopped = waitForSignal();
  const jobs = await startJobs(config, log);
  process.stdout.write(
    `${JSON.stringify({ ready: 'jobs', namespace: jobs.namespace.name, metrics: jobs.metricsUrl })}\n`,
  );
  await stopped;
  setTimeout(() => process.exit(1), CLOSE_MS_MAX).unref();
  await jobs.close();
}

export function register(program: Command): void {
  program
    .command('jobs')
    .description('send triggers to their receivers, one leader among all that run; runs until SIGTERM')
    .action(async () => runJobsCommand(readConfig()));
}
