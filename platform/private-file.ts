// Files of keys and secrets: readable by their owner alone, changed by one process at a time, there whole or not at all.
import { existsSync } from 'node:fs';
import { mkdir, open, rename, unlink } from 'node:fs/promises';
import path from 'node:path';
import { PlatformError } from './platform-error.ts';

const OWNER_ONLY = 0o600;
/** A change takes milliseconds; who waits longer for another one waits for a process that died. */
const LOCK_WAIT_MS = 5_000;
const LOCK_RETRY_MS = 20;

/**
 * Whoever makes the file beside it holds the lock; answers how to let go. One whose holder died is not taken over: two who try
 * could both succeed.
 * @throws PlatformError KEYS_LOCKED
 */
export async function lockFile(file: string): Promise<() => Promise<void>> {
  await mkdir(path.dirname(path.resolve(file)), { recursive: true });
  const lock = `${file}.lock`;
  const untilMs = performance.now() + LOCK_WAIT_MS;
  for (;;) {
    try {
      const handle = await open(lock, 'wx', OWNER_ONLY);
      await handle.close();
      return () => unlink(lock);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
      if (performance.now() > untilMs) {
        const advice = `another process changes ${file}: ${lock} has been there for ${LOCK_WAIT_MS / 1_000} s. If none does, remove it and try again`;
        throw new PlatformError('KEYS_LOCKED', advice, { cause });
      }
    }
    await new Promise((resolve) => setTimeout(resolve, LOCK_RETRY_MS));
  }
}

/** What stands in `.flywheel`, where older versions looked whatever FLYWHEEL_DIR said, and not at `file`; undefined if nothing does. */
export function elsewhere(file: string): string | undefined {
  const former = path.join('.flywheel', path.basename(file));
  return path.resolve(former) !== path.resolve(file) && existsSync(former) ? former : undefined;
}

/** The same where there is no `file`. */
export function leftBehind(file: string): string | undefined {
  return existsSync(file) ? undefined : elsewhere(file);
}

/** What to do about a file that stands where older versions looked, which may be this installation's or another's. */
export function adviceOn(former: string, variable: string): string {
  return `older versions looked for it in .flywheel whatever FLYWHEEL_DIR says: if what ${former} holds belongs here, move that file, or name it with ${variable}`;
}

/** The file appears whole and private, or not at all, whatever happens to the machine. */
export async function writePrivate(file: string, content: unknown): Promise<void> {
  await mkdir(path.dirname(path.resolve(file)), { recursive: true });
  const unfinished = `${file}.${process.pid}.new`;
  const handle = await open(unfinished, 'w', OWNER_ONLY);
  try {
    await handle.writeFile(`${JSON.stringify(content, null, 2)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(unfinished, file);
}
