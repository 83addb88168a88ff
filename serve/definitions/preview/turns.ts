// How many previews are under way, and how long: one asks ClickHouse many questions of up to half a minute each, by the same sockets as
// reports and sources, and goes on asking unless it is told that nobody waits any more.
import type { FastifyReply } from 'fastify';
import { problemError, retryProblem } from '../../problem-details.ts';

/** In one process; ClickHouse gives it sixteen sockets for all. */
export const PREVIEWS_MAX = 2;
/** All questions of one preview together. */
export const PREVIEW_SECONDS_MAX = 60;
const RETRY_SECONDS = 5;

export interface Turns {
  /**
   * Does the work, whose questions end with the signal: when the client is gone, or the time is over.
   * @throws 503 while as many as may be are under way; 422 when the time is over
   */
  take<Result>(reply: FastifyReply, work: (signal: AbortSignal) => Promise<Result>): Promise<Result>;
}

export function createTurns(): Turns {
  let taken = 0;
  return {
    async take({ raw }, work) {
      if (taken >= PREVIEWS_MAX) {
        const detail = `${PREVIEWS_MAX} previews are being made, which is the most that one process makes at a time.`;
        throw retryProblem(503, 'too_many_previews', detail, RETRY_SECONDS);
      }
      taken += 1;
      const ending = new AbortController();
      const leave = (): void =>
        ending.abort(
          problemError({ status: 408, code: 'client_gone', detail: 'Nobody waits for it any more.' }),
        );
      const expire = (): void => {
        const detail = `It was not done within ${PREVIEW_SECONDS_MAX} s. Ask for fewer days.`;
        ending.abort(problemError({ status: 422, code: 'too_wide', detail }));
      };
      raw.once('close', leave);
      // One that is closed already does not say so again.
      if (raw.destroyed) leave();
      const deadline = setTimeout(expire, PREVIEW_SECONDS_MAX * 1_000);
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
