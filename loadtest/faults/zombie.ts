// A zombie owner: it stands still (SIGSTOP) with a folded batch in hand, another instance takes its partitions over and
// commits, and it goes on (SIGCONT). Its commit is refused, once, and nothing of its batch arrives anywhere.
import type { Arena } from './arena/arena.ts';
import type { FlywheelProcess } from './arena/process.ts';
import { recoveredIn, untilMadeGood } from './arena/progress.ts';
import { sleep, until } from './arena/wait.ts';
import { type Caused, effectsOf } from './effects.ts';
import type { Fault } from './fault.ts';

const STOPPED_WITHIN_MS = 30_000;
const FENCED_WITHIN_MS = 30_000;
const MADE_GOOD_WITHIN_MS = 60_000;
/** Batches with records for others in their outbox that it commits before it stands still. */
const BATCHES_BEFORE = 20;
/** A batch may be only the clock of an idle partition, or of what was rejected: then it is tried again. */
const TRIES_MAX = 5;

/** `<topic> <partition>` → how often its commit was refused. */
export function fencedIn(metrics: string): Map<string, number> {
  const found = metrics.matchAll(/^flywheel_stream_fenced_total\{topic="(\w+)",partition="(\d+)"\} (\d+)/gm);
  return new Map([...found].map(([, topic, partition, count]) => [`${topic} ${partition}`, Number(count)]));
}

async function fencedOf(metricsUrl: string): Promise<Map<string, number>> {
  return fencedIn(await (await fetch(metricsUrl)).text());
}

/** @param where `events <partition>`; @param offsets `<from>..<to>`. @returns null if no record is held that has effects */
function causedBy(where: string, offsets: string): Caused | null {
  const [topic, partition] = where.split(' ') as [string, string];
  if (topic !== 'events' && topic !== 'spend') return null;
  const [from, to] = offsets.split('..').map(Number) as [number, number];
  const places = Array.from({ length: to - from + 1 }, (_, index) => ({
    partition: Number(partition),
    offset: from + index,
  }));
  return places.length === 0 ? null : { topic, places, alsoCollected: true };
}

interface Held {
  readonly late: FlywheelProcess;
  readonly where: string;
  readonly offsets: string;
  /** What came of the records that it holds. */
  readonly caused: Caused;
}

/** Starts the owner anew and resolves when it stands still with a folded batch of records. */
async function standStill(arena: Arena): Promise<Held> {
  for (let tries = 1; tries <= TRIES_MAX; tries += 1) {
    await arena.processes.get('stream-0')!.stop();
    const failpoint = `before-commit-sending:${BATCHES_BEFORE + tries - 1}@stop`;
    const late = await arena.start('stream-0', { FLYWHEEL_FAILPOINT: failpoint });
    const hasStopped = (): boolean => late.errors().includes('stopping this process');
    await until('the owner stands still', hasStopped, STOPPED_WITHIN_MS);
    const [, where, offsets] = /; (\S+ \d+) offsets (\S+),/.exec(late.errors()) ?? [];
    const caused = causedBy(where!, offsets!);
    if (caused !== null) return { late, where: where!, offsets: offsets!, caused };
    late.signal('SIGCONT');
  }
  throw new Error(`the owner held no record ${TRIES_MAX} times`);
}

export const zombie: Fault = {
  name: 'zombie',
  title: 'an owner stands still with a folded batch in hand while another takes over and commits',
  sparesJobs: true,
  async run(arena, { print }) {
    const { late, where, offsets, caused } = await standStill(arena);
    const stoppedMs = performance.now();
    const { metrics } = (await late.ready) as { metrics: string };
    const other = await arena.start('stream-1');
    // Its session ends, the other has all partitions and commits what the late one holds.
    const recoverySeconds = await recoveredIn(arena, MADE_GOOD_WITHIN_MS, stoppedMs);
    const effectsBefore = await effectsOf(arena, caused);
    late.signal('SIGCONT');
    const isFenced = async (): Promise<boolean> => ((await fencedOf(metrics)).get(where) ?? 0) > 0;
    await until(`its commit of ${where} is refused`, isFenced, FENCED_WITHIN_MS);
    await sleep(1_000);
    const fenced = await fencedOf(metrics);
    const fencedInAll = [...fenced.values()].reduce((sum, count) => sum + count, 0);
    // All that it owned is refused, also where only its stamp was due; the batch that it held is one partition's.
    const refusals = late.errors().split(`${where}: owner fenced`).length - 1;
    await untilMadeGood(arena, MADE_GOOD_WITHIN_MS);
    print(
      `  held ${where}, offsets ${offsets}; refused ${refusals} time there, ${fencedInAll} in all partitions`,
    );
    const effects = await effectsOf(arena, caused);
    // ClickHouse may have merged what the other delivered twice; nothing may be more.
    if (effects.rows > effectsBefore.rows || effects.records !== effectsBefore.records)
      throw new Error(
        `something of its batch arrived: ${JSON.stringify(effectsBefore)}, then ${JSON.stringify(effects)}`,
      );
    if (refusals !== 1 || fenced.get(where) !== 1)
      throw new Error(
        `the commit of ${where} was refused ${refusals} times, and counted as fenced ${fenced.get(where)} times`,
      );
    return [
      {
        did: `SIGSTOP and SIGCONT of stream-0 while stream-1 (pid ${other.pid}) took over`,
        pid: late.pid,
        bit: effects.rows > 0 && effects.records > 0,
        recoverySeconds,
        seen: {
          held: `${where} ${offsets}`,
          refusals,
          fencedInAll,
          rowsOfItsBatch: effects.rows,
          recordsOfItsBatch: effects.records,
        },
      },
    ];
  },
};
