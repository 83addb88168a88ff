/** Takes the lock unless a living process, which may be this one, has it: gives what gives it back, or the pid of who has it. */
export function tryLock(
  lock: string,
): { release: () => void; heldBy?: undefined } | { release?: undefined; heldBy: number };

/** The pid of the living process that holds the lock, if one does. */
export function holderOf(lock: string): number | undefined;

/** True while a process has that pid. */
export function isRunning(pid: number): boolean;

/** Clock ticks between boot and the process's start. Undefined for one that has ended, and where there is no /proc. */
export function startTicksOf(pid: number): string | undefined;
