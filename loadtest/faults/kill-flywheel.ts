// `kill -9` of stream, serve and jobs under load, the killed one started again a random while later: each at the next moment after a
// random one at which it has work in hand, a request under way, or a message to the receiver.
import { type DeliveryFold, readDeliveries } from '../../platform/delivery-log.ts';
import { between, pick } from '../../simulate/marketplace/random.ts';
import type { Arena } from './arena/arena.ts';
import type { FlywheelProcess } from './arena/process.ts';
import { recoveredIn } from './arena/progress.ts';
import { sleep, until } from './arena/wait.ts';
import { isSome, killInHand } from './arena/work.ts';
import type { Evidence, Fault } from './fault.ts';

const BEFORE_MS_MAX = 1_500;
const DOWN_MS_MAX = 1_000;
const MADE_GOOD_WITHIN_MS = 60_000;
const NAMES = ['stream-0', 'stream-0', 'serve', 'jobs'] as const;

/** What is sent takes longer than this: it has reached `serve` by then, and is not answered. */
const ON_ITS_WAY_MS = 2;
/** What it had answered before it stood still is heard by then: between two of these waits all is read that has arrived. */
const HEARD_MS = 10;
const HEARD_TIMES = 3;
const SOMETHING_WITHIN_MS = 20_000;
/** Who takes over waits for an intent's life and the receiver's time to answer, and has by then what waited before it. */
const TAKEN_UP_WITHIN_MS = 120_000;
const LOOK_MS = 1;

type Seen = Pick<Evidence, 'bit' | 'repeated' | 'seen'>;

/** One kill: what is seen of it when all is made good. */
type Kill = (arena: Arena, process: FlywheelProcess) => Promise<() => Promise<Seen>>;

const sumOf = (counts: ReadonlyMap<string, number>): number =>
  [...counts.values()].reduce((sum, count) => sum + count, 0);

/** It stands still with work in hand and dies: what no commit holds, and what ClickHouse does not have of the others, is exact. */
const killStream: Kill = async (arena, process) => {
  const work = await killInHand(arena, process);
  const { lag, unwritten, reread, looks } = work;
  return async () => ({
    bit: isSome(work),
    repeated: reread > 0,
    seen: { uncommitted: lag, unwritten, reread, looks },
  });
};

/**
 * Resolves with how often that took when it stands still with a request in hand: one that had reached it, and that it will not answer.
 */
async function stopWithRequest({ feeder }: Arena, process: FlywheelProcess): Promise<number> {
  const untilMs = performance.now() + SOMETHING_WITHIN_MS;
  for (let looks = 1; ; looks += 1) {
    while (feeder.underWayMs() < ON_ITS_WAY_MS) {
      if (performance.now() > untilMs) throw new Error('no request was under way for long enough');
      await sleep(LOOK_MS);
    }
    process.signal('SIGSTOP');
    const stoppedMs = performance.now();
    for (let times = 0; times < HEARD_TIMES; times += 1) await sleep(HEARD_MS);
    if (feeder.underWayMs() >= performance.now() - stoppedMs + ON_ITS_WAY_MS) return looks;
    process.signal('SIGCONT');
  }
}

/** Requests that were under way break, and are sent again with the same message ids. */
const killServe: Kill = async (arena, process) => {
  const { feeder } = arena;
  const looks = await stopWithRequest(arena, process);
  const messages = feeder.inFlight();
  const brokenBefore = feeder.broken();
  const repeatsBefore = sumOf(feeder.repeats);
  await process.kill();
  return async () => {
    const broken = feeder.broken() - brokenBefore;
    const repeats = sumOf(feeder.repeats) - repeatsBefore;
    // Requests that found nobody there are repeats too, and were never work in hand.
    return { bit: broken > 0, repeated: broken > 0, seen: { messages, broken, repeats, looks } };
  };
};

const openOf = ({ deliveries }: DeliveryFold): number =>
  [...deliveries.values()].filter(({ status }) => status === 'queued' || status === 'sending').length;

/** It has sent a message and does not hear the answer: whoever leads next takes it up again. */
const killJobs: Kill = async (arena, process) => {
  const { receiver } = arena;
  const messages = (): number => [...receiver.received.values()].reduce((sum, ids) => sum + sumOf(ids), 0);
  const nothing = sleep(SOMETHING_WITHIN_MS).then(() => null);
  const message = await Promise.race([receiver.next(), nothing]);
  if (message === null) throw new Error('nothing was sent to the receiver');
  await process.kill();
  const { trigger, webhookId } = message;
  const times = (): number => receiver.received.get(trigger)?.get(webhookId) ?? 0;
  const timesBefore = times();
  return async () => {
    const isTakenUp = (): boolean => times() > timesBefore;
    // What waited before it goes first: nothing more is fed meanwhile. Where it is not taken up, what `deliveries` says of it, and
    // whether others were sent meanwhile, tells why.
    const messagesBefore = messages();
    const pausedMs = performance.now();
    arena.feeder.pause();
    await until('the message is taken up again', isTakenUp, TAKEN_UP_WITHIN_MS).catch(() => {});
    arena.feeder.resume();
    const waitedSeconds = Math.round(performance.now() - pausedMs) / 1_000;
    const { fold } = await readDeliveries(arena.config.kafkaBrokers, arena.namespace);
    const delivery = fold.deliveries.get(webhookId);
    const meanwhile = messages() - messagesBefore;
    if (!isTakenUp())
      throw new Error(
        `a message was not sent again, ${meanwhile} others were, ${openOf(fold)} are open: ${JSON.stringify(delivery)}`,
      );
    const attempts = delivery?.attempt ?? 0;
    return {
      bit: attempts > timesBefore,
      repeated: times() > timesBefore,
      seen: { webhookId, timesBefore, times: times(), attempts, waitedSeconds, sentMeanwhile: meanwhile },
    };
  };
};

const kills = { 'stream-0': killStream, serve: killServe, jobs: killJobs } as const;

async function killOne(arena: Arena, name: (typeof NAMES)[number]): Promise<Evidence> {
  const process = arena.processes.get(name)!;
  const look = await kills[name](arena, process);
  await sleep(arena.random() * DOWN_MS_MAX);
  const startedMs = performance.now();
  await arena.start(name);
  const recoverySeconds = await recoveredIn(arena, MADE_GOOD_WITHIN_MS, startedMs);
  return { did: `kill -9 of ${name}`, pid: process.pid, recoverySeconds, ...(await look()) };
}

/** As many kills as were asked for. */
export const killFlywheel: Fault = {
  name: 'kill-flywheel',
  title: 'kill -9 of stream, serve and jobs at random moments',
  killsServe: true,
  bitShareMin: 0.8,
  async run(arena, { kills: count, print }) {
    const evidence: Evidence[] = [];
    for (let kill = 1; kill <= count; kill += 1) {
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
