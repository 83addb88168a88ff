// How many of the same long work are under way in one process: each asks ClickHouse or Redis many questions by the connections that all
// answers share, and goes on asking unless it is told that nobody waits any more.
import type { FastifyReply } from 'fastify';
import { type ProblemError, problemError, retryProblem } from './problem-details.ts';

export interface TurnsOptions {
  /** Turns at a time, in one process. */
  readonly max: number;
  /** What 503 says to one who finds them all taken. */
  readonly busy: { readonly code: string; readonly detail: string; readonly retrySeconds: number };
  /** So many wait so long for a turn before they are told that all are taken; absent: none waits. */
  readonly line?: { readonly most: number; readonly seconds: number };
  /** How long all questions of one turn may take together, and what is said then; absent: as long as its client waits. */
  readonly time?: { readonly seconds: number; over(): ProblemError };
}

export interface Turns {
  /**
   * Does the work, whose questions end with the signal: when the client is gone, or the time is over.
   * @throws 503 while as many as may be are under way, and where there is a line, when it is full or has not come to this one in time; what `over` makes when the time is over
   */
  take<Result>(
    reply: Pick<FastifyReply, 'raw'>,
    work: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result>;
}

export function createTurns({ max, busy, line, time }: TurnsOptions): Turns {
  let taken = 0;
  /** In the order in which they came. */
  const waiting = new Set<() => void>();
  const allTaken = (): ProblemError => retryProblem(503, busy.code, busy.detail, busy.retrySeconds);

  function begin(signal: AbortSignal): Promise<void> | undefined {
    if (taken < max) {
      taken += 1;
      return undefined;
    }
    if (line === undefined || waiting.size >= line.most) throw allTaken();
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const giveUp = (reason: unknown): void => {
        stopWaiting();
        reject(reason);
      };
      const gone = (): void => giveUp(signal.reason);
      const late = setTimeout(() => giveUp(allTaken()), line.seconds * 1_000);
      const itsTurn = (): void => {
        stopWaiting();
        resolve();
      };
      const stopWaiting = (): void => {
        waiting.delete(itsTurn);
        clearTimeout(late);
        signal.removeEventListener('abort', gone);
      };
      signal.addEventListener('abort', gone);
      waiting.add(itsTurn);
    });
  }

  /** Who waits first has it at once: one who comes between would pass the line. */
  function end(): void {
    const [first] = waiting;
    if (first === undefined) taken -= 1;
    else first();
  }

  return {
    async take({ raw }, work) {
      const ending = new AbortController();
      const leave = (): void =>
        ending.abort(
          problemError({ status: 408, code: 'client_gone', detail: 'Nobody waits for it any more.' }),
        );
      raw.once('close', leave);
      // One that is closed already does not say so again.
      if (raw.destroyed) leave();
      try {
        await begin(ending.signal);
      } catch (error) {
        raw.off('close', leave);
        throw error;
      }
      const deadline = time && setTimeout(() => ending.abort(time.over()), time.seconds * 1_000);
      try {
        return await work(ending.signal);
      } finally {
        clearTimeout(deadline);
        raw.off('close', leave);
        // One question of several has failed, say: the others would go on in a turn that somebody else has by then.
        ending.abort();
        end();
      }
    },
  };
}
