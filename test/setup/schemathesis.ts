// schemathesis in a Python environment of its own under .flywheel/, made once.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';

const VERSION = '4.32.5';
const FOLDER = path.resolve('.flywheel', 'tools', `schemathesis-${VERSION}`);

function run(command: string, args: readonly string[]): void {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}: ${stdout}${stderr}`);
}

/** @returns the program's path. @throws Error with pip's words if it cannot be installed */
export function ensureSchemathesis(): string {
  const program = path.join(FOLDER, 'bin', 'schemathesis');
  if (existsSync(program)) return program;
  run('python3', ['-m', 'venv', '--clear', FOLDER]);
  run(path.join(FOLDER, 'bin', 'pip'), ['install', '--quiet', `schemathesis==${VERSION}`]);
  return program;
}
