// How many of the same long work are under way in one process: each asks ClickHouse or Redis many questions by the connections that all
// answers share, and goes on asking unless it is told that nobody waits any more.
import type { FastifyReply } from 'fastify';
import { type ProblemError, problemError, retryProblem } from './problem-details.ts';

export interface TurnsOptions {
  /** Turns at a time, in one process. */
  readonly max: number;
  /** What 503 says to one who finds them all taken. */
  readonly busy: { readonly code: string; readonly detail: string; readonly retrySeconds: number };
  /** How long all questions of one turn may take together, and what is said then; absent: as long as its client waits. */
  readonly time?: { readonly seconds: number; over(): ProblemError };
}

export interface Turns {
  /**
   * Does the work, whose questions end with the signal: when the client is gone, or the time is over.
   * @throws 503 while as many as may be are under way; what `over` makes when the time is over
   */
  take<Result>(
    reply: Pick<FastifyReply, 'raw'>,
    work: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result>;
}

export function createTurns({ max, busy, time }: TurnsOptions): Turns {
  let taken = 0;
  return {
    async take({ raw }, work) {
      if (taken >= max) throw retryProblem(503, busy.code, busy.detail, busy.retrySeconds);
      taken += 1;
      const ending = new AbortController();
      const leave = (): void =>
        ending.abort(
          problemError({ status: 408, code: 'client_gone', detail: 'Nobody waits for it any more.' }),
        );
      raw.once('close', leave);
      // One that is closed already does not say so again.
      if (raw.destroyed) leave();
      const deadline = time && setTimeout(() => ending.abort(time.over()), time.seconds * 1_000);
      try {
        return await work(ending.signal);
      } finally {
        clearTimeout(deadline);
        raw.off('close', leave);
        // One question of several has failed, say: the others would go on in a turn that somebody else has by then.
        ending.abort();
        taken -= 1;
      }
    },
  };
}
