// What was measured before leaves work behind (ClickHouse merges, Redis writes its file anew): the next figure begins without it.
import { cpus } from 'node:os';

/** A machine is quiet when its cores were at work for less than this part of so long. */
export const BUSY_SHARE_MAX = 0.1;
const LOOK_MS = 2_000;
const WAIT_MS_MAX = 60_000;

interface CoreTimes {
  readonly busyMs: number;
  readonly allMs: number;
}

function coreTimes(): CoreTimes {
  let [busyMs, allMs] = [0, 0];
  for (const { times } of cpus()) {
    const all = Object.values(times).reduce((sum, ms) => sum + ms, 0);
    allMs += all;
    busyMs += all - times.idle;
  }
  return { busyMs, allMs };
}

export interface Waited {
  readonly waitedMs: number;
  /** What of the cores was at work at the last look, 0 to 1: above a tenth if time was over first. */
  readonly busyShare: number;
}

/** @param look what all cores have done so far, idle time included in `allMs` */
export async function untilQuiet(look: () => CoreTimes = coreTimes): Promise<Waited> {
  let before = look();
  for (let waitedMs = LOOK_MS; ; waitedMs += LOOK_MS) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    const now = look();
    const busyShare = (now.busyMs - before.busyMs) / (now.allMs - before.allMs);
    if (busyShare < BUSY_SHARE_MAX || waitedMs >= WAIT_MS_MAX) return { waitedMs, busyShare };
    before = now;
  }
}
