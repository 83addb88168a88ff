// `kill -9` of stream, serve and jobs at random moments under load, the killed one started again a random while later.
import { between, pick } from '../../simulate/marketplace/random.ts';
import type { Arena } from './arena/arena.ts';
import { deliveriesInHand, inHand, untilMadeGood } from './arena/progress.ts';
import { sleep } from './arena/wait.ts';
import type { Evidence, Fault } from './fault.ts';

const BEFORE_MS_MAX = 1_500;
const DOWN_MS_MAX = 1_000;
const MADE_GOOD_WITHIN_MS = 60_000;
const NAMES = ['stream-0', 'stream-0', 'serve', 'jobs'] as const;

type Seen = Pick<Evidence, 'bit' | 'repeated' | 'seen'>;

const sumOf = (counts: ReadonlyMap<string, number>): number =>
  [...counts.values()].reduce((sum, count) => sum + count, 0);

/** Nobody owns the partitions now: what is in hand is exact. */
async function killStream(arena: Arena): Promise<() => Promise<Seen>> {
  const { lag, undelivered, reread } = await inHand(arena);
  return async () => ({
    bit: lag > 0 || undelivered > 0,
    repeated: reread > 0 || lag > 0,
    seen: { lag, undelivered, reread },
  });
}

/** Requests that were under way are sent again, with the same message ids. */
async function killServe(arena: Arena, requests: number): Promise<() => Promise<Seen>> {
  const { lag, undelivered } = await inHand(arena);
  const repeatsBefore = sumOf(arena.feeder.repeats);
  return async () => {
    const repeats = sumOf(arena.feeder.repeats) - repeatsBefore;
    return {
      bit: requests > 0 || lag > 0 || undelivered > 0,
      repeated: repeats > 0,
      seen: { requests, lag, undelivered, repeats },
    };
  };
}

/** The next leader reads all intents and outcomes again. */
async function killJobs(arena: Arena): Promise<() => Promise<Seen>> {
  const [{ open, records }, { lag, undelivered }] = await Promise.all([
    deliveriesInHand(arena),
    inHand(arena),
  ]);
  return async () => ({
    bit: open > 0 || lag > 0 || undelivered > 0,
    repeated: records > 0,
    seen: { openDeliveries: open, lag, undelivered, recordsReadAgain: records },
  });
}

async function killOne(arena: Arena, name: (typeof NAMES)[number]): Promise<Evidence> {
  const process = arena.processes.get(name)!;
  const requests = arena.feeder.inFlight();
  await process.kill();
  const look =
    name === 'stream-0'
      ? await killStream(arena)
      : name === 'serve'
        ? await killServe(arena, requests)
        : await killJobs(arena);
  await sleep(arena.random() * DOWN_MS_MAX);
  const startedMs = performance.now();
  await arena.start(name);
  await untilMadeGood(arena, MADE_GOOD_WITHIN_MS);
  const recoverySeconds = Math.round(performance.now() - startedMs) / 1_000;
  return { did: `kill -9 of ${name}`, pid: process.pid, recoverySeconds, ...(await look()) };
}

/** As many kills as were asked for. */
export const killFlywheel: Fault = {
  name: 'kill-flywheel',
  title: 'kill -9 of stream, serve and jobs at random moments',
  bitShareMin: 0.8,
  async run(arena, { kills, print }) {
    const evidence: Evidence[] = [];
    for (let kill = 1; kill <= kills; kill += 1) {
      await sleep(between(arena.random, 0, BEFORE_MS_MAX));
      const one = await killOne(arena, pick(arena.random, NAMES));
      evidence.push(one);
      print(
        `  ${kill}. ${one.did} (pid ${one.pid}): ${JSON.stringify(one.seen)}, recovered in ${one.recoverySeconds} s`,
      );
    }
    return evidence;
  },
};
