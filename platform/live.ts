// Between `serve` and `stream`, for the live debugger: who looks (a sorted set with a bounded life) and what is to be
// seen (Redis Pub/Sub). Neither is state: both may be lost, and nothing that is committed depends on them.
import { type LiveEvent, type LiveInterest, liveInterest } from '../domain/live.ts';
import type { RedisClient } from './redis.ts';

/** What a `stream` process publishes behind a commit. */
export interface LiveMessage {
  /** Which process says it. */
  readonly slot: string;
  /** Records that it would have shown before these, had there not been too many. */
  readonly skipped: number;
  readonly events: readonly LiveEvent[];
}

/** By the clock of Redis, so that the clocks of the processes do not matter. */
const NOW = `local now = redis.call('TIME') local ms = now[1] * 1000 + math.floor(now[2] / 1000)`;
const ANNOUNCE = `${NOW}
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ms)
redis.call('ZADD', KEYS[1], 'GT', ms + ARGV[2], ARGV[1])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end`;
const READ = `${NOW} return redis.call('ZRANGEBYSCORE', KEYS[1], ms, '+inf', 'LIMIT', 0, ARGV[1])`;

/** Two who look for the same have the same text. */
export function interestText({ key, source, verdict }: LiveInterest): string {
  return JSON.stringify({ key, source, verdict });
}

/** Says that somebody looks, for `lifeMs` from now. */
export async function announceInterest(
  redis: RedisClient,
  key: string,
  interest: LiveInterest,
  lifeMs: number,
): Promise<void> {
  await redis.eval(ANNOUNCE, 1, key, interestText(interest), lifeMs);
}

/** Undefined for what is none: whoever announced it sees nothing, and nobody else is kept from what they look for. */
function interestOf(text: string): LiveInterest | undefined {
  try {
    return liveInterest.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** What is looked for now. Above `most`, everything is: telling who wants what would cost more. */
export async function readInterests(redis: RedisClient, key: string, most: number): Promise<LiveInterest[]> {
  const texts = (await redis.eval(READ, 1, key, most + 1)) as string[];
  if (texts.length > most) return [{}];
  return texts.map(interestOf).filter((interest) => interest !== undefined);
}
