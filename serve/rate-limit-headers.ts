// What a limited key is told of its limits: the RateLimit header fields of the IETF draft (draft-ietf-httpapi-ratelimit-headers).
import type { FastifyReply } from 'fastify';
import type { BucketPolicy, Taking } from '../domain/token-bucket.ts';

/** Both fields are lists of one item a limit; what an earlier limit of the request said stays in front. */
export function limitHeaders(
  reply: FastifyReply,
  limit: string,
  { perSecond, burst }: BucketPolicy,
  taking: Taking,
): Record<'ratelimit-policy' | 'ratelimit', string> {
  const left = taking.taken ? taking.left : 0;
  const waitMs = taking.taken ? ((burst - left) / perSecond) * 1_000 : taking.waitMs;
  const list = (name: string, item: string): string =>
    [reply.getHeader(name), item].filter((each) => each !== undefined).join(', ');
  return {
    'ratelimit-policy': list('ratelimit-policy', `"${limit}";q=${burst};w=${Math.ceil(burst / perSecond)}`),
    ratelimit: list('ratelimit', `"${limit}";r=${left};t=${Math.ceil(waitMs / 1_000)}`),
  };
}
