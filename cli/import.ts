// `flywheel import definitions`: puts a folder of files in force, after it has shown what that would change.
import { createInterface } from 'node:readline/promises';
import { Argument, type Command } from 'commander';
import { readConfig } from '../platform/config.ts';
import { PlatformError } from '../platform/platform-error.ts';
import { applyImport, describePlan, type ImportPlan, planImport } from './definitions.ts';
import { type ServeOptions, serveOf } from './secret-key.ts';

interface Options extends ServeOptions {
  readonly plan?: boolean;
  readonly yes?: boolean;
  readonly keepOthers?: boolean;
  readonly author?: string;
  readonly reason?: string;
}

async function isWanted(): Promise<boolean> {
  if (process.stdin.isTTY !== true) {
    process.stderr.write('nothing was changed: nobody can be asked here; --yes applies the plan\n');
    return false;
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question('Apply this? Only "yes" does: ').finally(() => terminal.close());
  return answer.trim() === 'yes';
}

function report(plan: ImportPlan, applied: boolean): void {
  const { changes, unchanged } = plan;
  process.stdout.write(`${JSON.stringify({ applied, changes, unchanged })}\n`);
}

async function importDefinitions(_what: string, dir: string, options: Options): Promise<void> {
  const target = await serveOf(readConfig(), options);
  const { author, reason, keepOthers = false } = options;
  if (reason === undefined && options.plan !== true)
    throw new PlatformError(
      'DEFINITION_INVALID',
      'a change says why: give --reason (with --plan, which only shows what would change, it need not)',
    );
  const importing = { folder: dir, keepOthers, author, reason: reason ?? 'a plan' };
  const plan = await planImport(target, importing);
  process.stderr.write(`${describePlan(plan)}\n`);
  if (options.plan === true || plan.changes.length === 0) return report(plan, false);
  if (options.yes !== true && !(await isWanted())) {
    process.exitCode = 1;
    return report(plan, false);
  }
  await applyImport(target, plan);
  report(plan, true);
}

/** Adds the command. */
export function register(program: Command): void {
  program
    .command('import')
    .description('show what the files of a folder would change, and put them in force')
    .addArgument(new Argument('<what>', 'what to read').choices(['definitions']))
    .argument('<dir>', 'holds <type>/<id>.json; what is in force and not in it is withdrawn')
    .option('--plan', 'only show what would change')
    .option('--yes', 'apply the plan without asking')
    .option('--keep-others', 'leave alone what the folder does not hold')
    .option('--author <name>', 'who makes the change (default: the name of the key)')
    .option('--reason <text>', 'why; needed but for --plan')
    .option('--url <url>', 'address of serve (default: FLYWHEEL_URL, or SERVE_HOST and SERVE_PORT)')
    .option('--keys-file <file>', 'holds the secret key (default: SECRET_KEY, or keys.json in FLYWHEEL_DIR)')
    .action(importDefinitions);
}
