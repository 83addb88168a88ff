// Where the real data sets are: beside the checkout. A test that needs one says so when it is not there.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const DATA = new URL('../../../shared/data/', import.meta.url);

/** The file's path, or null after a printed line that the run's gate counts. */
export function sharedFile(path: string): string | null {
  const file = fileURLToPath(new URL(path, DATA));
  if (existsSync(file)) return file;
  console.log(`SKIPPED-NEEDS-SHARED: ${path} is not beside the checkout`);
  return null;
}
