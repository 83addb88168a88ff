// `flywheel export definitions`: what is in force, as files.
import { Argument, type Command } from 'commander';
import { readConfig } from '../platform/config.ts';
import { exportDefinitions } from './definitions.ts';
import { type ServeOptions, serveOf } from './secret-key.ts';

/** Adds the command. */
export function register(program: Command): void {
  program
    .command('export')
    .description('write the definitions in force to <dir>/<type>/<id>.json')
    .addArgument(new Argument('<what>', 'what to write').choices(['definitions']))
    .argument('<dir>', 'made if it is not there; files of what is no longer in force are removed')
    .option('--url <url>', 'address of serve (default: FLYWHEEL_URL, or SERVE_HOST and SERVE_PORT)')
    .option('--keys-file <file>', 'holds the secret key (default: SECRET_KEY, or keys.json in FLYWHEEL_DIR)')
    .action(async (_what: string, dir: string, options: ServeOptions) => {
      const exported = await exportDefinitions(await serveOf(readConfig(), options), dir);
      process.stdout.write(`${JSON.stringify(exported)}\n`);
    });
}
