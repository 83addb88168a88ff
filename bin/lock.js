// One process at a time prepares this clone: two that install packages at once break each other's.

import path from 'node:path';
import { holderOf, tryLock } from './process-lock.js';
import { PROJECT, STATE, StepError } from './steps.js';

const LOCK = path.join(STATE, 'preparing');
const LOOK_EVERY_MS = 200;
/** The first start of a slow machine takes a quarter of an hour. */
const WAIT_MS_MAX = 60 * 60_000;

/**
 * Runs `work` while no other process of this clone runs its own; says so when it has to wait. Who is started by the one that has the
 * lock works under it: that one waits for its end.
 * @template Result
 * @param {() => Promise<Result>} work
 * @returns {Promise<Result>}
 */
export async function alone(work) {
  if (holderOf(LOCK) === process.ppid) return work();
  const release = await take();
  try {
    return await work();
  } finally {
    release();
  }
}

async function take() {
  const untilMs = performance.now() + WAIT_MS_MAX;
  let told;
  for (;;) {
    const { release, heldBy } = tryOnce();
    if (release !== undefined) return release;
    if (heldBy !== told) {
      told = heldBy;
      process.stderr.write(`waiting for process ${heldBy}, which installs or builds in this folder …\n`);
    }
    if (performance.now() > untilMs)
      throw new StepError(`Another process still installs or builds here after an hour; see ${LOCK}.`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

function tryOnce() {
  try {
    return tryLock(LOCK);
  } catch (error) {
    if (error.code === undefined) throw error;
    throw new StepError(
      `Nothing can be prepared here: ${error.message}. There must be room, and ${STATE} a folder that you may write; after a start as root give back what it made by: sudo chown -R $(id -u) '${PROJECT}'`,
    );
  }
}
