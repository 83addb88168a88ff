// Redis comes back from the past: from an append-only file that is cut short, and from a copy of an hour of event time before.
// ClickHouse is ahead, the stream goes on with another batch limit, and one `serve` is killed with it.
import { cpSync, readdirSync, renameSync, rmSync, statSync, truncateSync } from 'node:fs';
import path from 'node:path';
import { type Random, wholeBetween } from '../../simulate/marketplace/random.ts';
import { type Answers, ASKED_FUNNEL, answersNow, askedFunnel, wrongAnswers, wrongOffers } from './answers.ts';
import type { Arena } from './arena/arena.ts';
import { isGone } from './arena/pid.ts';
import type { FlywheelProcess } from './arena/process.ts';
import { type Commits, commitsOf, inHand, recoveredIn, rowsFrom } from './arena/progress.ts';
import { sleep, until } from './arena/wait.ts';
import type { Evidence, Fault } from './fault.ts';
import { forgottenOf, leasesEnded, leasesHeld, wrongLeases } from './leases.ts';

/** What a cut takes away; a second of this load writes some hundred kilobytes, and rows are in ClickHouse two seconds later. */
const CUT_BYTES = { least: 500_000, most: 1_000_000 } as const;
const COPY_AGE_MS = 8_000;
/**
 * Behind the copy the times of events go on by so much: lateness, windows of minutes and hours, the life of triggers and of ids are
 * crossed between what Redis knows then and what the log says. Leases are not: an owner counts them by the broker's time too.
 */
const HOUR_MS = 3_600_000;
const TRIGGERS_LIVE_MS = 1_200_000;
const UNDER_LOAD_MS = 3_000;
const AGAIN_WITHIN_MS = 60_000;
const MADE_GOOD_WITHIN_MS = 90_000;
const OFFERED_WITHIN_MS = 30_000;
const ACKNOWLEDGED_WITHIN_MS = 60_000;
/** Gone within less time than its supervisor waits before it starts Redis again. */
const GONE_WITHIN_MS = 150;
/**
 * So few records a batch that what was forgotten is applied again in many commits, between which there is time to stop the stream; another
 * number for each that follows, since batches need not be cut as they were.
 */
const BATCH_MAX = { atFirst: 13, afterCut: 7, afterCopy: 37 } as const;
const LOOK_MS = 2;

const folderOf = (arena: Arena): string => path.join(arena.dir, 'parts', 'redis', 'appendonlydir');

/** Changes the files between the death of Redis and its next start, and waits for that. */
async function replaceRedis(
  arena: Arena,
  change: () => void,
): Promise<{ readonly pid: number; readonly killedMs: number }> {
  const stack = arena.parts.stack!;
  const pid = stack.pidOf('redis')!;
  const toldBefore = arena.parts.events.length;
  const killedMs = performance.now();
  process.kill(pid, 'SIGKILL');
  const untilMs = killedMs + GONE_WITHIN_MS;
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
  return { pid, killedMs };
}

function cutShort(folder: string, random: Random): number {
  const files = readdirSync(folder).filter((name) => name.endsWith('.incr.aof'));
  const file = path.join(folder, files.sort().at(-1)!);
  const { size } = statSync(file);
  const bytes = Math.min(size - 1, wholeBetween(random, CUT_BYTES.least, CUT_BYTES.most));
  truncateSync(file, size - bytes);
  return bytes;
}

type Heads = ReadonlyMap<string, Commits>;

const appliedOf = (heads: Heads): number => [...heads.values()].reduce((sum, { offset }) => sum + offset, 0);

/** Partitions of buyers that were taken over and have not applied again what they had applied before. */
function behindOf(before: Heads, restored: Heads, halfWay: Heads): number {
  return [...halfWay].filter(
    ([name, { nonce, offset }]) =>
      name.startsWith('events:') &&
      nonce !== restored.get(name)?.nonce &&
      offset < (before.get(name)?.offset ?? 0),
  ).length;
}

/** What becomes of the processes that knew what Redis forgot. */
type Fate = 'replaced' | 'live on';

/**
 * Resolves when the stream has applied something of what was forgotten and not all of it, with the stream stopped there: what is
 * asked then is asked half-way.
 * @throws Error if it had applied all of it by the time it stood still: what it has not applied then was not forgotten
 */
async function stopHalfWay(
  arena: Arena,
  stream: FlywheelProcess,
  { restored, before }: { readonly restored: Heads; readonly before: Heads },
): Promise<Heads> {
  const [from, upTo] = [appliedOf(restored), appliedOf(before)];
  const untilMs = performance.now() + AGAIN_WITHIN_MS;
  while (appliedOf(await commitsOf(arena)) <= from) {
    if (performance.now() > untilMs) throw new Error('the stream applied nothing again');
    await sleep(LOOK_MS);
  }
  stream.signal('SIGSTOP');
  const halfWay = await commitsOf(arena);
  const applied = appliedOf(halfWay);
  if (applied < upTo) return halfWay;
  stream.signal('SIGCONT');
  throw new Error(`the stream was not stopped half-way: ${from} of ${upTo} were left, ${applied} applied`);
}

/** Partitions offer their triggers when they have passed the log's end as it was at their take-over. */
async function whenAllIsOffered(arena: Arena): Promise<Answers> {
  let later = await answersNow(arena);
  await until(
    'all partitions offer their triggers',
    async () => {
      later = await answersNow(arena);
      return later.withheld === 0;
    },
    OFFERED_WITHIN_MS,
  ).catch(() => {});
  return later;
}

interface RollBack {
  readonly what: string;
  readonly fate: Fate;
  /** Of the stream that follows, if one does. */
  readonly batchMax: number;
  /** What Redis must have forgotten by it, at the least: leases that were granted, */
  readonly forgotLeases: number;
  /** and event time. How far funnels roll goes by the slowest partition: it may be none. */
  readonly forgotMs: number;
}

async function rollBack(
  arena: Arena,
  { what, fate, batchMax, forgotLeases, forgotMs }: RollBack,
  change: () => number,
): Promise<Evidence> {
  const { lag, undelivered } = await inHand(arena);
  const known = await answersNow(arena);
  const serve = arena.processes.get('serve')!;
  let stream = arena.processes.get('stream-0')!;
  let bytes = 0;
  // It stands still while the files are exchanged, so that what is found is what came back.
  stream.signal('SIGSTOP');
  const [before, leasesBefore] = await Promise.all([commitsOf(arena), leasesHeld(arena)]);
  const { pid, killedMs } = await replaceRedis(arena, () => {
    bytes = change();
  });
  const [restored, leasesRestored] = await Promise.all([commitsOf(arena), leasesHeld(arena)]);
  const forgotten = forgottenOf(leasesBefore, leasesRestored);
  const rowsAhead = await rowsFrom(arena, restored);
  if (fate === 'replaced') {
    await Promise.all([serve.kill(), stream.kill()]);
    await arena.start('serve');
    stream = arena.launch('stream-0', { STREAM_BATCH_MAX: String(batchMax) });
  } else stream.signal('SIGCONT');
  const halfWay = await stopHalfWay(arena, stream, { restored, before });
  const stoppedMs = performance.now();
  const behind = behindOf(before, restored, halfWay);
  const half = await answersNow(arena);
  const stoodSeconds = Math.round(performance.now() - stoppedMs) / 1_000;
  stream.signal('SIGCONT');
  await stream.ready;
  const recoverySeconds = await recoveredIn(arena, MADE_GOOD_WITHIN_MS, killedMs);
  const wrong = wrongAnswers(known, half, behind);
  if (wrong.length > 0) throw new Error(`half caught up: ${wrong.join('; ')}`);
  const lost = wrongLeases(forgotten, await leasesHeld(arena), await leasesEnded(arena));
  if (lost.length > 0) throw new Error(`made good: ${lost.join('; ')}`);
  const later = await whenAllIsOffered(arena);
  const wrongLater = wrongOffers(known, later);
  if (wrongLater.length > 0) throw new Error(`made good: ${wrongLater.join('; ')}`);
  const forgottenMs = Date.parse(known.asOf!) - Date.parse(half.asOf!);
  const [applied, from, appliedHalfWay] = [before, restored, halfWay].map(appliedOf) as [
    number,
    number,
    number,
  ];
  return {
    did: `${what}, stream and serve ${fate}`,
    pid,
    bit:
      from < appliedHalfWay &&
      appliedHalfWay < applied &&
      rowsAhead > 0 &&
      forgotten.length >= forgotLeases &&
      forgottenMs >= forgotMs,
    repeated: from < applied,
    recoverySeconds,
    seen: {
      bytes,
      recordsForgotten: applied - from,
      rowsAhead,
      leasesForgotten: forgotten.length,
      stoodSeconds,
      lag,
      undelivered,
      applied,
      appliedHalfWay,
      behind,
      halfRows: half.rows,
      rolling: JSON.stringify(half.steps),
      asOf: half.asOf,
      settledMicros: half.settledMicros,
      offered: half.offered.length,
      withheld: half.withheld,
      acknowledgedBefore: known.acknowledged.size,
      offeredLater: later.offered.length,
      eventTimeForgottenMs: forgottenMs,
    },
  };
}

export const rollback: Fault = {
  name: 'rollback',
  title:
    'Redis from a cut append-only file and from a copy of an hour before, ClickHouse ahead, another batch limit, a serve killed',
  ownParts: true,
  killsServe: true,
  behindMs: HOUR_MS,
  environment: { STREAM_BATCH_MAX: String(BATCH_MAX.atFirst) },
  definitions: {
    [`funnel/${ASKED_FUNNEL}`]: askedFunnel,
    'settings/default': { latenessMs: 600_000, idMemoryMs: 86_400_000, triggerTtlMs: TRIGGERS_LIVE_MS },
  },
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
    const someAcknowledged = async (): Promise<boolean> => (await answersNow(arena)).acknowledged.size > 0;
    await until('some triggers are acknowledged', someAcknowledged, ACKNOWLEDGED_WITHIN_MS);
    await sleep(UNDER_LOAD_MS);
    const short = {
      what: 'append-only file cut short',
      batchMax: BATCH_MAX.afterCut,
      forgotLeases: 0,
      forgotMs: Number.NEGATIVE_INFINITY,
    };
    const cut = (): number => cutShort(folder, arena.random);
    add(await rollBack(arena, { ...short, fate: 'replaced' }, cut));
    await sleep(UNDER_LOAD_MS);
    add(await rollBack(arena, { ...short, fate: 'live on' }, cut));
    cpSync(folder, copy, { recursive: true });
    arena.feeder.putClockRight();
    await sleep(COPY_AGE_MS);
    add(
      await rollBack(
        arena,
        {
          what: "last hour's copy put back",
          fate: 'replaced',
          batchMax: BATCH_MAX.afterCopy,
          forgotLeases: 1,
          forgotMs: HOUR_MS,
        },
        () => {
          rmSync(folder, { recursive: true });
          renameSync(copy, folder);
          return 0;
        },
      ),
    );
    return evidence;
  },
};
