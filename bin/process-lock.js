// A lock that at most one living process holds: a folder with one empty file, whose name says who holds it. It changes hands
// by that file's being renamed: of those who try at once one succeeds, and what a killed process holds is taken over like what is
// free. The bootstrap needs it before anything is built; the local stack takes its folder by the same.

import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const FREE = 'free';
/** What the system says of another user's process, though it be one that /proc does not show. */
const NOT_OURS = 'EPERM';

/**
 * Takes the lock unless a living process, which may be this one, has it. Never waits.
 * @param {string} lock the folder; made where there is none
 * @returns {{ release: () => void, heldBy?: undefined } | { release?: undefined, heldBy: number }} what gives it back, or the pid of who has it
 */
export function tryLock(lock) {
  const own = nameOf(process.pid);
  // Whoever comes too late for a name finds another one there at the next look: each round is one that somebody has won.
  for (;;) {
    makeFolder(lock);
    const [name] = readdirSync(lock);
    if (name === undefined) continue;
    if (isHeld(name)) return { heldBy: pidOf(name) };
    if (moved(lock, name, own))
      return { release: () => renameSync(path.join(lock, own), path.join(lock, FREE)) };
  }
}

/**
 * The pid of the living process that holds the lock, if one does.
 * @param {string} lock
 * @returns {number | undefined}
 */
export function holderOf(lock) {
  const [name] = existsSync(lock) ? readdirSync(lock) : [];
  return name !== undefined && isHeld(name) ? pidOf(name) : undefined;
}

/**
 * True while a process has that pid.
 * @param {number} pid
 */
export function isRunning(pid) {
  return nameOf(pid) !== undefined || refusalOf(pid) === NOT_OURS;
}

/**
 * Clock ticks between boot and the process's start, which tell a pid that was given again. Undefined for one that has ended, and
 * where there is no /proc.
 * @param {number} pid
 * @returns {string | undefined}
 */
export function startTicksOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold spaces; field 22 (start time) is the 20th after it, field 3 (state) the first, field 20
    // (threads) the 18th. The first thread may have ended before the others, which still hold what the process has open.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' && Number(fields[17]) <= 1 ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

/** It appears with the lock in it, by a rename that fails where somebody was first: there is one lock and no second. */
function makeFolder(lock) {
  if (existsSync(lock) && readdirSync(lock).length > 0) return;
  const fresh = `${lock}.${process.pid}`;
  mkdirSync(fresh, { recursive: true });
  writeFileSync(path.join(fresh, FREE), '');
  try {
    renameSync(fresh, lock);
  } catch (error) {
    rmSync(fresh, { recursive: true });
    if (!existsSync(lock)) throw error;
  }
}

function moved(lock, from, to) {
  try {
    renameSync(path.join(lock, from), path.join(lock, to));
    return true;
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    return false;
  }
}

function isHeld(name) {
  return name !== FREE && nameOf(pidOf(name)) === name;
}

function pidOf(name) {
  return Number(name.split('-')[0]);
}

/** The pid, and where the system tells it the time of its start. Undefined for one that has ended. */
function nameOf(pid) {
  if (process.platform === 'linux') {
    const startTicks = startTicksOf(pid);
    return startTicks === undefined ? undefined : `${pid}-${startTicks}`;
  }
  const refusal = refusalOf(pid);
  return refusal === undefined || refusal === NOT_OURS ? String(pid) : undefined;
}

/** Why it takes no signal of ours; undefined for one that does. */
function refusalOf(pid) {
  try {
    process.kill(pid, 0);
    return undefined;
  } catch (error) {
    return error.code;
  }
}
