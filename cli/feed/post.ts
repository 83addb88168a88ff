// One request to `serve`, sent again while `serve` says to wait or cannot be reached.
import { setMaxListeners } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { objectOf } from '../ask-serve.ts';

/** Without an answer for so long the feeder gives up. */
const OUTAGE_MS_MAX = 120_000;
const REQUEST_MS_MAX = 60_000;
const RETRY_MS_FIRST = 250;
const RETRY_MS_MAX = 5_000;

export interface Target {
  readonly url: string;
  readonly key: string;
  readonly signal: AbortSignal;
  /** Told of every attempt that has to be made again. */
  readonly onRetry: (reason: string) => void;
}

export interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** What the feeder cannot go on after: a wrong key, a refusal, an outage that lasts. */
export class FeedError extends Error {
  readonly code:
    | 'FEED_REFUSED'
    | 'FEED_UNREACHABLE'
    | 'FEED_WRONG_NAMESPACE'
    | 'FEED_WRONG_ARGUMENT'
    | 'FEED_OTHER_SOURCE'
    | 'FEED_REPORT_UNREADABLE';

  constructor(code: FeedError['code'], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'FeedError';
    this.code = code;
  }
}

interface Attempt {
  readonly answer?: Answer;
  readonly retryAfterMs: number | undefined;
  readonly reason: string;
}

async function attempt(target: Target, path: string, body: string | undefined): Promise<Attempt> {
  const signal = AbortSignal.any([target.signal, AbortSignal.timeout(REQUEST_MS_MAX)]);
  const headers = { authorization: `Bearer ${target.key}`, 'content-type': 'application/json' };
  const init = body === undefined ? { headers, signal } : { method: 'POST', headers, body, signal };
  const response = await fetch(`${target.url}${path}`, init);
  const answer = { status: response.status, body: objectOf(await response.text()) };
  const waits = response.status === 429 || response.status === 503;
  if (!waits) return { answer, retryAfterMs: undefined, reason: '' };
  const seconds = Number(response.headers.get('retry-after'));
  return {
    retryAfterMs: seconds > 0 ? seconds * 1_000 : undefined,
    reason: `${response.status} ${String(answer.body.detail ?? '')}`,
  };
}

/**
 * The answer to a POST (a GET without `body`), any status but 429 and 503.
 * @throws FeedError FEED_UNREACHABLE after two minutes without one
 */
export async function request(target: Target, path: string, body?: string): Promise<Answer> {
  const startedAt = performance.now();
  let delayMs = RETRY_MS_FIRST;
  for (;;) {
    target.signal.throwIfAborted();
    const outcome: Attempt = await attempt(target, path, body).catch((error: unknown) => {
      target.signal.throwIfAborted();
      const { cause } = error as { cause?: { code?: string } };
      return { retryAfterMs: undefined, reason: cause?.code ?? String(error) };
    });
    if (outcome.answer !== undefined) return outcome.answer;
    if (performance.now() - startedAt > OUTAGE_MS_MAX) {
      throw new FeedError(
        'FEED_UNREACHABLE',
        `${target.url}${path} gave no answer for two minutes: ${outcome.reason}`,
      );
    }
    target.onRetry(outcome.reason);
    // One signal for all lanes: as many listen as wait at once. Node takes ten for a leak.
    setMaxListeners(0, target.signal);
    await wait(outcome.retryAfterMs ?? delayMs, undefined, { signal: target.signal });
    delayMs = Math.min(delayMs * 2, RETRY_MS_MAX);
  }
}
