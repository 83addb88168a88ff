// A fault that is misspelled is no run in which all alerts fired.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

it('npm run alerts says which faults there are where none is meant', () => {
  const script = fileURLToPath(new URL('../../loadtest/alerts/run.ts', import.meta.url));
  const { status, stdout } = spawnSync(process.execPath, ['--import', 'tsx', script, 'no such thing'], {
    encoding: 'utf8',
    timeout: 100_000,
  });
  expect([status, stdout]).toEqual([1, expect.stringContaining('the keys file is broken by hand')]);
});
