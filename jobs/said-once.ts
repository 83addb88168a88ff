// The same warning for each of ten thousand waiting triggers tells no more than one: it is said again after a minute.

const AGAIN_MS = 60_000;
/** Different warnings that are remembered; with more, all are forgotten and said once more. */
const REMEMBERED_MAX = 1_000;

/** @param nowMs a clock that never goes back */
export function saidOnce(warn: (message: string) => void, nowMs: () => number): (message: string) => void {
  const saidMs = new Map<string, number>();
  return (message) => {
    const before = saidMs.get(message);
    if (before !== undefined && nowMs() - before < AGAIN_MS) return;
    if (saidMs.size >= REMEMBERED_MAX) saidMs.clear();
    saidMs.set(message, nowMs());
    warn(message);
  };
}
