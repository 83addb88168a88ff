// Where the real data sets are: beside the checkout. A test that needs one says so when it is not there.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const SHARED = new URL('../../../shared/', import.meta.url);

/**
 * A file that is handed out beside the checkout.
 * @returns its path, or null after a printed line that the run's gate counts
 */
export function besideCheckout(path: string): string | null {
  const file = fileURLToPath(new URL(path, SHARED));
  if (existsSync(file)) return file;
  console.log(`SKIPPED-NEEDS-SHARED: ${path} is not beside the checkout`);
  return null;
}

/** The path of a file of the data sets, or null as above. */
export const sharedFile = (path: string): string | null => besideCheckout(`data/${path}`);
