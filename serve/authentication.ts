// API keys in two scopes: `write` may send data in, `secret` may do everything. Only their SHA-256 is kept.
import type { FastifyRequest } from 'fastify';
import { hashApiKey } from '../platform/api-keys.ts';
import type { HashedKeys, KeyLimits, Scope } from '../platform/hashed-keys.ts';
import { type ProblemError, problemError } from './problem-details.ts';

const RECENT_KEYS_MAX = 1_000;

/** A key as the file says it; the name becomes a record's `source`. */
export interface ApiKey {
  readonly name: string;
  readonly scope: Scope;
  /** From then on it is refused; Infinity: never. */
  readonly expiresAtMs: number;
  readonly isRevoked: boolean;
  /** Another key of the name has taken its place. */
  readonly isReplaced: boolean;
  readonly limits: KeyLimits;
}

/** Who calls, by a key that may. */
export type Caller = Pick<ApiKey, 'name' | 'scope' | 'limits'>;

export interface ApiKeys {
  /** What a plain key stands for, whether or not it may still call. */
  find(key: string): ApiKey | undefined;
  all(): Iterable<ApiKey>;
}

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller | null;
  }
}

/** Keys are long and random, so a plain hash keeps them, and looking a hash up tells nothing by its timing. */
export function apiKeys(hashed: Pick<HashedKeys, 'keys'>): ApiKeys {
  const known = new Map<string, ApiKey>();
  for (const { name, scope, sha256, expiresAt, disabled, replacedBy, limits } of hashed.keys) {
    known.set(sha256, {
      name,
      scope,
      expiresAtMs: expiresAt === undefined ? Number.POSITIVE_INFINITY : Date.parse(expiresAt),
      isRevoked: disabled === true,
      isReplaced: replacedBy !== undefined,
      limits: limits ?? {},
    });
  }
  /** Keys that called lately: a key is hashed once, not at each request. */
  const recent = new Map<string, ApiKey>();
  function find(key: string): ApiKey | undefined {
    const found = recent.get(key) ?? known.get(hashApiKey(key));
    if (found !== undefined && recent.size < RECENT_KEYS_MAX) recent.set(key, found);
    return found;
  }
  return {
    find: (key) => (key === '' ? undefined : find(key)),
    all: () => known.values(),
  };
}

/** The plain key in an Authorization header: `Bearer KEY`, or Segment's `Basic base64(KEY:)`. */
export function keyOfHeader(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const space = header.indexOf(' ');
  const scheme = header.slice(0, space).toLowerCase();
  const credentials = header.slice(space + 1).trim();
  if (scheme === 'bearer') return credentials;
  if (scheme !== 'basic') return undefined;
  const decoded = Buffer.from(credentials, 'base64').toString('utf8');
  const colon = decoded.indexOf(':');
  return colon < 0 ? decoded : decoded.slice(0, colon);
}

/**
 * The plain key in a request's Authorization (or OFREP's X-API-Key) header: undefined where there is neither,
 * '' where there is one that holds no key.
 */
export function presentedKey({ headers }: FastifyRequest): string | undefined {
  const { authorization, 'x-api-key': apiKey } = headers;
  if (authorization === undefined) return apiKey === undefined ? undefined : String(apiKey);
  return keyOfHeader(authorization) ?? '';
}

export function unauthorized(
  code: 'unauthorized' | 'key_expired' | 'key_revoked',
  detail: string,
  members: Readonly<Record<string, unknown>> = {},
): ProblemError {
  return problemError({
    status: 401,
    code,
    detail,
    headers: { 'www-authenticate': 'Basic realm="flywheel", Bearer realm="flywheel"' },
    members,
  });
}

export function forbidden(): ProblemError {
  return problemError({
    status: 403,
    code: 'forbidden',
    detail: 'This route needs a secret key; a write key may only collect and ask for variants.',
  });
}
