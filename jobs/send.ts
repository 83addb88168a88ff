// One attempt: a POST to the receiver. Redirects are not followed, answers are read to a bound, addresses are checked.
import { setMaxListeners } from 'node:events';
import type { Readable } from 'node:stream';
import { Agent, errors, request } from 'undici';
import type { Answer } from '../domain/delivery.ts';
import { assertLiteralAllowed, ForbiddenAddress, isAllowedHost, publicLookup } from './address.ts';

/** Of an answer so much is kept, to show why it failed. */
const ANSWER_CHARACTERS_MAX = 500;
const ANSWER_BYTES_MAX = 65_536;
/** The status says what came of it: what else is said is not waited for. */
const ANSWER_READ_MS_MAX = 1_000;
const IDLE_CONNECTION_MS = 10_000;

/** The intent's time was over before a byte was written, because this process stood still. */
export class IntentOver extends Error {
  constructor() {
    super('the time in which this intent may be sent is over');
  }
}

export interface Attempt {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly timeoutMs: number;
  /** Asked at the moment at which the first byte is handed to the connection. */
  mayStart(): boolean;
  readonly signal: AbortSignal;
}

export interface Sender {
  /** What came of it. @throws IntentOver if nothing was sent */
  send(attempt: Attempt): Promise<Answer>;
  close(): Promise<void>;
}

export interface SenderOptions {
  readonly allowedHosts: readonly string[];
  /** For tests of names that lead elsewhere. */
  readonly lookup?: ReturnType<typeof publicLookup>;
}

/** The head of the request goes out with the first part of the body, so what is asked here is asked at the socket. */
async function* guardedBody({ body, mayStart }: Attempt): AsyncGenerator<Buffer> {
  if (!mayStart()) throw new IntentOver();
  yield Buffer.from(body);
}

/** As much as comes whole and in time. Never fails: the receiver has answered, and what it has taken must not be sent again. */
async function beginningOf(body: AsyncIterable<Buffer> & { destroy(): unknown }): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const timer = setTimeout(() => body.destroy(), ANSWER_READ_MS_MAX);
  try {
    for await (const chunk of body) {
      chunks.push(chunk);
      bytes += chunk.length;
      // Leaving the loop destroys the body.
      if (bytes > ANSWER_BYTES_MAX) break;
    }
  } catch {
    // The rest was cut off, by either side.
  } finally {
    clearTimeout(timer);
  }
  return Buffer.concat(chunks).toString('utf8').slice(0, ANSWER_CHARACTERS_MAX).toWellFormed();
}

function reasonOf(error: unknown, timeoutMs: number): string {
  if (error instanceof Error && error.name === 'TimeoutError') return `no answer within ${timeoutMs} ms`;
  if (error instanceof errors.UndiciError || error instanceof Error) {
    const cause = error.cause instanceof Error ? `: ${error.cause.message}` : '';
    return `${error.message || error.name}${cause}`;
  }
  return String(error);
}

export function createSender({ allowedHosts, lookup = publicLookup() }: SenderOptions): Sender {
  const settings = { keepAliveTimeout: IDLE_CONNECTION_MS, pipelining: 1 };
  const guarded = new Agent({ ...settings, connect: { lookup } });
  const free = new Agent(settings);

  async function post(attempt: Attempt, signal: AbortSignal): Promise<Answer> {
    const url = new URL(attempt.url);
    const allowed = isAllowedHost(url, allowedHosts);
    if (!allowed) assertLiteralAllowed(url);
    const { statusCode, headers, body } = await request(url, {
      method: 'POST',
      headers: attempt.headers,
      // undici takes any iterable; its types name streams only.
      body: guardedBody(attempt) as unknown as Readable,
      dispatcher: allowed ? free : guarded,
      signal,
    });
    const retryAfter = headers['retry-after'];
    const text = await beginningOf(body);
    return {
      status: statusCode,
      retryAfter: Array.isArray(retryAfter) ? retryAfter[0] : retryAfter,
      detail: statusCode >= 300 && statusCode < 400 ? 'a redirect, which is not followed' : text,
    };
  }

  return {
    async send(attempt) {
      const ending = new AbortController();
      const end = (): void => ending.abort(attempt.signal.reason);
      const timer = setTimeout(() => ending.abort(new DOMException('', 'TimeoutError')), attempt.timeoutMs);
      // The signal is the turn's: as many listen as attempts are under way, each until it has ended. Node takes ten for a leak.
      setMaxListeners(0, attempt.signal);
      attempt.signal.addEventListener('abort', end, { once: true });
      try {
        return await post(attempt, ending.signal);
      } catch (error) {
        if (error instanceof IntentOver || (error as Error).cause instanceof IntentOver)
          throw new IntentOver();
        if (error instanceof ForbiddenAddress) return { status: 0, detail: error.message };
        return { status: 0, detail: reasonOf(error, attempt.timeoutMs) };
      } finally {
        clearTimeout(timer);
        attempt.signal.removeEventListener('abort', end);
      }
    },
    async close() {
      await Promise.all([guarded.destroy(), free.destroy()]);
    },
  };
}
