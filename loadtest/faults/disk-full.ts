// A full disk under one part: a small tmpfs, filled to its last byte. The part ends or refuses, its supervisor tries a few
// times, says so and leaves it; once there is room again it is started and everything is made good.
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import type { Arena } from './arena/arena.ts';
import type { StatefulPart } from './arena/parts.ts';
import { inHand, recoveredIn, unwrittenOf } from './arena/progress.ts';
import { until } from './arena/wait.ts';
import { type Fault, NotHereError } from './fault.ts';

const SIZE_MEGABYTES = 384;
const NOTICED_WITHIN_MS = 60_000;
/** Kafka's five starts take most of it. */
const GIVEN_UP_WITHIN_MS = 120_000;
const MADE_GOOD_WITHIN_MS = 120_000;
/** What a supervisor may try before it gives up. */
const RESTARTS_MAX = 5;
const CHUNK = Buffer.alloc(64 * 1024);

/** Writes until nothing more fits, down to single bytes. */
function fill(file: string): number {
  const handle = openSync(file, 'w');
  let written = 0;
  for (let size = CHUNK.length; size >= 1; size = Math.floor(size / 16)) {
    try {
      for (;;) written += writeSync(handle, CHUNK, 0, size);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }
  closeSync(handle);
  return written;
}

interface Noticed {
  readonly how: string;
  readonly restarts: number;
  readonly gaveUp: boolean;
}

/** It refuses writes and stays; the others die of it, and are to be given up after some restarts. */
const REFUSING: StatefulPart = 'clickhouse';

async function notice(arena: Arena, part: StatefulPart): Promise<Noticed> {
  const told = () => arena.parts.events.filter(({ name }) => name === part);
  const stream = arena.processes.get('stream-0')!;
  const refusal = /[^\n"]*(?:no space left|NOT_ENOUGH_SPACE|Code: 243)[^\n"]{0,80}/i;
  const refused = (): string | undefined =>
    part === REFUSING ? refusal.exec(stream.errors())?.[0] : undefined;
  await until(
    part === REFUSING ? 'ClickHouse dies or the stream says that the disk is full' : `${part} dies`,
    () => told().length > 0 || refused() !== undefined,
    NOTICED_WITHIN_MS,
  );
  if (told().length === 0) return { how: refused()!.trim(), restarts: 0, gaveUp: false };
  const gaveUp = (): boolean => told().some(({ kind }) => kind === 'gave-up');
  await until(`the supervisor gives ${part} up`, gaveUp, GIVEN_UP_WITHIN_MS);
  const restarts = told().filter(({ kind }) => kind === 'restarted').length;
  const [line] = told().at(-1)!.message.split('\n');
  return { how: line!, restarts, gaveUp: true };
}

/** @throws NotHereError where that is not allowed: on Linux it takes root */
function mount(folder: string): void {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE_MEGABYTES}m`, 'tmpfs', folder], {
      stdio: 'pipe',
    });
  } catch (error) {
    const [why] = String((error as { stderr?: Buffer }).stderr || (error as Error).message).split('\n');
    throw new NotHereError(`a tmpfs cannot be mounted here (that takes root, on Linux): ${why}`, {
      cause: error,
    });
  }
}

function diskFull(part: StatefulPart): Fault {
  const mountPoint = (dir: string): string => path.join(dir, 'parts', part);
  return {
    name: `disk-full-${part}`,
    title: `the disk under ${part} is full`,
    ownParts: true,
    async prepare(dir) {
      mkdirSync(mountPoint(dir), { recursive: true });
      mount(mountPoint(dir));
      return async () => {
        execFileSync('umount', ['-l', mountPoint(dir)]);
      };
    },
    async run(arena, { print }) {
      const filler = path.join(mountPoint(arena.dir), 'filler');
      const pid = arena.parts.stack!.pidOf(part)!;
      const toldWhenBefore = arena.feeder.toldWhen();
      const bytes = fill(filler);
      const { how, restarts, gaveUp } = await notice(arena, part);
      const roomMs = performance.now();
      rmSync(filler);
      if (gaveUp) await arena.parts.startAgain();
      const [{ lag }, unwritten] = await Promise.all([inHand(arena), unwrittenOf(arena)]);
      // A log that dies at once leaves nothing behind that is not applied: what it met is who wanted to write.
      const refusals = arena.feeder.toldWhen() - toldWhenBefore;
      const recoverySeconds = await recoveredIn(arena, MADE_GOOD_WITHIN_MS, roomMs);
      print(`  ${part} (pid ${pid}): ${how}; ${restarts} restarts, recovered in ${recoverySeconds} s`);
      if (restarts > RESTARTS_MAX) throw new Error(`${part} was restarted ${restarts} times`);
      return [
        {
          did: `the disk under ${part} filled with ${bytes} bytes`,
          pid,
          bit: lag > 0 || unwritten > 0 || refusals > 0,
          recoverySeconds,
          seen: { how, restarts, gaveUp, lag, unwritten, refusals },
        },
      ];
    },
  };
}

export const diskFullRedis = diskFull('redis');
export const diskFullKafka = diskFull('kafka');
export const diskFullClickhouse = diskFull('clickhouse');
