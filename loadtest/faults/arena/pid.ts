// What the kernel says of a process.
import { readFileSync } from 'node:fs';

const KILOBYTE = 1_024;

function statusOf(pid: number): string | null {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    return null;
  }
}

/** Dead, though its parent may not have noticed yet. */
export function isGone(pid: number): boolean {
  const status = statusOf(pid);
  return status === null || /^State:\s+[ZX]/m.test(status);
}

/** Resident memory in bytes; 0 for one that is gone. */
export function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(statusOf(pid) ?? '')?.[1] ?? 0) * KILOBYTE;
}
