// Folders that are filled beside their place and take it by one rename, so that nobody finds half of one there.

import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { isRunning } from './process-lock.js';

/**
 * An empty folder beside `place` for this process to fill; what processes that have ended left there of theirs is removed.
 * @param {string} place
 * @returns {string} `<place>.<pid>`
 */
export function makeUnfinished(place) {
  const own = `${place}.${process.pid}`;
  const folder = path.dirname(place);
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder)) {
    const pid = Number(name.slice(path.basename(place).length + 1));
    if (name !== `${path.basename(place)}.${pid}`) continue;
    if (pid === process.pid || !isRunning(pid)) rmSync(path.join(folder, name), { recursive: true });
  }
  mkdirSync(own);
  return own;
}
