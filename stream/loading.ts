// Before a fold: the states of all keys in reach and the timers that may fall due, brought into memory.
import type { Redis } from 'ioredis';
import type { AccountState } from '../domain/account.ts';
import type { Buyer } from '../domain/buyer.ts';
import { decodeBuyer } from '../platform/buyer-codec.ts';
import { decodeAccount } from '../platform/codec.ts';
import type { PartitionKeys } from '../platform/keys.ts';
import type { RedisClient } from '../platform/redis.ts';
import type { Decoded } from './decode.ts';
import { StateSizes } from './state-sizes.ts';
import type { Timer, TimerQueue } from './timers.ts';
import type { Work } from './work.ts';

export interface Loader {
  /** Before a batch, whose states go into maps of its own: `timersPerCommit` is what it is now, whatever the batch changes. */
  begin(): void;
  /** Loads what the next records of the batch need, and the first timers of the stored queue if any may fall due. */
  load(decoded: readonly Decoded[], queue: TimerQueue): Promise<void>;
  /** After the fold: from when on the stored queue must be read again. */
  learn(queue: TimerQueue): void;
  /**
   * After a commit: lets buyers go until at most so many are left, of at most so many bytes as they are stored, those of the
   * last batches. Accounts all go: what iterates over their fields must find the stored order, and they are few.
   */
  keep(statesMax: number, bytesMax: number): void;
}

export function createLoader(work: Work, redis: RedisClient, keys: PartitionKeys): Loader {
  const isEvents = work.id.topic === 'events';
  /** No timer of the stored queue is due before this. */
  let nextDueMs = Number.NEGATIVE_INFINITY;

  /** One more than the commit at hand may fire, so that what lies beyond is known to be later. */
  let timersMax = 0;
  /** The first timers of the stored queue, by due time; undefined until one may fall due. */
  let ahead: Timer[] | undefined;
  /** How many of them are due at or before the records that were loaded. */
  let reached = 0;

  async function loadTimers(): Promise<Timer[]> {
    // `call` would answer in pairs: the client speaks RESP3 and flattens only what it knows.
    const flat = await (redis as Redis).zrange(keys.timers, 0, String(timersMax - 1), 'WITHSCORES');
    const timers: Timer[] = [];
    for (let index = 0; index < flat.length; index += 2)
      timers.push({ key: flat[index]!, dueMs: Number(flat[index + 1]) });
    return timers;
  }

  function take(key: string, bytes: Buffer): void {
    const state: Buyer | AccountState = isEvents ? decodeBuyer(key, bytes) : decodeAccount(bytes);
    work.states.set(key, state);
    work.stateSizes.set(key, bytes.length);
  }

  async function loadStates(missing: readonly string[]): Promise<void> {
    if (missing.length === 0) return;
    const names = missing.map((key) => (isEvents ? keys.buyer(key) : keys.account(key)));
    const blobs = await redis.mgetBuffer(names);
    blobs.forEach((bytes, index) => {
      if (bytes !== null) take(missing[index]!, bytes);
    });
  }

  /** Moves what is in memory behind everything else in the order in which states are let go; returns the others. */
  function touch(wanted: ReadonlySet<string>): string[] {
    const missing: string[] = [];
    for (const key of wanted) {
      const state = work.states.get(key);
      if (state === undefined) {
        missing.push(key);
        continue;
      }
      work.states.delete(key);
      work.states.set(key, state);
    }
    return missing;
  }

  return {
    begin() {
      // A map that has stood between two batches is old, and so is each table that it grows into: dead, they would keep the states
      // of a batch until a major collection. Each batch begins with young ones.
      work.states = new Map(work.states);
      work.stateSizes = work.stateSizes.copy();
      work.changed = new Set(work.changed);
      timersMax = work.inForce.definitions.settings.timersPerCommit + 1;
      ahead = undefined;
      reached = 0;
    },
    async load(decoded, queue) {
      const wanted = new Set<string>();
      // What a definition made due already fires before the next record, however old that is.
      let latestMs = work.head.watermarkMs;
      for (const one of decoded) {
        if (one.key !== '' && one.kind !== 'receipt') wanted.add(one.key);
        if (one.timeMs > latestMs) latestMs = one.timeMs;
      }
      if (ahead === undefined && latestMs >= nextDueMs) {
        ahead = await loadTimers();
        queue.readAhead(ahead);
      }
      while (ahead !== undefined && reached < ahead.length && ahead[reached]!.dueMs <= latestMs) {
        wanted.add(ahead[reached]!.key);
        reached += 1;
      }
      const missing = touch(wanted);
      work.counters.looked(wanted.size - missing.length, missing.length);
      await loadStates(missing);
    },
    learn(queue) {
      const earliestMs = queue.earliestMs();
      if (ahead === undefined) nextDueMs = Math.min(nextDueMs, earliestMs);
      else nextDueMs = ahead.length >= timersMax ? Number.NEGATIVE_INFINITY : earliestMs;
    },
    keep(statesMax, bytesMax) {
      if (statesMax === 0 || !isEvents) {
        work.states = new Map();
        work.stateSizes = new StateSizes();
        return;
      }
      for (const key of work.states.keys()) {
        if (work.states.size <= statesMax && work.stateSizes.total <= bytesMax) break;
        work.states.delete(key);
        work.stateSizes.delete(key);
      }
    },
  };
}
