// One process at a time prepares this clone: two that install packages at once break each other's.
// The lock is one empty file whose name says who holds it, and it changes hands by being renamed: of those who try at
// once one succeeds, and what a killed process holds is taken over like what is free.

import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { STATE, StepError } from './steps.js';

const FOLDER = path.join(STATE, 'preparing');
const FREE = 'free';
const LOOK_EVERY_MS = 200;
/** The first start of a slow machine takes a quarter of an hour. */
const WAIT_MS_MAX = 60 * 60_000;

/**
 * Runs `work` while no other process of this clone runs its own; says so when it has to wait.
 * @template Result
 * @param {() => Promise<Result>} work
 * @returns {Promise<Result>}
 */
export async function alone(work) {
  const own = nameOf(process.pid);
  await take(own);
  try {
    return await work();
  } finally {
    renameSync(path.join(FOLDER, own), path.join(FOLDER, FREE));
  }
}

async function take(own) {
  makeFolder();
  const untilMs = performance.now() + WAIT_MS_MAX;
  let told;
  for (;;) {
    const [holder] = readdirSync(FOLDER);
    if (holder !== undefined && !isHeld(holder) && moved(holder, own)) return;
    if (holder !== undefined && holder !== told && isHeld(holder)) {
      told = holder;
      const [pid] = holder.split('-');
      process.stderr.write(`waiting for process ${pid}, which installs or builds in this folder …\n`);
    }
    if (performance.now() > untilMs)
      throw new StepError(`Another process still installs or builds here after an hour; see ${FOLDER}.`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

/** It appears with the lock in it, by a rename that fails where somebody was first: there is one lock and no second. */
function makeFolder() {
  if (existsSync(FOLDER)) return;
  const fresh = `${FOLDER}.${process.pid}`;
  mkdirSync(fresh, { recursive: true });
  writeFileSync(path.join(fresh, FREE), '');
  try {
    renameSync(fresh, FOLDER);
  } catch (error) {
    if (!existsSync(FOLDER)) throw error;
    rmSync(fresh, { recursive: true });
  }
}

function moved(from, to) {
  try {
    renameSync(path.join(FOLDER, from), path.join(FOLDER, to));
    return true;
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    return false;
  }
}

function isHeld(name) {
  return name !== FREE && nameOf(Number(name.split('-')[0])) === name;
}

/** The pid, and where the system tells it the time of its start: a pid is given again. Undefined for one that has ended. */
function nameOf(pid) {
  try {
    if (process.platform !== 'linux') {
      process.kill(pid, 0);
      return String(pid);
    }
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold spaces; field 22 (start time) is the 20th after it, field 3 (state) the first.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : `${pid}-${fields[19]}`;
  } catch {
    return undefined;
  }
}
