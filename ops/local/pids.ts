// Remembers which processes a start has begun, so that the next start can end those that outlived a killed one,
// and only those: a process is ours while its start time and command line are what was written down.

import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { StackError } from './stack-error.ts';

const REAP_TERM_WAIT_MS = 5000;
const REAP_KILL_WAIT_MS = 3000;
const REAP_POLL_MS = 50;

interface ProcessRecord {
  name: string;
  pid: number;
  /** Clock ticks between boot and the process's start: tells a reused pid from ours. */
  startTicks: string;
  /** A part of the command line that only ours has. */
  marker: string;
}

interface ProcessFile {
  owner: ProcessRecord | undefined;
  children: ProcessRecord[];
}

/** The list of processes of one folder. */
export interface ProcessList {
  add(name: string, pid: number, marker: string): void;
  remove(pid: number): void;
  /** Gives the folder free for the next start. */
  release(): void;
}

/** @throws StackError FOLDER_IN_USE when a start that still runs holds `folder` */
export function assertFolderFree(folder: string): void {
  const { owner } = readProcessFile(path.join(folder, 'pids.json'));
  if (owner === undefined || owner.pid === process.pid || !isOurs(owner)) return;
  throw new StackError(
    'FOLDER_IN_USE',
    `Flywheel runs here already: process ${owner.pid} works in ${folder}. Use that one, or stop it with Ctrl-C or: kill ${owner.pid}`,
  );
}

/**
 * Takes `folder` for this process: refuses when a living start holds it, ends children that a dead one left.
 * @throws StackError FOLDER_IN_USE
 */
export async function takeFolder(folder: string): Promise<ProcessList> {
  const file = path.join(folder, 'pids.json');
  assertFolderFree(folder);
  await reap(readProcessFile(file).children);
  const state: ProcessFile = {
    owner: {
      name: 'owner',
      pid: process.pid,
      startTicks: startTicksOf(process.pid) ?? '',
      marker: '',
    },
    children: [],
  };
  const save = (): void => {
    writeFileSync(`${file}.new`, `${JSON.stringify(state, null, 2)}\n`);
    renameSync(`${file}.new`, file);
  };
  save();
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
      state.owner = undefined;
      save();
    },
  };
}

function readProcessFile(file: string): ProcessFile {
  if (!existsSync(file)) return { owner: undefined, children: [] };
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as ProcessFile;
  } catch {
    // A start that was killed while it wrote the list; renaming makes that unlikely, and nothing can be reaped from it.
    return { owner: undefined, children: [] };
  }
}

async function reap(children: readonly ProcessRecord[]): Promise<void> {
  const left = children.filter(isOurs);
  for (const child of left) process.kill(child.pid, 'SIGTERM');
  if (await allEnded(left, REAP_TERM_WAIT_MS)) return;
  for (const child of left) if (isOurs(child)) process.kill(child.pid, 'SIGKILL');
  await allEnded(left, REAP_KILL_WAIT_MS);
}

async function allEnded(children: readonly ProcessRecord[], waitMs: number): Promise<boolean> {
  const giveUpAt = performance.now() + waitMs;
  while (children.some(isOurs)) {
    if (performance.now() > giveUpAt) return false;
    await new Promise((resolve) => setTimeout(resolve, REAP_POLL_MS));
  }
  return true;
}

function isOurs(record: ProcessRecord): boolean {
  if (startTicksOf(record.pid) !== record.startTicks) return false;
  try {
    return readFileSync(`/proc/${record.pid}/cmdline`, 'utf8').replaceAll('\0', ' ').includes(record.marker);
  } catch {
    return false;
  }
}

function startTicksOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold spaces; field 22 (start time) is the 20th after it, field 3 (state) the first.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
