// What commands ask of a running `serve`.
import { PlatformError } from '../platform/platform-error.ts';

export interface ServeTarget {
  readonly url: string;
  readonly secretKey: string;
}

/** The JSON object that a body is; an empty one for any other body. */
export function objectOf(body: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** What a problem document says; nothing of a body that is none. */
export function problemIn(body: string): {
  readonly detail?: string;
  readonly reasons?: readonly string[];
  /** What a request that was cut off has brought about all the same. */
  readonly made?: readonly string[];
} {
  return objectOf(body);
}

export function unreachable(url: string, cause: unknown): PlatformError {
  return new PlatformError('SERVE_REFUSED', `serve at ${url} cannot be reached: is it up?`, { cause });
}

function unanswered(url: string, timeoutMs: number, cause: unknown): PlatformError {
  const message = `serve at ${url} did not answer within ${timeoutMs / 1_000} s: it may still be at what it was asked`;
  return new PlatformError('SERVE_REFUSED', message, { cause });
}

/**
 * The answer to one request with the secret key, whatever its status.
 * @throws PlatformError SERVE_REFUSED if there is none within `timeoutMs`
 */
export async function askServe(
  { url, secretKey }: ServeTarget,
  route: string,
  timeoutMs: number,
  { headers, ...init }: { method?: string; body?: string; headers?: Readonly<Record<string, string>> } = {},
): Promise<Response> {
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    return await fetch(`${url}${route}`, {
      ...init,
      headers: { authorization: `Bearer ${secretKey}`, ...headers },
      signal,
    });
  } catch (cause) {
    throw signal.aborted ? unanswered(url, timeoutMs, cause) : unreachable(url, cause);
  }
}
