// API keys in two scopes: `write` may send data in, `secret` may do everything. Only their SHA-256 is kept.
import { hkdfSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { hashApiKey } from '../platform/api-keys.ts';
import { PlatformError } from '../platform/platform-error.ts';
import { type ProblemError, problemError } from './problem-details.ts';

export type Scope = 'write' | 'secret';

/** Who calls: the key's name (it becomes a record's `source`) and what it may do. */
export interface Caller {
  readonly name: string;
  readonly scope: Scope;
}

export interface ApiKeys {
  /** The caller that a plain key stands for. */
  find(key: string): Caller | undefined;
}

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller | null;
  }
}

const keysFile = z.object({
  keys: z
    .array(
      z.object({
        name: z.string().min(1).max(64),
        scope: z.enum(['write', 'secret']),
        sha256: z.string().regex(/^[0-9a-f]{64}$/),
      }),
    )
    .min(1),
  /** Hex; signs notice addresses. Without it, one is derived from the first secret key's hash. */
  noticeSecret: z
    .string()
    .regex(/^[0-9a-f]{32,128}$/)
    .optional(),
});
export type HashedKeys = z.infer<typeof keysFile>;

/** Keys are long and random, so a plain hash keeps them, and looking a hash up tells nothing by its timing. */
export function apiKeys(hashed: HashedKeys): ApiKeys {
  const callers = new Map<string, Caller>();
  for (const { name, scope, sha256 } of hashed.keys) callers.set(sha256, { name, scope });
  return { find: (key) => (key === '' ? undefined : callers.get(hashApiKey(key))) };
}

/** @throws PlatformError KEYS_UNREADABLE */
export async function readHashedKeys(file: string): Promise<HashedKeys> {
  try {
    return keysFile.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (cause) {
    throw new PlatformError(
      'KEYS_UNREADABLE',
      `the API keys in ${file} cannot be read: ${(cause as Error).message}`,
      {
        cause,
      },
    );
  }
}

/** Every process with the same keys file signs alike. */
export function noticeSecretOf(hashed: HashedKeys): Buffer {
  if (hashed.noticeSecret !== undefined) return Buffer.from(hashed.noticeSecret, 'hex');
  const first = hashed.keys.find((key) => key.scope === 'secret') ?? hashed.keys[0]!;
  return Buffer.from(
    hkdfSync('sha256', Buffer.from(first.sha256, 'hex'), '', 'flywheel notice addresses', 32),
  );
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

export function unauthorized(detail: string): ProblemError {
  return problemError({
    status: 401,
    code: 'unauthorized',
    detail,
    headers: { 'www-authenticate': 'Basic realm="flywheel", Bearer realm="flywheel"' },
  });
}

function forbidden(): ProblemError {
  return problemError({
    status: 403,
    code: 'forbidden',
    detail: 'This route needs a secret key; a write key may only collect.',
  });
}

/** The caller of a request by its Authorization (or OFREP's X-API-Key) header; null without one. @throws 401 for a key that is not ours. */
export function callerOfHeader(keys: ApiKeys, request: FastifyRequest): Caller | null {
  const { authorization, 'x-api-key': apiKey } = request.headers;
  if (authorization === undefined && apiKey === undefined) return null;
  const key = authorization === undefined ? String(apiKey) : keyOfHeader(authorization);
  const caller = key === undefined ? undefined : keys.find(key);
  if (caller === undefined) throw unauthorized('The key that the request carries is not known here.');
  return caller;
}

/**
 * An `onRequest` hook for a plugin whose routes all need a key of this scope; sets `request.caller`.
 * A secret key passes everywhere.
 */
export function requireScope(keys: ApiKeys, scope: Scope) {
  return async (request: FastifyRequest, _reply: FastifyReply): Promise<void> => {
    const caller = callerOfHeader(keys, request);
    if (caller === null)
      throw unauthorized('Send a key: Authorization: Bearer KEY, or Basic with the key as user name.');
    if (scope === 'secret' && caller.scope !== 'secret') throw forbidden();
    request.caller = caller;
  };
}
