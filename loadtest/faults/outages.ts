// A part is away for long: ClickHouse for longer than the sink's bound, Kafka, and a Redis that has no memory left. The
// stream waits in bounded memory, `serve` goes on or says when to come again.

import type { Arena } from './arena/arena.ts';
import { openDoor } from './arena/door.ts';
import { residentBytes } from './arena/pid.ts';
import { inHand, untilMadeGood } from './arena/progress.ts';
import { sleep, until } from './arena/wait.ts';
import type { Evidence, Fault } from './fault.ts';

const CLICKHOUSE_AWAY_MS = 25_000;
const FULL_WITHIN_MS = 30_000;
/** A stream whose sink is full holds its bound of batches and no more. */
const GROWTH_BYTES_MAX = 256 * 1024 * 1024;
const KAFKA_DEATHS = 2;
/** The supervisor restarts a part five times: twice for each death are fewer. */
const KILLS_MAX = 2;
const NO_MEMORY_MS = 8_000;
const MADE_GOOD_WITHIN_MS = 90_000;
const MEGABYTE = 1024 * 1024;

async function madeGood(arena: Arena): Promise<number> {
  return Math.round(await untilMadeGood(arena, MADE_GOOD_WITHIN_MS)) / 1_000;
}

/** More is fed than the bound takes: a batch is small here. */
export const clickhouseAway: Fault = {
  name: 'clickhouse-away',
  title: 'ClickHouse is away for longer than the sink has room',
  sparesJobs: true,
  async run(arena, { print }) {
    const door = await openDoor(Number(new URL(arena.parts.addresses.clickhouseUrl).port));
    await arena.processes.get('stream-0')!.stop();
    const stream = await arena.start('stream-0', {
      CLICKHOUSE_URL: `http://127.0.0.1:${door.port}`,
      STREAM_BATCH_MAX: '5',
    });
    await untilMadeGood(arena, MADE_GOOD_WITHIN_MS);
    const before = residentBytes(stream.pid);
    await door.shut();
    const acknowledgedBefore = arena.feeder.acknowledged.size;
    await sleep(CLICKHOUSE_AWAY_MS);
    const { lag, undelivered } = await inHand(arena);
    const grown = residentBytes(stream.pid) - before;
    const taken = arena.feeder.acknowledged.size - acknowledgedBefore;
    await door.open();
    const recoverySeconds = await madeGood(arena);
    await door.close();
    await arena.processes.get('stream-0')!.stop();
    await arena.start('stream-0');
    const grownMegabytes = Math.round(grown / MEGABYTE);
    print(
      `  lag ${lag}, undelivered ${undelivered}, grown by ${grownMegabytes} MB, ${taken} events taken meanwhile`,
    );
    if (grown > GROWTH_BYTES_MAX) throw new Error(`the stream grew by ${grown} bytes`);
    if (taken === 0) throw new Error('serve took nothing while ClickHouse was away');
    return [
      {
        did: `ClickHouse away for ${CLICKHOUSE_AWAY_MS} ms`,
        pid: stream.pid,
        // The bound is met: what comes is left in the log.
        bit: lag > 0 && undelivered > 0,
        recoverySeconds,
        seen: { lag, undelivered, grownMegabytes, takenMeanwhile: taken },
      },
    ];
  },
};

/** What is under way when Kafka dies waits for it: one that is back at once has refused nothing, and is killed again. */
async function killUntilRefused(arena: Arena, isRefused: () => boolean): Promise<number> {
  for (let kill = 1; ; kill += 1) {
    const pid = arena.parts.stack!.pidOf('kafka')!;
    const told = arena.parts.events.length;
    const isBack = (): boolean => arena.parts.events.slice(told).some(({ kind }) => kind === 'restarted');
    process.kill(pid, 'SIGKILL');
    await until('Kafka runs again', isBack, MADE_GOOD_WITHIN_MS);
    if (isRefused()) return pid;
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
      const pid = await killUntilRefused(arena, () => arena.feeder.toldWhen() > toldWhenBefore);
      const recoverySeconds = await madeGood(arena);
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
    const { lag } = await inHand(arena);
    const taken = arena.feeder.acknowledged.size - acknowledgedBefore;
    await redis.call('CONFIG', 'SET', 'maxmemory', '0');
    const recoverySeconds = await madeGood(arena);
    const error = /OOM[^"\\]*/.exec(stream.errors())?.[0] ?? '';
    print(
      `  ${error}: lag ${before.lag} → ${lag}, ${taken} events taken meanwhile, recovered in ${recoverySeconds} s`,
    );
    return [
      {
        did: 'maxmemory at what is used',
        pid: stream.pid,
        bit: lag > before.lag,
        recoverySeconds,
        seen: { error, lag, lagBefore: before.lag, takenMeanwhile: taken, streamRuns: stream.isRunning() },
      },
    ];
  },
};
