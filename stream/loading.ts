// Before a fold: the states of all keys in reach and the timers that may fall due, brought into memory.
import type { Redis } from 'ioredis';
import type { PartitionKeys } from '../platform/keys.ts';
import type { RedisClient } from '../platform/redis.ts';
import type { Decoded } from './decode.ts';
import type { Timer, TimerQueue } from './timers.ts';
import type { Work } from './work.ts';

export interface Loader {
  /** Before a batch: `timersPerCommit` is what it is now, whatever the batch changes. */
  begin(): void;
  /**
   * Brings what many records will need into memory, as it is stored: an object of it is made when its record is loaded. It is a
   * guess by the records' keys, and by how many timers may fall due; what was not guessed is asked for by `load`.
   */
  fetch(recordKeys: readonly (string | null)[], queue: TimerQueue): Promise<void>;
  /** Before the first record of a batch is loaded: its states go into maps of its own. */
  renewMaps(): void;
  /** Loads what the next records of the batch need, and the first timers of the stored queue if any may fall due. */
  load(decoded: readonly Decoded[], queue: TimerQueue): Promise<void>;
  /** After the fold: from when on the stored queue must be read again; at once if its commit changes all of it. */
  learn(queue: TimerQueue, looksAgain: boolean): void;
  /**
   * After a commit: lets buyers go until at most so many are left, of at most so many bytes as they are stored, those of the
   * last batches. Accounts all go: what iterates over their fields must find the stored order, and they are few.
   */
  keep(statesMax: number, bytesMax: number): void;
}

/** States that are asked for in one command: Redis does nothing else until it has answered. */
const FETCHED_AT_ONCE = 500;

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
  /** What was fetched and not loaded yet; null where nothing is stored. */
  let fetched = new Map<string, Buffer | null>();

  async function loadTimers(): Promise<Timer[]> {
    // `call` would answer in pairs: the client speaks RESP3 and flattens only what it knows.
    const flat = await (redis as Redis).zrange(keys.timers, 0, String(timersMax - 1), 'WITHSCORES');
    const timers: Timer[] = [];
    for (let index = 0; index < flat.length; index += 2)
      timers.push({ key: flat[index]!, dueMs: Number(flat[index + 1]) });
    return timers;
  }

  function stored(wanted: readonly string[]): Promise<(Buffer | null)[]> {
    return redis.mgetBuffer(wanted.map((key) => (isEvents ? keys.buyer(key) : keys.account(key))));
  }

  async function fetchStates(wanted: readonly string[]): Promise<void> {
    const blobs = await stored(wanted);
    for (let index = 0; index < wanted.length; index += 1) fetched.set(wanted[index]!, blobs[index]!);
  }

  async function loadStates(missing: readonly string[]): Promise<void> {
    const unknown = missing.filter((key) => !takeFetched(key));
    if (unknown.length === 0) return;
    const blobs = await stored(unknown);
    blobs.forEach((bytes, index) => {
      if (bytes !== null) work.states.read(unknown[index]!, bytes);
    });
  }

  /** False if it was not fetched. */
  function takeFetched(key: string): boolean {
    const bytes = fetched.get(key);
    if (bytes === undefined) return false;
    fetched.delete(key);
    if (bytes !== null) work.states.read(key, bytes);
    return true;
  }

  async function readTimers(queue: TimerQueue): Promise<readonly Timer[]> {
    ahead = await loadTimers();
    queue.readAhead(ahead);
    return ahead;
  }

  /** Of the records, and of as many timers: each may be the one that a record makes due. */
  function guessed(recordKeys: readonly (string | null)[], timers: readonly Timer[]): string[] {
    const wanted = new Set<string>();
    for (const key of recordKeys) if (key !== null) wanted.add(key);
    for (const { key } of timers.slice(0, recordKeys.length)) wanted.add(key);
    return [...wanted].filter((key) => !work.states.has(key));
  }

  return {
    begin() {
      timersMax = work.inForce.definitions.settings.timersPerCommit + 1;
      ahead = undefined;
      reached = 0;
      fetched = new Map();
    },
    async fetch(recordKeys, queue) {
      const wanted = guessed(recordKeys, await readTimers(queue));
      const pieces: Promise<void>[] = [];
      for (let from = 0; from < wanted.length; from += FETCHED_AT_ONCE)
        pieces.push(fetchStates(wanted.slice(from, from + FETCHED_AT_ONCE)));
      await Promise.all(pieces);
    },
    renewMaps() {
      // As late as it can be: while a batch waits its maps grow old.
      work.states = work.states.renewed();
      work.changed = new Set(work.changed);
      fetched = new Map(fetched);
    },
    async load(decoded, queue) {
      const wanted = new Set<string>();
      // What a definition made due already fires before the next record, however old that is.
      let latestMs = work.head.watermarkMs;
      for (const one of decoded) {
        if (one.key !== '' && one.kind !== 'receipt') wanted.add(one.key);
        if (one.timeMs > latestMs) latestMs = one.timeMs;
      }
      if (ahead === undefined && latestMs >= nextDueMs) await readTimers(queue);
      while (ahead !== undefined && reached < ahead.length && ahead[reached]!.dueMs <= latestMs) {
        wanted.add(ahead[reached]!.key);
        reached += 1;
      }
      const missing = [...wanted].filter((key) => !work.states.touch(key));
      work.counters.looked(wanted.size - missing.length, missing.length);
      await loadStates(missing);
    },
    learn(queue, looksAgain) {
      const earliestMs = queue.earliestMs();
      if (looksAgain) nextDueMs = Number.NEGATIVE_INFINITY;
      else if (ahead === undefined) nextDueMs = Math.min(nextDueMs, earliestMs);
      else nextDueMs = ahead.length >= timersMax ? Number.NEGATIVE_INFINITY : earliestMs;
    },
    keep(statesMax, bytesMax) {
      work.states.keep(isEvents ? statesMax : 0, bytesMax);
    },
  };
}
