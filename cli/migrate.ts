// `flywheel migrate`: topics, tables and definitions of a namespace, as this version needs them.
import type { Command } from 'commander';
import { readConfig } from '../platform/config.ts';
import { migrate } from '../platform/migrate.ts';

interface Options {
  readonly definitions?: string;
  readonly namespace?: string;
}

/** Adds the command. */
export function register(program: Command): void {
  program
    .command('migrate')
    .description('make topics and tables, and publish the definitions that differ; may be run at any time')
    .option('--definitions <folder>', 'holds <type>/<id>.json (default: those of the project)')
    .option('--namespace <name>', 'the data set to migrate (default: FLYWHEEL_NAMESPACE)')
    .action(async ({ definitions, namespace }: Options) => {
      const config = readConfig();
      await migrate({
        config: namespace === undefined ? config : { ...config, namespace },
        ...(definitions === undefined ? {} : { definitionsDir: definitions }),
        print: (line) => process.stdout.write(`${line}\n`),
      });
    });
}
