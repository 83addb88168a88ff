// Packed answers, and their entity tags: each form of an answer has a tag of its own (RFC 9110, section 8.8.3.3), so that tags
// stay strong and may be sent back as they came, in If-Match too. The routes know only the plain one.
import zlib from 'node:zlib';
import compress from '@fastify/compress';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** Smaller answers fit one packet as they are. */
const PACKED_FROM_BYTES = 1_400;
/** Of 11: above it, answers made for one request cost more time than the bytes they save. */
const BROTLI_QUALITY = 4;

const ENCODINGS = ['br', 'gzip', 'deflate'] as const;
const MARK = new RegExp(`\\+(${ENCODINGS.join('|')})"$`);
const MARKS = new RegExp(`\\+(?:${ENCODINGS.join('|')})"`, 'g');

declare module 'fastify' {
  interface FastifyRequest {
    /** If-None-Match as it came. */
    knownTags: string | undefined;
  }
}

function marked(tag: string, encoding: string): string {
  return tag.replace(/"$/, `+${encoding}"`);
}

function plainTags(request: FastifyRequest): void {
  const { headers } = request;
  request.knownTags = headers['if-none-match'];
  for (const name of ['if-match', 'if-none-match'] as const) {
    if (headers[name] !== undefined) headers[name] = headers[name].replace(MARKS, '"');
  }
}

function withoutWeakness(tag: string): string {
  return tag.replace(/^W\//, '');
}

/** The form that the caller holds, among its tags: an unchanged answer names it. Compares weakly, as If-None-Match does. */
function formHeld(known: string | undefined, tag: string): string | undefined {
  const held = known?.split(',').map((each) => withoutWeakness(each.trim()));
  const form = held?.find((each) => MARK.test(each) && each.replace(MARK, '"') === withoutWeakness(tag));
  return form === undefined ? undefined : MARK.exec(form)![1];
}

function tagForm(request: FastifyRequest, reply: FastifyReply): void {
  const tag = reply.getHeader('etag');
  if (typeof tag !== 'string') return;
  // Whether or not this one is packed: the same request with another Accept-Encoding gets other bytes.
  reply.header('vary', 'accept-encoding');
  const packed = reply.getHeader('content-encoding');
  const form = reply.statusCode === 304 ? formHeld(request.knownTags, tag) : packed;
  if (typeof form === 'string') reply.header('etag', marked(tag, form));
}

/** For routes whose answers are smaller than what is packed, and many: they are not even looked at. */
export const neverPacked = { compress: false } as const;

/** Register before any route. */
export async function registerPacking(app: FastifyInstance): Promise<void> {
  app.decorateRequest('knownTags', undefined);
  app.addHook('onRequest', (request, _reply, done) => {
    plainTags(request);
    done();
  });
  await app.register(compress, {
    globalDecompression: false,
    threshold: PACKED_FROM_BYTES,
    encodings: [...ENCODINGS],
    brotliOptions: { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY } },
  });
  // After the plugin's own, which packs at each route.
  app.addHook('onRoute', (route) => {
    const own = route.onSend === undefined ? [] : [route.onSend].flat();
    route.onSend = [
      ...own,
      (request, reply, payload, done) => {
        tagForm(request, reply);
        done(null, payload);
      },
    ];
  });
}
