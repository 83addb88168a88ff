// The file that keeps packages from starting their services is gone when the installation ends, however it ends: left behind, it
// would keep every later package of the machine from starting its own.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

const bin = (name: string): string => new URL(`../../bin/${name}`, import.meta.url).href;

let dir: string;
let policy: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), 'flywheel-policy-'));
  policy = path.join(dir, 'policy-rc.d');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Installs by what `install` is as source; says `began` from within it. */
function installing(install: string) {
  const source = `
    import { withoutServices } from ${JSON.stringify(bin('no-services.js'))};
    import { runLogged } from ${JSON.stringify(bin('steps.js'))};
    const began = () => process.stdout.write('began\\n');
    await withoutServices([], async () => { ${install} }, ${JSON.stringify(policy)});`;
  return spawn(process.execPath, ['--input-type=module', '--eval', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

const INSTALLS_LONG = `const ends = runLogged('no-services-test', 'sleep', ['10']); began(); await ends;`;

it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s in the middle takes it away', async (signal) => {
  const child = installing(INSTALLS_LONG);
  await once(child.stdout, 'data');
  expect(existsSync(policy)).toBe(true);
  child.kill(signal);
  await once(child, 'close');
  expect(existsSync(policy)).toBe(false);
});

it('one that a killed start left is taken away by the next', async () => {
  const killed = installing(INSTALLS_LONG);
  await once(killed.stdout, 'data');
  killed.kill('SIGKILL');
  await once(killed, 'close');
  expect(existsSync(policy)).toBe(true);
  const [code] = await once(installing('began();'), 'close');
  expect([code, existsSync(policy)]).toEqual([0, false]);
});

it('one of somebody else stays as it was', async () => {
  const theirs = '#!/bin/sh\nexit 101\n';
  writeFileSync(policy, theirs);
  const [code] = await once(installing('began();'), 'close');
  expect([code, readFileSync(policy, 'utf8')]).toEqual([0, theirs]);
});
