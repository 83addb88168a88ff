// Which process should lead: a key in Redis with an expiry, renewed while the process lives. It says who *should*; who
// *may* is Kafka's word (platform/kafka-transactions.ts), so a Redis that is lost or rolled back costs nothing but turns.
import type { RedisClient } from '../platform/redis.ts';
import { pause } from './pause.ts';

export const LEASE_MS = 5_000;
const RENEW_MS = 1_500;
const TRY_MS = 1_000;

/** Renews what is still ours, or what is nobody's: a process that stood still for longer than its lease, or a Redis that was lost, ends no turn that no other wants. */
const RENEW = `
local holder = redis.call('get', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2])
return 1`;
/** Gives back only what is still ours. */
const GIVE_BACK = `if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0`;

export interface LeadershipOptions {
  readonly redis: RedisClient;
  readonly key: string;
  /** Names this process. */
  readonly token: string;
  /** Ends the candidacy. */
  readonly signal: AbortSignal;
  readonly onWarning: (message: string) => void;
}

async function tryTake({ redis, key, token }: LeadershipOptions): Promise<boolean> {
  return (await redis.set(key, token, 'PX', LEASE_MS, 'NX')) === 'OK';
}

async function giveBack({ redis, key, token }: LeadershipOptions): Promise<void> {
  await redis.eval(GIVE_BACK, 1, key, token).catch(() => {});
}

/**
 * Waits for its turn, leads, and begins again when `lead` ends. `lead` gets a signal that is raised when another has
 * taken the turn (that the candidacy ends it must see by itself); Redis being away is no reason to stop, since Kafka holds the line.
 */
export async function runForLeadership(
  options: LeadershipOptions,
  lead: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { redis, key, token, signal, onWarning } = options;
  while (!signal.aborted) {
    const taken = await tryTake(options).catch((error: Error) => {
      onWarning(`the leadership could not be asked for: ${error.message}`);
      return false;
    });
    if (!taken || signal.aborted) {
      if (taken) await giveBack(options);
      await pause(TRY_MS, signal);
      continue;
    }
    const turn = new AbortController();
    const renewal = setInterval(() => {
      // One that ends takes nothing any more: whoever comes next would wait for it.
      if (turn.signal.aborted) return;
      redis.eval(RENEW, 1, key, token, LEASE_MS).then(
        (kept) => {
          if (kept !== 0 || turn.signal.aborted) return;
          onWarning('another process has the turn now');
          turn.abort();
        },
        (error: Error) => onWarning(`the leadership could not be renewed: ${error.message}`),
      );
    }, RENEW_MS);
    try {
      await lead(turn.signal);
    } catch (error) {
      onWarning(`the turn ended: ${(error as Error).message}`);
    } finally {
      clearInterval(renewal);
      await giveBack(options);
    }
    if (!signal.aborted) await pause(TRY_MS, signal);
  }
}
