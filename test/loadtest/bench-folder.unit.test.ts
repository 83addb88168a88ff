// The folder of a benchmark is emptied and removed by who holds it, and by nobody else meanwhile.
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { holderOf } from '../../bin/process-lock.js';
import { clearBenchFolder, removeBenchFolder, tellOfOlderFolder } from '../../loadtest/bench/folder.ts';
import { takeFolder } from '../../ops/local/pids.ts';

let folder: string;
let dir: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flywheel-bench-folder-'));
  dir = join(folder, 'flywheel-bench');
  await mkdir(join(dir, 'kafka'), { recursive: true });
  await writeFile(join(dir, 'kafka/log'), 'much');
});
afterEach(() => rm(folder, { recursive: true }));
const silent = () => {};

/** Whether the lock was seen held while the work was under way. */
async function isHeldDuring(work: Promise<void>): Promise<boolean> {
  let isHeld = false;
  let isOver = false;
  const end = work.finally(() => {
    isOver = true;
  });
  while (!isOver) {
    await setImmediate();
    isHeld ||= holderOf(join(dir, 'holder')) === process.pid;
  }
  await end;
  return isHeld;
}

async function leave(): Promise<void> {
  const { release } = await takeFolder(dir, silent);
  release();
}

it('what a killed one has left is removed while the folder is held, and then it is free', async () => {
  await leave();
  expect(await isHeldDuring(clearBenchFolder(dir, silent))).toBe(true);
  expect(await readdir(dir)).toEqual(['holder']);
  expect(holderOf(join(dir, 'holder'))).toBeUndefined();
});

it('one that is over removes its folder while it holds it, unless another has taken it', async () => {
  const { release } = await takeFolder(dir, silent);
  await removeBenchFolder(dir, silent);
  expect(existsSync(join(dir, 'kafka/log'))).toBe(true);
  release();
  expect(await isHeldDuring(removeBenchFolder(dir, silent))).toBe(true);
  expect(await readdir(folder)).toEqual([]);
});

it('tells of what one of an older version has left, in its folder `bench`', async () => {
  const told: string[] = [];
  const tell = () => tellOfOlderFolder(folder, (line) => told.push(line));
  await mkdir(join(folder, 'bench'));
  tell();
  expect(told).toEqual([]);
  await writeFile(join(folder, 'bench/pids.json'), '{"children":[]}');
  tell();
  expect(told).toEqual([expect.stringContaining(join(folder, 'bench'))]);
});
