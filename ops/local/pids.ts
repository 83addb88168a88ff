// Remembers which processes a start has begun, so that the next start can end those that outlived a killed one,
// and only those: a process is ours while its start time and command line are what was written down. Both are read from /proc:
// where there is none, nobody is ended, for none can be told from another program that was given its pid.

import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { holderOf, startTicksOf, tryLock } from '../../bin/process-lock.js';
import { StackError } from './stack-error.ts';

const REAP_TERM_WAIT_MS = 5000;
const REAP_KILL_WAIT_MS = 3000;
const REAP_POLL_MS = 50;
/** A list that could not be saved is tried again so often, and at each change. */
const SAVE_AGAIN_MS = 2000;

interface ProcessRecord {
  name: string;
  pid: number;
  /** Clock ticks between boot and the process's start: tells a reused pid from ours. */
  startTicks: string;
  /** A part of the command line that only ours has. */
  marker: string;
}

interface ProcessFile {
  children: ProcessRecord[];
  /** Who has the folder, as versions without {@link lockOf} wrote it. */
  owner?: ProcessRecord;
}

/**
 * The list of processes of one folder. A change that cannot be saved, because the disk is full, is told and tried again, not thrown:
 * a child runs on and is looked after whether it stands in the file or not.
 */
export interface ProcessList {
  add(name: string, pid: number, marker: string): void;
  remove(pid: number): void;
  /** Gives the folder free for the next start. */
  release(): void;
}

/** @throws StackError FOLDER_IN_USE when a start that still runs holds `folder` */
export function assertFolderFree(folder: string): void {
  const holder = holderOf(lockOf(folder));
  if (holder !== undefined) throw inUse(folder, holder);
  childrenLeft(folder);
}

/**
 * Takes `folder` for this process: refuses when a living start holds it, ends children that a dead one left.
 * @param tell hears in a line when the list cannot be saved, and when it can again
 * @throws StackError FOLDER_IN_USE, and the system's error where the list cannot be saved at first
 */
export async function takeFolder(folder: string, tell: (message: string) => void): Promise<ProcessList> {
  // First of all: to end what is left takes seconds, and of two starts at once one would end the children of the other.
  const { release, heldBy } = tryLock(lockOf(folder));
  if (release === undefined) throw inUse(folder, heldBy);
  try {
    await reap(childrenLeft(folder));
    return openList(listOf(folder), release, tell);
  } catch (error) {
    release();
    throw error;
  }
}

function lockOf(folder: string): string {
  return path.join(folder, 'holder');
}

function listOf(folder: string): string {
  return path.join(folder, 'pids.json');
}

/** What the list names. @throws StackError FOLDER_IN_USE when a start of an older version, which takes no lock, still runs */
function childrenLeft(folder: string): readonly ProcessRecord[] {
  const { children, owner } = readProcessFile(listOf(folder));
  if (owner !== undefined && isOurs(owner)) throw inUse(folder, owner.pid);
  return children;
}

function inUse(folder: string, pid: number): StackError {
  return new StackError(
    'FOLDER_IN_USE',
    `Flywheel runs here already: process ${pid} works in ${folder}. Use that one, or stop it with Ctrl-C or: kill ${pid}`,
  );
}

function openList(file: string, release: () => void, tell: (message: string) => void): ProcessList {
  const state: ProcessFile = { children: [] };
  let isUnsaved = false;
  let again: NodeJS.Timeout | undefined;
  const write = (): void => {
    writeFileSync(`${file}.new`, `${JSON.stringify(state, null, 2)}\n`);
    renameSync(`${file}.new`, file);
  };
  const save = (): void => {
    clearTimeout(again);
    try {
      write();
    } catch (error) {
      if (!isUnsaved)
        tell(`the list of processes cannot be saved and is tried again: ${(error as Error).message}`);
      isUnsaved = true;
      again = setTimeout(save, SAVE_AGAIN_MS).unref();
      return;
    }
    if (isUnsaved) tell('the list of processes is saved again');
    isUnsaved = false;
  };
  write();
  return {
    add: (name, pid, marker) => {
      state.children.push({ name, pid, startTicks: startTicksOf(pid) ?? '', marker });
      save();
    },
    remove: (pid) => {
      state.children = state.children.filter((child) => child.pid !== pid);
      save();
    },
    release: () => {
      // From here on the file is the next start's; what it says of processes that have ended does no harm.
      clearTimeout(again);
      release();
    },
  };
}

function readProcessFile(file: string): ProcessFile {
  if (!existsSync(file)) return { children: [] };
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as ProcessFile;
  } catch {
    // A start that was killed while it wrote the list; renaming makes that unlikely, and nothing can be reaped from it.
    return { children: [] };
  }
}

async function reap(children: readonly ProcessRecord[]): Promise<void> {
  const left = children.filter(isOurs);
  for (const child of left) signal(child, 'SIGTERM');
  if (await allEnded(left, REAP_TERM_WAIT_MS)) return;
  for (const child of left) signal(child, 'SIGKILL');
  await allEnded(left, REAP_KILL_WAIT_MS);
}

/** It may end by itself at any moment: the kernel tells children of the death of their parent. */
function signal(child: ProcessRecord, name: NodeJS.Signals): void {
  if (!isOurs(child)) return;
  try {
    process.kill(child.pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** One that is ending has no command line any more, though it still holds its ports: it is known by its start alone. */
async function allEnded(children: readonly ProcessRecord[], waitMs: number): Promise<boolean> {
  const giveUpAt = performance.now() + waitMs;
  while (children.some(isRunning)) {
    if (performance.now() > giveUpAt) return false;
    await new Promise((resolve) => setTimeout(resolve, REAP_POLL_MS));
  }
  return true;
}

function isRunning({ pid, startTicks }: ProcessRecord): boolean {
  return startTicksOf(pid) === startTicks;
}

function isOurs(record: ProcessRecord): boolean {
  if (!isRunning(record)) return false;
  try {
    return readFileSync(`/proc/${record.pid}/cmdline`, 'utf8').replaceAll('\0', ' ').includes(record.marker);
  } catch {
    return false;
  }
}
