// Packages installed without their services started: Flywheel runs its own, with its own data.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

/** Debian asks it before it starts a service; 101 is no. */
const POLICY = '/usr/sbin/policy-rc.d';
/** With a name to it: base images of containers have one of their own, which stays. */
const DENIES_STARTS = `#!/bin/sh
# By Flywheel, while it installs packages; if it is still here afterwards, remove it.
exit 101
`;

/**
 * A policy that is there already stays as it is, but for one of ours that a start left which was killed. Ours is gone at the
 * end, also where a signal ends this process in the middle.
 * @param {readonly string[]} asRoot what to put before a command to run it as root
 * @param {() => Promise<void>} install
 * @param {string} [file]
 */
export async function withoutServices(asRoot, install, file = POLICY) {
  if (existsSync(file) && readFileSync(file, 'utf8') !== DENIES_STARTS) return install();
  const remove = () => {
    if (asRoot.length === 0) rmSync(file, { force: true });
    else run([...asRoot, 'rm', '-f', file]);
  };
  process.once('exit', remove);
  try {
    if (asRoot.length === 0) writeFileSync(file, DENIES_STARTS, { mode: 0o755 });
    else run([...asRoot, 'install', '-m', '755', '/dev/stdin', file], DENIES_STARTS);
    return await install();
  } finally {
    process.off('exit', remove);
    remove();
  }
}

function run([command, ...args], input = '') {
  spawnSync(command, args, { input });
}
