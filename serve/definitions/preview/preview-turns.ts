// How many previews are under way, and how long: one asks ClickHouse many questions of up to half a minute each, by the same sockets as
// reports and sources.
import { problemError } from '../../problem-details.ts';
import { createTurns, type Turns } from '../../turns.ts';

/** In one process; ClickHouse gives it sixteen sockets for all. */
export const PREVIEWS_MAX = 2;
/** All questions of one preview together. */
export const PREVIEW_SECONDS_MAX = 60;
const RETRY_SECONDS = 5;

export function createPreviewTurns(): Turns {
  const detail = `${PREVIEWS_MAX} previews are being made, which is the most that one process makes at a time.`;
  const late = `It was not done within ${PREVIEW_SECONDS_MAX} s. Ask for fewer days.`;
  return createTurns({
    max: PREVIEWS_MAX,
    busy: { code: 'too_many_previews', detail, retrySeconds: RETRY_SECONDS },
    time: {
      seconds: PREVIEW_SECONDS_MAX,
      over: () => problemError({ status: 422, code: 'too_wide', detail: late }),
    },
  });
}
