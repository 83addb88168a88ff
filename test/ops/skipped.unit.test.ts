// What is skipped is said: the run's gate knows of a test that did not run by the line that is printed for it, and by nothing else.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const TESTS = fileURLToPath(new URL('../', import.meta.url));
/** But for what only some systems have, which is there wherever that gate runs. */
const SKIPS = /\.(skipIf|runIf)\((?!process\.platform|existsSync\('\/dev\/)/;
/** Prints the line itself, or has it printed. */
const SAYS = /SKIPPED-NEEDS-SHARED|\b(sharedFile|besideCheckout)\(/;

it('a test that is skipped for want of something says so', () => {
  const files = readdirSync(TESTS, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.test.ts'),
  );
  const skipping = files.filter((name) => SKIPS.test(readFileSync(`${TESTS}${name}`, 'utf8')));
  expect(skipping).toContain('serve/collect-clients.test.ts');
  expect(skipping.filter((name) => !SAYS.test(readFileSync(`${TESTS}${name}`, 'utf8')))).toEqual([]);
});
