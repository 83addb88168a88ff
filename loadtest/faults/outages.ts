// A part is away: Kafka, and a Redis that has no memory left. The stream waits, `serve` goes on or says when to come again.
import { decideNow } from './answers.ts';
import type { Arena } from './arena/arena.ts';
import { inHand, recoveredIn } from './arena/progress.ts';
import { sleep, until } from './arena/wait.ts';
import type { Evidence, Fault } from './fault.ts';

const FULL_WITHIN_MS = 30_000;
const KAFKA_DEATHS = 2;
/** The supervisor restarts a part five times: twice for each death are fewer. */
const KILLS_MAX = 2;
const NO_MEMORY_MS = 8_000;
const MADE_GOOD_WITHIN_MS = 90_000;

/** What is under way when Kafka dies waits for it: one that is back at once has refused nothing, and is killed again. */
async function killUntilRefused(
  arena: Arena,
  isRefused: () => boolean,
): Promise<{ readonly pid: number; readonly killedMs: number }> {
  for (let kill = 1; ; kill += 1) {
    const pid = arena.parts.stack!.pidOf('kafka')!;
    const told = arena.parts.events.length;
    const isBack = (): boolean => arena.parts.events.slice(told).some(({ kind }) => kind === 'restarted');
    const killedMs = performance.now();
    process.kill(pid, 'SIGKILL');
    await until('Kafka runs again', isBack, MADE_GOOD_WITHIN_MS);
    if (isRefused()) return { pid, killedMs };
    if (kill === KILLS_MAX) throw new Error(`collect refused nothing while Kafka was away ${kill} times`);
  }
}

export const kafkaAway: Fault = {
  name: 'kafka-away',
  title: 'Kafka is away: collect refuses and says when to come again',
  ownParts: true,
  async run(arena, { print }) {
    const evidence: Evidence[] = [];
    for (let death = 1; death <= KAFKA_DEATHS; death += 1) {
      const toldWhenBefore = arena.feeder.toldWhen();
      const { pid, killedMs } = await killUntilRefused(arena, () => arena.feeder.toldWhen() > toldWhenBefore);
      const recoverySeconds = await recoveredIn(arena, MADE_GOOD_WITHIN_MS, killedMs);
      const refusals = arena.feeder.toldWhen() - toldWhenBefore;
      print(
        `  Kafka (pid ${pid}) away: ${refusals} refusals with Retry-After, recovered in ${recoverySeconds} s`,
      );
      evidence.push({ did: 'Kafka away', pid, bit: refusals > 0, recoverySeconds, seen: { refusals } });
    }
    return evidence;
  },
};

export const redisFull: Fault = {
  name: 'redis-out-of-memory',
  title: 'Redis has no memory left (noeviction)',
  ownParts: true,
  async run(arena, { print }) {
    const { redis } = arena;
    const used = Number(/used_memory:(\d+)/.exec(await redis.info('memory'))![1]);
    const before = await inHand(arena);
    await redis.call('CONFIG', 'SET', 'maxmemory', String(used));
    const stream = arena.processes.get('stream-0')!;
    const acknowledgedBefore = arena.feeder.acknowledged.size;
    await until('a commit is refused', () => /OOM/.test(stream.errors()), FULL_WITHIN_MS);
    await sleep(NO_MEMORY_MS);
    await decideNow(arena);
    const { lag } = await inHand(arena);
    const isRunning = stream.isRunning();
    const taken = arena.feeder.acknowledged.size - acknowledgedBefore;
    const roomMs = performance.now();
    await redis.call('CONFIG', 'SET', 'maxmemory', '0');
    const recoverySeconds = await recoveredIn(arena, MADE_GOOD_WITHIN_MS, roomMs);
    const error = /OOM[^"\\]*/.exec(stream.errors())?.[0] ?? '';
    print(
      `  ${error}: lag ${before.lag} → ${lag}, ${taken} events taken meanwhile, recovered in ${recoverySeconds} s`,
    );
    return [
      {
        did: 'maxmemory at what is used',
        pid: stream.pid,
        bit: lag > before.lag && taken > 0 && isRunning,
        recoverySeconds,
        seen: { error, lag, lagBefore: before.lag, takenMeanwhile: taken, streamRuns: isRunning },
      },
    ];
  },
};
