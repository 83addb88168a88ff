// What a limited key is told of its limits: the RateLimit header fields of the IETF draft (draft-ietf-httpapi-ratelimit-headers).
import type { FastifyReply } from 'fastify';
import type { BucketPolicy } from '../domain/token-bucket.ts';

const names = ['ratelimit-policy', 'ratelimit'] as const;
type Name = (typeof names)[number];

/** What the reply says of limits so far. */
export function limitHeadersOf(reply: FastifyReply): Partial<Record<Name, string>> {
  const said = names.flatMap((name) => {
    const value = reply.getHeader(name);
    return value === undefined ? [] : [[name, String(value)]];
  });
  return Object.fromEntries(said);
}

/** Both fields are lists of one item a limit; what an earlier limit of the request said stays in front. */
export function limitHeaders(
  reply: FastifyReply,
  limit: string,
  { perSecond, burst }: BucketPolicy,
  of: { readonly left: number } | { readonly waitMs: number },
): Record<Name, string> {
  const left = 'left' in of ? of.left : 0;
  const waitMs = 'left' in of ? ((burst - left) / perSecond) * 1_000 : of.waitMs;
  const list = (name: Name, item: string): string =>
    [reply.getHeader(name), item].filter((each) => each !== undefined).join(', ');
  return {
    'ratelimit-policy': list('ratelimit-policy', `"${limit}";q=${burst};w=${Math.ceil(burst / perSecond)}`),
    ratelimit: list('ratelimit', `"${limit}";r=${left};t=${Math.ceil(waitMs / 1_000)}`),
  };
}
