// The executable `flywheel`: loads only the command that was asked for, and all of them for the overview.

import { Command } from 'commander';

interface CommandModule {
  /** Adds the command with its options and action. */
  register(program: Command): void;
}

/** Three commands of one file. */
const control = (): Promise<CommandModule> => import('./control.ts');

/** Lazy, because some commands bring native modules that others do not need. */
const COMMANDS: Record<string, () => Promise<CommandModule>> = {
  up: () => import('./up.ts'),
  status: () => import('./status.ts'),
  pause: control,
  resume: control,
  rewind: control,
  stream: () => import('./stream.ts'),
  serve: () => import('./serve.ts'),
  jobs: () => import('./jobs.ts'),
  backfill: () => import('./backfill.ts'),
  deliveries: () => import('./deliveries.ts'),
  keys: () => import('./keys.ts'),
  tail: () => import('./tail.ts'),
  migrate: () => import('./migrate.ts'),
  export: () => import('./export.ts'),
  import: () => import('./import.ts'),
  replay: () => import('./replay.ts'),
  verify: () => import('./verify.ts'),
  bench: () => import('./bench.ts'),
};

/** What runs until it is told to end must not end because a line about it has no room, or nobody who reads it. */
const RUNS_ON: readonly string[] = ['up', 'serve', 'stream', 'jobs'];
const NOT_WRITTEN: readonly string[] = ['ENOSPC', 'EDQUOT', 'EIO', 'EPIPE'];

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (RUNS_ON.includes(process.argv[2] ?? '') && NOT_WRITTEN.includes(error.code ?? '')) return;
    // `flywheel … | head`: whoever reads has gone, and that is no fault.
    if (stream === process.stdout && error.code === 'EPIPE') process.exit(0);
    throw error;
  });
}

async function main(): Promise<void> {
  const program = new Command('flywheel')
    .description(
      'A real-time growth engine for B2B marketplaces: state that decisions need, fresh within a second.',
    )
    .showHelpAfterError('--help tells which commands and options there are.');
  const asked = process.argv[2] ?? '';
  const load = Object.hasOwn(COMMANDS, asked) ? COMMANDS[asked] : undefined;
  const loads = load === undefined ? [...new Set(Object.values(COMMANDS))] : [load];
  for (const module of await Promise.all(loads.map((each) => each()))) module.register(program);
  await program.parseAsync();
}

main().catch((error: unknown) => {
  const expected = error instanceof Error && 'code' in error;
  process.stderr.write(
    `${error instanceof Error ? (expected ? error.message : error.stack) : String(error)}\n`,
  );
  // A command that failed leaves clients open, which would keep the process alive.
  process.exit(1);
});
