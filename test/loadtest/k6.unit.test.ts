// What a run of k6 says is of that run, and what k6 needs and is not there is told with what to do.
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ensureK6, runK6 } from '../../loadtest/serve/k6.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'flywheel-k6-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(dir, { recursive: true, force: true });
});

/** A program in the place of another. */
async function program(name: string, script: string): Promise<string> {
  const file = path.join(dir, name);
  await writeFile(file, `#!/bin/sh\n${script}\n`);
  await chmod(file, 0o755);
  return file;
}

const run = (k6: string) => runK6(k6, 'drive.js', {}, { folder: path.join(dir, 'runs'), timed: false });

it('a run that wrote no summary is not told by that of the run before', async () => {
  const writes = await program(
    'writes',
    `for each in "$@"; do case $each in SUMMARY=*) echo '{"requests":7}' > "\${each#SUMMARY=}";; esac; done`,
  );
  const ends = await program('ends', 'exit 99');
  expect(await run(writes)).toEqual({ requests: 7, passed: true });
  await expect(run(ends)).rejects.toThrow('summary.json');
});

it('where Python has no venv it says how to get it', async () => {
  const bin = path.join(dir, 'bin');
  await mkdir(bin);
  await program(path.join('bin', 'python3'), 'echo "ensurepip is not available"; exit 1');
  vi.stubEnv('PATH', `${bin}:/usr/bin:/bin`);
  await expect(ensureK6(dir)).rejects.toThrow('apt-get install python3-venv');
});
