// `flywheel jobs`: one candidate for the work by the clock, until SIGTERM or SIGINT.
import type { Command } from 'commander';
import { type JobsLog, startJobs } from '../jobs/main.ts';
import { type Config, readConfig } from '../platform/config.ts';
import { runProcess } from './run-process.ts';

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

async function runJobsCommand(config: Config): Promise<void> {
  await runProcess({
    async start(_fatal, signal) {
      const jobs = await startJobs(config, log, signal);
      const ready = { ready: 'jobs', namespace: jobs.namespace.name, metrics: jobs.metricsUrl };
      return { ready, close: jobs.close };
    },
    onError: line('error'),
    closeMsMax: CLOSE_MS_MAX,
  });
}

export function register(program: Command): void {
  program
    .command('jobs')
    .description('send triggers to their receivers, one leader among all that run; runs until SIGTERM')
    .action(async () => runJobsCommand(readConfig()));
}
