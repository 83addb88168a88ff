// `kill -9` of Redis, Kafka and ClickHouse under load, one after the other and two together; their supervisor starts them
// again.
import type { PartName } from '../../ops/local/stack.ts';
import { between } from '../../simulate/marketplace/random.ts';
import type { Arena } from './arena/arena.ts';
import { recoveredIn } from './arena/progress.ts';
import { sleep, until } from './arena/wait.ts';
import { isSome, untilInHand, type Work } from './arena/work.ts';
import type { Evidence, Fault } from './fault.ts';

const BEFORE_MS_MAX = 2_000;
const RESTARTED_WITHIN_MS = 60_000;
const MADE_GOOD_WITHIN_MS = 90_000;

const ROUNDS: readonly (readonly PartName[])[] = [
  ['redis'],
  ['kafka'],
  ['clickhouse'],
  ['redis', 'kafka'],
  ['kafka', 'clickhouse'],
  ['clickhouse', 'redis'],
];

/** How many of a log's lines tell of something that went wrong; that somebody leads or is ready stands in it too. */
export function complaintsIn(log: string): number {
  return log.match(/^\{"level":"(?:warn|error)"/gm)?.length ?? 0;
}

function failuresOf(arena: Arena): number {
  return [...arena.processes.values()].reduce((sum, { errors }) => sum + complaintsIn(errors()), 0);
}

/**
 * That a part dies with nothing in hand shows nothing, however many complain; and where nobody complains, nobody had to do anything
 * again.
 */
export function verdictOf(work: Work, complaints: number): Required<Pick<Evidence, 'bit' | 'repeated'>> {
  return { bit: isSome(work), repeated: complaints > 0 };
}

async function killTogether(arena: Arena, names: readonly PartName[]): Promise<Evidence> {
  const stack = arena.parts.stack!;
  const pids = names.map((name) => stack.pidOf(name)!);
  const toldBefore = arena.parts.events.length;
  const failuresBefore = failuresOf(arena);
  const work = await untilInHand(arena);
  const killedMs = performance.now();
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  const restarted = (): number =>
    arena.parts.events.slice(toldBefore).filter(({ kind }) => kind === 'restarted').length;
  await until(`${names.join(' and ')} run again`, () => restarted() >= names.length, RESTARTED_WITHIN_MS);
  const restartSeconds = Math.round(performance.now() - killedMs) / 1_000;
  const recoverySeconds = await recoveredIn(arena, MADE_GOOD_WITHIN_MS, killedMs);
  const failures = failuresOf(arena) - failuresBefore;
  const told = arena.parts.events.slice(toldBefore).map(({ message }) => message);
  return {
    did: `kill -9 of ${names.join(' and ')}`,
    pid: pids[0]!,
    ...verdictOf(work, failures),
    recoverySeconds,
    seen: {
      pids: pids.join(' '),
      ...work,
      restartSeconds,
      linesOfErrors: failures,
      supervisor: told.join('; '),
    },
  };
}

export const killParts: Fault = {
  name: 'kill-parts',
  title: 'kill -9 of Redis, Kafka, ClickHouse, one after the other and two together',
  ownParts: true,
  async run(arena, { print }) {
    const evidence: Evidence[] = [];
    for (const names of ROUNDS) {
      await sleep(between(arena.random, 0, BEFORE_MS_MAX));
      const one = await killTogether(arena, names);
      evidence.push(one);
      print(
        `  ${one.did} (${one.seen.pids}): ${JSON.stringify(one.seen)}, recovered in ${one.recoverySeconds} s`,
      );
    }
    return evidence;
  },
};
