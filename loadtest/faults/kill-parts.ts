// `kill -9` of Redis, Kafka and ClickHouse under load, one after the other and two together; their supervisor starts them
// again.
import type { PartName } from '../../ops/local/stack.ts';
import { between } from '../../simulate/marketplace/random.ts';
import type { Arena } from './arena/arena.ts';
import { endsOf, inHand, untilMadeGood, unwrittenOf } from './arena/progress.ts';
import { sleep, until } from './arena/wait.ts';
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

async function killTogether(arena: Arena, names: readonly PartName[]): Promise<Evidence> {
  const stack = arena.parts.stack!;
  const ends = await endsOf(arena);
  const [{ lag }, unwritten] = await Promise.all([inHand(arena, ends), unwrittenOf(arena)]);
  const pids = names.map((name) => stack.pidOf(name)!);
  const toldBefore = arena.parts.events.length;
  const failuresBefore = failuresOf(arena);
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  const restarted = (): number =>
    arena.parts.events.slice(toldBefore).filter(({ kind }) => kind === 'restarted').length;
  await until(`${names.join(' and ')} run again`, () => restarted() >= names.length, RESTARTED_WITHIN_MS);
  const recoverySeconds = Math.round(await untilMadeGood(arena, MADE_GOOD_WITHIN_MS)) / 1_000;
  const failures = failuresOf(arena) - failuresBefore;
  const told = arena.parts.events.slice(toldBefore).map(({ message }) => message);
  return {
    did: `kill -9 of ${names.join(' and ')}`,
    pid: pids[0]!,
    bit: lag > 0 || unwritten > 0 || failures > 0,
    recoverySeconds,
    seen: { pids: pids.join(' '), lag, unwritten, linesOfErrors: failures, supervisor: told.join('; ') },
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
