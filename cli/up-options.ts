// What can be asked of `flywheel up`: its options, read and checked.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { readConfig } from '../platform/config.ts';
import { formatAndFile, formats } from './feed/sources.ts';
import { parseIsoTime } from './iso-time.ts';

/** More would take days to feed. */
const BUYERS_MAX = 10_000_000;

export interface UpOptions {
  dir?: string;
  once?: boolean;
  replay?: Replay;
  namespace?: string;
  verify?: boolean;
  until?: number;
  buyers?: number;
  ports: 'default' | 'ephemeral';
  stepsBefore: number;
}

export interface Replay {
  format: string;
  file: string;
}

/** Holds data, logs and keys. */
export function dirOf({ dir }: UpOptions): string {
  return path.resolve(dir ?? readConfig().dir);
}

function parseReplay(text: string): Replay {
  const { format, file } = formatAndFile(text);
  if (format === '' || file === undefined || file === '')
    throw new InvalidArgumentError('must be FORMAT:FILE, such as rees46:events.csv.gz');
  if (!formats.includes(format))
    throw new InvalidArgumentError(`has no format ${format}; there are ${formats.join(', ')}`);
  const found = path.resolve(file);
  if (!existsSync(found)) throw new InvalidArgumentError(`names ${found}, which is not there`);
  return { format, file: found };
}

function parseBuyers(text: string): number {
  const buyers = Number(text);
  if (!/^\d+$/.test(text) || buyers < 1 || buyers > BUYERS_MAX) {
    throw new InvalidArgumentError(`must be a whole number from 1 to ${BUYERS_MAX}`);
  }
  return buyers;
}

function parsePorts(text: string): 'default' | 'ephemeral' {
  if (text !== 'default' && text !== 'ephemeral')
    throw new InvalidArgumentError('must be default or ephemeral');
  return text;
}

/** Adds them to the command. */
export function addUpOptions(command: Command): Command {
  return command
    .option('--dir <folder>', 'holds data, logs and keys (default: FLYWHEEL_DIR or .flywheel)')
    .option('--once', 'stop when all has arrived; the last line is the summary as JSON')
    .option(
      '--replay <FORMAT:FILE>',
      'feed a real data set instead of the simulated marketplace',
      parseReplay,
    )
    .option('--namespace <name>', 'the data set to work on (default: the format of --replay, or default)')
    .option('--verify', 'check everything with `flywheel verify`; a difference gives exit code 1')
    .option('--until <time>', 'with --replay: end with the clock at this time (ISO 8601)', parseIsoTime)
    .option('--buyers <n>', 'size of the simulated marketplace (default: 20000)', parseBuyers)
    .option('--ports <which>', 'default, or ephemeral for any free ones', parsePorts, 'default' as const)
    .addOption(command.createOption('--steps-before <n>').argParser(Number).default(0).hideHelp());
}
