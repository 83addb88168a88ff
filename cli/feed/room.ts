// How far a feed may be ahead of the stream. History comes weeks a second, but what owners of visitors and users tell each other takes
// its way through the log: behind a long backlog a link to a person would come when weeks of event time have passed, and what the
// visitor did before would be forgotten, or counted for both.
import { setTimeout as wait } from 'node:timers/promises';
import { isOfAnotherLog } from '../../platform/progress.ts';

/** Records in the log that the stream has not applied: about a day of the demo's history. */
const LAG_MAX = 2_000;
const LOOK_EVERY_MS = 100;

/**
 * Resolves when there is room for the next item; asks for the lag no more often than ten times a second.
 * @param lag in records; while it cannot be told, there is no room
 * @throws the signal's reason once it is aborted; where the stream is of another log, why: it will never have room
 */
export function createRoom(lag: () => Promise<number>, signal: AbortSignal): () => Promise<void> {
  let goodUntilMs = Number.NEGATIVE_INFINITY;
  return async () => {
    while (performance.now() >= goodUntilMs) {
      const records = await lag().catch((error: unknown) => {
        if (isOfAnotherLog(error)) throw error;
        return Number.POSITIVE_INFINITY;
      });
      signal.throwIfAborted();
      if (records <= LAG_MAX) goodUntilMs = performance.now() + LOOK_EVERY_MS;
      else await wait(LOOK_EVERY_MS, undefined, { signal });
    }
  };
}
