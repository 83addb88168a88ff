// Redis comes back from the past: from an append-only file that is cut short, and from an older copy. ClickHouse is ahead,
// the stream goes on with another batch limit, and one `serve` is killed with it.
import { cpSync, readdirSync, renameSync, rmSync, statSync, truncateSync } from 'node:fs';
import path from 'node:path';
import { type Random, wholeBetween } from '../../simulate/marketplace/random.ts';
import type { Arena } from './arena/arena.ts';
import { isGone } from './arena/pid.ts';
import { inHand, untilMadeGood } from './arena/progress.ts';
import { sleep, until } from './arena/wait.ts';
import type { Evidence, Fault } from './fault.ts';

/** What a cut takes away at most; a second of this load writes some hundred kilobytes. */
const CUT_BYTES_MAX = 1_000_000;
const COPY_AGE_MS = 8_000;
const UNDER_LOAD_MS = 3_000;
const AGAIN_WITHIN_MS = 60_000;
const MADE_GOOD_WITHIN_MS = 90_000;
/** Gone within less time than its supervisor waits before it starts Redis again. */
const GONE_WITHIN_MS = 150;
const OTHER_BATCH_MAX = 37;

const folderOf = (arena: Arena): string => path.join(arena.dir, 'parts', 'redis', 'appendonlydir');

/** Changes the files between the death of Redis and its next start, and waits for that. */
async function replaceRedis(arena: Arena, change: () => void): Promise<number> {
  const stack = arena.parts.stack!;
  const pid = stack.pidOf('redis')!;
  const toldBefore = arena.parts.events.length;
  process.kill(pid, 'SIGKILL');
  const untilMs = performance.now() + GONE_WITHIN_MS;
  while (!isGone(pid)) {
    if (performance.now() > untilMs) throw new Error('Redis did not die in time');
    await sleep(2);
  }
  change();
  await until(
    'Redis runs again',
    () => arena.parts.events.slice(toldBefore).some(({ kind }) => kind === 'restarted'),
    AGAIN_WITHIN_MS,
  );
  return pid;
}

function cutShort(folder: string, random: Random): number {
  const files = readdirSync(folder).filter((name) => name.endsWith('.incr.aof'));
  const file = path.join(folder, files.sort().at(-1)!);
  const { size } = statSync(file);
  const bytes = Math.min(size - 1, wholeBetween(random, CUT_BYTES_MAX / 10, CUT_BYTES_MAX));
  truncateSync(file, size - bytes);
  return bytes;
}

async function appliedOf({ redis, namespace }: Arena): Promise<number> {
  const keys = await redis.keys(`{${namespace.redisPrefix}*:head`);
  const offsets = await Promise.all(keys.map((key) => redis.hget(key, 'offset')));
  return offsets.reduce((sum, offset) => sum + Number(offset ?? 0), 0);
}

/** Nothing is twice for who asks before everything is caught up, and the answers of Redis come. */
async function queryHalfWay(arena: Arena): Promise<{ rows: number; doubles: number; rolling: number }> {
  const query = `SELECT count() AS rows, uniqExact(message_id) AS ids FROM events FINAL WHERE verdict != 'duplicate'`;
  const [counts] = await (await arena.clickhouse.query({ query, format: 'JSONEachRow' })).json<{
    rows: string;
    ids: string;
  }>();
  const rows = Number(counts!.rows);
  const rolling = await fetch(`${arena.url}/v1/rolling/funnels/sourcing?window=1h`, {
    headers: { authorization: `Bearer ${arena.keys.secret}` },
  });
  await rolling.arrayBuffer();
  return { rows, doubles: rows - Number(counts!.ids), rolling: rolling.status };
}

/** What becomes of the processes that knew what Redis forgot. */
type Fate = 'replaced' | 'live on';

async function rollBack(arena: Arena, what: string, fate: Fate, change: () => number): Promise<Evidence> {
  const { lag, undelivered } = await inHand(arena);
  const before = await appliedOf(arena);
  const serve = arena.processes.get('serve')!;
  const stream = arena.processes.get('stream-0')!;
  let bytes = 0;
  // It stands still while the files are exchanged, so that what is found is what came back.
  stream.signal('SIGSTOP');
  const pid = await replaceRedis(arena, () => {
    bytes = change();
  });
  const after = await appliedOf(arena);
  if (fate === 'replaced') {
    await Promise.all([serve.kill(), stream.kill()]);
    await arena.start('serve');
    await arena.start('stream-0', { STREAM_BATCH_MAX: String(OTHER_BATCH_MAX) });
  } else stream.signal('SIGCONT');
  const half = await queryHalfWay(arena);
  const recoverySeconds = Math.round(await untilMadeGood(arena, MADE_GOOD_WITHIN_MS)) / 1_000;
  if (half.doubles > 0) throw new Error(`half caught up, ${half.doubles} events are there twice`);
  return {
    did: `${what}, stream and serve ${fate}`,
    pid,
    bit: after < before,
    repeated: after < before,
    recoverySeconds,
    seen: {
      bytes,
      recordsForgotten: before - after,
      lag,
      undelivered,
      halfRows: half.rows,
      rolling: half.rolling,
    },
  };
}

export const rollback: Fault = {
  name: 'rollback',
  title:
    'Redis from a cut append-only file and from an older copy, ClickHouse ahead, another batch limit, a serve killed',
  ownParts: true,
  async run(arena, { print }) {
    const folder = folderOf(arena);
    const copy = `${folder}-copy`;
    const evidence: Evidence[] = [];
    const add = (one: Evidence): void => {
      evidence.push(one);
      print(
        `  ${one.did} (pid ${one.pid}): ${JSON.stringify(one.seen)}, recovered in ${one.recoverySeconds} s`,
      );
    };
    await sleep(UNDER_LOAD_MS);
    const cut = (): number => cutShort(folder, arena.random);
    add(await rollBack(arena, 'append-only file cut short', 'replaced', cut));
    await sleep(UNDER_LOAD_MS);
    add(await rollBack(arena, 'append-only file cut short', 'live on', cut));
    cpSync(folder, copy, { recursive: true });
    await sleep(COPY_AGE_MS);
    add(
      await rollBack(arena, 'an older copy put back', 'live on', () => {
        rmSync(folder, { recursive: true });
        renameSync(copy, folder);
        return 0;
      }),
    );
    return evidence;
  },
};
