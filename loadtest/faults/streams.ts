// Two and three stream processes that join, leave and die under load; partitions move by cooperative or by eager assignment.
import { statefulTopics } from '../../platform/keys.ts';
import { topicPartitions } from '../../platform/namespace.ts';
import type { Arena } from './arena/arena.ts';
import type { FlywheelProcess } from './arena/process.ts';
import { type InHand, inHand, untilMadeGood } from './arena/progress.ts';
import { sleep, until } from './arena/wait.ts';
import type { Evidence, Fault } from './fault.ts';

/** Longer than a session: what a dead one had is somebody else's then. */
const MADE_GOOD_WITHIN_MS = 60_000;
const SETTLED_MS = 1_500;
/** Cooperative assignment moves partitions in several rounds. */
const SHARED_OUT_WITHIN_MS = 60_000;
const PARTITIONS = statefulTopics.reduce((sum, topic) => sum + topicPartitions[topic], 0);

interface Step {
  readonly did: string;
  /** Acts, and says what was in hand at that moment. */
  act(arena: Arena): Promise<{ readonly pid: number; readonly before: InHand }>;
}

/** By its own word. */
async function partitionsOf(process: FlywheelProcess): Promise<number> {
  const { metrics } = (await process.ready) as { metrics: string };
  const text = await (await fetch(metrics)).text();
  const counts = [...text.matchAll(/^flywheel_stream_partitions_owned\{.*\} (\d+)/gm)];
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

/** Resolves when each partition has one owner and each process owns some: process → how many. @throws Error saying who has what */
async function untilSharedOut({ processes }: Arena): Promise<Map<string, number>> {
  const streams = [...processes.values()].filter(
    (each) => each.name.startsWith('stream') && each.isRunning(),
  );
  let owned = new Map<string, number>();
  const isSharedOut = async (): Promise<boolean> => {
    owned = new Map(
      await Promise.all(streams.map(async (each) => [each.name, await partitionsOf(each)] as const)),
    );
    const counts = [...owned.values()];
    return counts.reduce((sum, count) => sum + count, 0) === PARTITIONS && counts.every((count) => count > 0);
  };
  await until('every partition has one owner', isSharedOut, SHARED_OUT_WITHIN_MS).catch((error) => {
    throw new Error(`${(error as Error).message}: ${said(owned)} of ${PARTITIONS}`);
  });
  return owned;
}

const said = (owned: ReadonlyMap<string, number>): string =>
  [...owned].map(([name, count]) => `${name} ${count}`).join(', ');

const joins = (name: string): Step => ({
  did: `${name} joins`,
  async act(arena) {
    const before = await inHand(arena);
    return { pid: (await arena.start(name)).pid, before };
  },
});

const leaves = (name: string): Step => ({
  did: `${name} leaves`,
  async act(arena) {
    const before = await inHand(arena);
    const leaving = arena.processes.get(name)!;
    const { code } = await leaving.stop();
    if (code !== 0) throw new Error(`${name} left with code ${code}: ${leaving.errors().slice(-500)}`);
    return { pid: leaving.pid, before };
  },
});

/** Dies for good: what it had is given to others when its session is over. */
const dies = (name: string): Step => ({
  did: `${name} dies`,
  async act(arena) {
    const dying = arena.processes.get(name)!;
    await dying.kill();
    return { pid: dying.pid, before: await inHand(arena) };
  },
});

const STEPS: readonly Step[] = [
  joins('stream-1'),
  dies('stream-0'),
  joins('stream-2'),
  joins('stream-0'),
  dies('stream-2'),
  leaves('stream-1'),
  joins('stream-1'),
];

function streamsFault(assignment: 'cooperative' | 'eager'): Fault {
  return {
    name: `streams-${assignment}`,
    title: `two and three streams join, leave and die, ${assignment} assignment`,
    sparesJobs: true,
    environment: { STREAM_ASSIGNMENT: assignment },
    async run(arena, { print }) {
      const evidence: Evidence[] = [];
      for (const { did, act } of STEPS) {
        await sleep(SETTLED_MS);
        const { pid, before } = await act(arena);
        const recoverySeconds = Math.round(await untilMadeGood(arena, MADE_GOOD_WITHIN_MS)) / 1_000;
        const owned = said(await untilSharedOut(arena));
        const { lag, undelivered, reread } = before;
        const bit = lag > 0 || undelivered > 0;
        evidence.push({ did, pid, bit, recoverySeconds, seen: { lag, undelivered, reread, owned } });
        print(
          `  ${did} (pid ${pid}): lag ${lag}, undelivered ${undelivered}, made good in ${recoverySeconds} s; ${owned}`,
        );
      }
      return evidence;
    },
  };
}

export const streamsCooperative = streamsFault('cooperative');
export const streamsEager = streamsFault('eager');
