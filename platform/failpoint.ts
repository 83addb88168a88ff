// Failpoints: named places where a test kills the process, as `kill -9` would, or stops it until it is told to go on.
import { writeSync } from 'node:fs';

/** Dies by SIGKILL (or stands still) if this is the failpoint that was configured, and the time. `detail` goes with the last words. */
export type Failpoint = (name: string, detail?: string) => void;

/** The failpoint of every real run. */
export const neverFails: Failpoint = () => {};

const SPECIFICATION = /^([A-Za-z][A-Za-z0-9-]*)(?::([1-9]\d*))?(@stop)?$/;

/**
 * Makes the process's failpoint from its setting: empty (never), `name` (the first time) or `name:n` (the n-th
 * time); with `@stop` behind it, SIGSTOP instead of SIGKILL, once.
 * @throws Error if the setting is neither
 */
export function createFailpoint(setting: string): Failpoint {
  if (setting === '') return neverFails;
  const [, wanted, times, stop] = SPECIFICATION.exec(setting) ?? [];
  if (wanted === undefined)
    throw new Error(`the failpoint ${JSON.stringify(setting)} must be \`name\` or \`name:n\``);
  let left = Number(times ?? 1);
  return (name, detail = '') => {
    if (name !== wanted) return;
    left -= 1;
    if (left > 0 || (stop !== undefined && left < 0)) return;
    writeSync(
      2,
      `failpoint ${setting}: ${stop === undefined ? 'killing' : 'stopping'} this process; ${detail}\n`,
    );
    if (stop !== undefined) {
      process.kill(process.pid, 'SIGSTOP');
      return;
    }
    process.kill(process.pid, 'SIGKILL');
    // The signal is delivered by the kernel; not one more instruction of ours may take effect before it.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  };
}
