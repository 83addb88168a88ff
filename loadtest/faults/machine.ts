// Where and of what a result is.
import { execFile } from 'node:child_process';
import { cpus } from 'node:os';
import { promisify } from 'node:util';

export async function whereMeasured(): Promise<{ machine: string; commit: string }> {
  const commit = await promisify(execFile)('git', ['rev-parse', '--short', 'HEAD']).then(
    ({ stdout }) => stdout.trim(),
    () => 'unknown',
  );
  const [cpu] = cpus();
  return { machine: `${cpus().length} × ${cpu?.model ?? 'unknown'}`, commit };
}
