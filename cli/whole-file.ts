// Files that a later command reads back.
import { mkdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';

/** As JSON, whole or not at all: a kill leaves the one before, and none that is cut. */
export async function writeWholeJson(file: string, content: unknown): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(`${file}.new`, `${JSON.stringify(content, null, 2)}\n`);
  await rename(`${file}.new`, file);
}
