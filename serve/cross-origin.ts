// CORS for what browsers call (Fetch standard): any site may, because a write key is public and no cookie is involved.
import type { FastifyInstance } from 'fastify';

/**
 * Everything: Segment's client tells of retries by X-Retry-Count, RudderStack's sends AnonymousId, and others may come. The
 * wildcard does not stand for Authorization; the rest is named for browsers that do not know it.
 */
const ALLOWED_HEADERS =
  'authorization, content-type, content-encoding, if-none-match, x-api-key, x-retry-count, anonymousid, *';
/** What a page's script may read of an answer, beside what the standard lists. */
const EXPOSED_HEADERS = 'etag, retry-after, ratelimit, ratelimit-policy';
const PREFLIGHT_SECONDS = 86_400;

/**
 * Lets pages of any origin call the routes of this plugin.
 * @param addresses patterns whose preflights are answered: without a key, because browsers send none with them
 */
export function registerCrossOrigin(app: FastifyInstance, addresses: readonly string[]): void {
  app.addHook('onRequest', (_request, reply, done) => {
    reply.header('access-control-allow-origin', '*');
    reply.header('access-control-expose-headers', EXPOSED_HEADERS);
    done();
  });
  for (const address of addresses) {
    app.options(address, { schema: { hide: true } }, async (_request, reply) =>
      reply
        .code(204)
        .header('access-control-allow-methods', 'POST, OPTIONS')
        .header('access-control-allow-headers', ALLOWED_HEADERS)
        .header('access-control-max-age', String(PREFLIGHT_SECONDS))
        .send(),
    );
  }
}
