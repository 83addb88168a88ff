// How much of a partition waits in memory before its fold: from some amount on it is read no further, until less is left.

export interface Backlog {
  readonly messages: number;
  readonly bytes: number;
}

/** Two batches: while one is folded, its messages wait here too, and the next one must find enough. */
const PAUSE: Backlog = { messages: 24_000, bytes: 16 * 1024 * 1024 };
const RESUME: Backlog = { messages: 16_000, bytes: 10 * 1024 * 1024 };

/** Whether a partition of which so much waits is read no further; one that was paused reads on later than it would be paused. */
export function isToPause({ messages, bytes }: Backlog, isPaused: boolean): boolean {
  return isPaused
    ? messages >= RESUME.messages || bytes >= RESUME.bytes
    : messages > PAUSE.messages || bytes > PAUSE.bytes;
}
