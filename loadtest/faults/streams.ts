// Two and three stream processes that join, leave and die under load; partitions move by cooperative or by eager assignment.
import { statefulTopics } from '../../platform/keys.ts';
import { topicPartitions } from '../../platform/namespace.ts';
import type { Arena } from './arena/arena.ts';
import type { FlywheelProcess } from './arena/process.ts';
import { endsOf, type InHand, inHand, untilMadeGood, unwrittenOf } from './arena/progress.ts';
import { sleep, until } from './arena/wait.ts';
import type { Evidence, Fault } from './fault.ts';

/** Longer than a session: what a dead one had is somebody else's then. */
const MADE_GOOD_WITHIN_MS = 60_000;
const SETTLED_MS = 1_500;
/** Under load there is something in hand at most moments. */
const SOMETHING_WITHIN_MS = 20_000;
/** Cooperative assignment moves partitions in several rounds. */
const SHARED_OUT_WITHIN_MS = 60_000;
const PARTITIONS = statefulTopics.reduce((sum, topic) => sum + topicPartitions[topic], 0);

/** What a step meets. Batches that an outbox holds are no measure: it keeps what is delivered until the next commit. */
interface Work extends Pick<InHand, 'lag' | 'reread'> {
  readonly unwritten: number;
}

interface Step {
  readonly did: string;
  /** Acts while there is work in hand, and says how much. */
  act(arena: Arena): Promise<{ readonly pid: number; readonly before: Work }>;
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

/**
 * The logs' ends are read first: what comes later is nobody's work in hand.
 * @param of only those partitions; @param standStill done between the ends and the look at what is applied and written
 */
async function workOf(
  arena: Arena,
  of?: ReadonlySet<string>,
  standStill: () => void = () => {},
): Promise<Work> {
  const ends = await endsOf(arena, of);
  standStill();
  const [{ lag, reread }, unwritten] = await Promise.all([inHand(arena, ends), unwrittenOf(arena, ends)]);
  return { lag, reread, unwritten };
}

const isSome = ({ lag, unwritten }: Work): boolean => lag > 0 || unwritten > 0;

/** Resolves at a moment at which there is work in hand. */
async function untilInHand(look: () => Promise<Work>, otherwise: () => void = () => {}): Promise<Work> {
  let work: Work = { lag: 0, reread: 0, unwritten: 0 };
  const isInHand = async (): Promise<boolean> => {
    work = await look();
    if (isSome(work)) return true;
    otherwise();
    return false;
  };
  await until('there is work in hand', isInHand, SOMETHING_WITHIN_MS);
  return work;
}

const joins = (name: string): Step => ({
  did: `${name} joins`,
  async act(arena) {
    const before = await untilInHand(() => workOf(arena));
    return { pid: (await arena.start(name)).pid, before };
  },
});

const leaves = (name: string): Step => ({
  did: `${name} leaves`,
  async act(arena) {
    const leaving = arena.processes.get(name)!;
    const own = await partitionsOf(leaving);
    const before = await untilInHand(() => workOf(arena, own));
    const { code } = await leaving.stop();
    if (code !== 0) throw new Error(`${name} left with code ${code}: ${leaving.errors().slice(-500)}`);
    return { pid: leaving.pid, before };
  },
});

/**
 * Dies for good: what it had is given to others when its session is over. It stands still while its work is counted, which is exact
 * then, and dies without another step; where it had none in hand it goes on for a while.
 */
const dies = (name: string): Step => ({
  did: `${name} dies`,
  async act(arena) {
    const dying = arena.processes.get(name)!;
    const own = await partitionsOf(dying);
    const before = await untilInHand(
      () => workOf(arena, own, () => dying.signal('SIGSTOP')),
      () => dying.signal('SIGCONT'),
    );
    await dying.kill();
    return { pid: dying.pid, before };
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
        const { lag, unwritten } = before;
        evidence.push({ did, pid, bit: isSome(before), recoverySeconds, seen: { ...before, owned } });
        print(
          `  ${did} (pid ${pid}): lag ${lag}, unwritten ${unwritten}, made good in ${recoverySeconds} s; ${owned}`,
        );
      }
      return evidence;
    },
  };
}

export const streamsCooperative = streamsFault('cooperative');
export const streamsEager = streamsFault('eager');
