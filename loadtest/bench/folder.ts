// The folder in which a benchmark keeps what it needs: one benchmark at a time, and nobody else's.
import { existsSync } from 'node:fs';
import { readdir, rm, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { takeFolder } from '../../ops/local/pids.ts';
import { StackError } from '../../ops/local/stack-error.ts';

/** What every start leaves in its folder: by it one knows that the rest is a benchmark's, too. */
const HOLDER = 'holder';

type Print = (line: string) => void;

async function namesIn(dir: string): Promise<string[]> {
  return readdir(dir).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
}

/** While it is held: of one that is cut off the next start still knows whose it was. What begins so is of who tries to take it. */
async function removeWork(dir: string): Promise<void> {
  for (const name of await readdir(dir)) {
    if (!name.startsWith(HOLDER)) await rm(join(dir, name), { recursive: true });
  }
}

/**
 * Ends and removes what a benchmark that was killed has left.
 * @throws StackError FOLDER_IN_USE while one runs there, and for what is not a benchmark's
 */
export async function clearBenchFolder(dir: string, print: Print): Promise<void> {
  const names = await namesIn(dir);
  if (names.length === 0) return;
  if (!names.includes(HOLDER))
    throw new StackError(
      'FOLDER_IN_USE',
      `${dir} holds what no benchmark has left there: move it away, or name another folder with --dir`,
    );
  const { release } = await takeFolder(dir, print);
  try {
    await removeWork(dir);
  } finally {
    release();
  }
}

/** Removes the folder of a benchmark that is over; left where another one has taken it meanwhile. */
export async function removeBenchFolder(dir: string, print: Print): Promise<void> {
  try {
    await takeFolder(dir, print);
    await removeWork(dir);
    // Not all at once: who comes as soon as the lock is free has made it anew, and then it stays.
    const lock = join(dir, HOLDER);
    for (const name of await readdir(lock)) await unlink(join(lock, name));
    await rmdir(lock);
    await rmdir(dir);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'FOLDER_IN_USE' && code !== 'ENOTEMPTY') throw error;
  }
}

/** Of a benchmark of older versions, which worked in `bench`, that was killed: gigabytes, and nobody else tells of them. */
export function tellOfOlderFolder(dir: string, print: Print): void {
  const older = join(dir, 'bench');
  if (existsSync(join(older, 'pids.json')))
    print(
      `${older} is what a benchmark of an older version has left: end what pids.json there names and still runs, and remove it`,
    );
}
