// Two and three stream processes that join, leave and die under load; partitions move by cooperative or by eager assignment.
import { statefulTopics } from '../../platform/keys.ts';
import { topicPartitions } from '../../platform/namespace.ts';
import type { Arena } from './arena/arena.ts';
import type { FlywheelProcess } from './arena/process.ts';
import { type Commits, commitsOf, recoveredIn } from './arena/progress.ts';
import { sleep, until } from './arena/wait.ts';
import { isSome, killInHand, untilInHand, type Work } from './arena/work.ts';
import type { Evidence, Fault } from './fault.ts';

/** Longer than a session: what a dead one had is somebody else's then. */
const MADE_GOOD_WITHIN_MS = 60_000;
const SETTLED_MS = 1_500;
/** Cooperative assignment moves partitions in several rounds. */
const SHARED_OUT_WITHIN_MS = 60_000;
const PARTITIONS = statefulTopics.reduce((sum, topic) => sum + topicPartitions[topic], 0);

type Assignment = 'cooperative' | 'eager';

interface Step {
  readonly did: string;
  /** Somebody joins, and nobody is gone: what need not move shows how the group assigns. */
  readonly joins?: true;
  /** Acts while there is work in hand, and says how much, and when. */
  act(arena: Arena): Promise<{ readonly pid: number; readonly before: Work; readonly actedMs: number }>;
}

/** Partitions that the same owner still has: each take-over has a nonce of its own, also by the process that had it before. */
export function keptOf(before: ReadonlyMap<string, Commits>, after: ReadonlyMap<string, Commits>): number {
  return [...after].filter(([name, { nonce }]) => before.get(name)?.nonce === nonce).length;
}

/** @returns what of it is not how that assignment shares out when somebody joins; null if all is */
export function wrongSharing(assignment: Assignment, kept: number): string | null {
  if (assignment === 'eager' && kept > 0)
    return `${kept} partitions stayed where they were: an eager group takes all of them over anew`;
  if (assignment === 'cooperative' && kept === 0)
    return 'all partitions were taken over anew: a cooperative group leaves some where they are';
  return null;
}

/** `<topic>:<partition>` of those that it owns, by its own word. */
async function partitionsOf(process: FlywheelProcess): Promise<Set<string>> {
  const { metrics } = (await process.ready) as { metrics: string };
  const text = await (await fetch(metrics)).text();
  const found = text.matchAll(/^flywheel_stream_lag_records\{topic="(\w+)",partition="(\d+)"\}/gm);
  return new Set([...found].map(([, topic, partition]) => `${topic}:${partition}`));
}

/** Resolves when each partition has one owner and each process owns some: process → how many. @throws Error saying who has what */
async function untilSharedOut({ processes }: Arena): Promise<Map<string, number>> {
  const streams = [...processes.values()].filter(
    (each) => each.name.startsWith('stream') && each.isRunning(),
  );
  let owned = new Map<string, number>();
  const isSharedOut = async (): Promise<boolean> => {
    const each = await Promise.all(streams.map(partitionsOf));
    owned = new Map(streams.map(({ name }, index) => [name, each[index]!.size]));
    const counts = [...owned.values()];
    const all = new Set(each.flatMap((names) => [...names]));
    const sum = counts.reduce((total, count) => total + count, 0);
    return all.size === PARTITIONS && sum === PARTITIONS && counts.every((count) => count > 0);
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
  joins: true,
  async act(arena) {
    const before = await untilInHand(arena);
    const actedMs = performance.now();
    return { pid: (await arena.start(name)).pid, before, actedMs };
  },
});

const leaves = (name: string): Step => ({
  did: `${name} leaves`,
  async act(arena) {
    const leaving = arena.processes.get(name)!;
    const own = await partitionsOf(leaving);
    const before = await untilInHand(arena, own);
    const actedMs = performance.now();
    const { code } = await leaving.stop();
    if (code !== 0) throw new Error(`${name} left with code ${code}: ${leaving.errors().slice(-500)}`);
    return { pid: leaving.pid, before, actedMs };
  },
});

/** Dies for good: what it had is given to others when its session is over. */
const dies = (name: string): Step => ({
  did: `${name} dies`,
  async act(arena) {
    const dying = arena.processes.get(name)!;
    const before = await killInHand(arena, dying, await partitionsOf(dying));
    return { pid: dying.pid, before, actedMs: performance.now() };
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

function streamsFault(assignment: Assignment): Fault {
  return {
    name: `streams-${assignment}`,
    title: `two and three streams join, leave and die, ${assignment} assignment`,
    sparesJobs: true,
    environment: { STREAM_ASSIGNMENT: assignment },
    async run(arena, { print }) {
      const evidence: Evidence[] = [];
      for (const { did, joins: isJoin, act } of STEPS) {
        await sleep(SETTLED_MS);
        const commits = await commitsOf(arena);
        const { pid, before, actedMs } = await act(arena);
        const recoverySeconds = await recoveredIn(arena, MADE_GOOD_WITHIN_MS, actedMs);
        const owned = said(await untilSharedOut(arena));
        const kept = keptOf(commits, await commitsOf(arena));
        const { lag, unwritten } = before;
        evidence.push({ did, pid, bit: isSome(before), recoverySeconds, seen: { ...before, owned, kept } });
        print(
          `  ${did} (pid ${pid}): lag ${lag}, unwritten ${unwritten}, made good in ${recoverySeconds} s; ${owned}; ${kept} by the same owner as before`,
        );
        const wrong = isJoin === true ? wrongSharing(assignment, kept) : null;
        if (wrong !== null) throw new Error(`${did}: ${wrong}`);
      }
      return evidence;
    },
  };
}

export const streamsCooperative = streamsFault('cooperative');
export const streamsEager = streamsFault('eager');
