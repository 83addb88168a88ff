// Bodies of the routes that take data in: unpacked within bounds, kept as they came (for events.rejected), and read.
// What cannot be read does not throw here, so that a route may write it down with its reason first.
import { isUtf8 } from 'node:buffer';
import { promisify } from 'node:util';
import zlib from 'node:zlib';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { BODY_NOT_TAKEN, problemError } from './problem-details.ts';

/** Bodies of batches and reports, unpacked. */
export const INTAKE_BODY_BYTES_MAX = 5 * 1024 * 1024;
/** A packed body may grow by this factor; up to `INFLATED_BYTES_FREE` it is not asked. */
const INFLATION_RATIO_MAX = 200;
const INFLATED_BYTES_FREE = 1_048_576;

export interface RequestBody {
  /** The body after unpacking; as it came, when it cannot be unpacked. */
  readonly raw: Buffer;
  /** What `interpret` made of it; undefined when there is a fault. */
  readonly value: unknown;
  /** Why it cannot be read; null when it could. */
  readonly fault: string | null;
}

/** Reads a body's text. @throws an Error whose message says what is wrong with it. */
export type Interpret = (text: string, request: FastifyRequest) => unknown;

const gunzip = promisify(zlib.gunzip) as (bytes: Buffer, options: zlib.ZlibOptions) => Promise<Buffer>;
const inflate = promisify(zlib.inflate) as typeof gunzip;
const inflateRaw = promisify(zlib.inflateRaw) as typeof gunzip;
const brotli = promisify(zlib.brotliDecompress) as typeof gunzip;

/** Whether bytes begin as a zlib stream (RFC 1950, section 2.2); some clients send the bare deflate data instead. */
function isZlib(bytes: Buffer): boolean {
  const [method = 0, flags = 0] = bytes;
  return (method & 0x0f) === ZLIB_DEFLATE && (method * 256 + flags) % 31 === 0;
}
const ZLIB_DEFLATE = 8;

type Unpack = (bytes: Buffer, options: zlib.ZlibOptions) => Promise<Buffer>;

function unpackerOf(encoding: string, bytes: Buffer): Unpack {
  switch (encoding.trim().toLowerCase()) {
    case 'gzip':
    case 'x-gzip':
      return gunzip;
    case 'deflate':
      return isZlib(bytes) ? inflate : inflateRaw;
    case 'br':
      return brotli;
    case 'identity':
      return async (same) => same;
    default:
      throw unsupportedEncoding(encoding, 'gzip, br, deflate');
  }
}

/** One packing at a time: a chain of them is what bombs are made of, and no client sends one. */
function unsupportedEncoding(encoding: string, taken: string): Error {
  return problemError({
    status: 415,
    code: 'unsupported_encoding',
    detail: `Content-Encoding ${JSON.stringify(encoding)} is not taken here; send ${taken}, and only one.`,
    headers: { 'accept-encoding': taken },
  });
}

function tooLarge(detail: string): Error {
  return problemError({ status: 413, code: 'too_large', detail });
}

/** No problem yet, as Fastify's own errors are none: OFREP has its own words for a body that cannot be taken. */
function notTaken(said: string): Error {
  return Object.assign(new Error(said), { statusCode: 400, code: BODY_NOT_TAKEN });
}

/** It would change what objects are, where code copies them. */
const FORBIDDEN_MEMBER = 'The body has a member that is not taken: __proto__, or prototype in constructor.';
/** @throws 413 beyond the bounds, 415 for an encoding we do not know, zlib's error for bytes that are not what they say. */
async function unpacked(packed: Buffer, encoding: string): Promise<Buffer> {
  const unpack = unpackerOf(encoding, packed);
  const maxOutputLength = Math.min(
    INTAKE_BODY_BYTES_MAX,
    Math.max(INFLATED_BYTES_FREE, packed.length * INFLATION_RATIO_MAX),
  );
  try {
    return await unpack(packed, { maxOutputLength });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_BUFFER_TOO_LARGE') throw error;
    throw tooLarge(
      `Unpacked, the body has more than ${maxOutputLength} bytes; ${INTAKE_BODY_BYTES_MAX}, and from ${INFLATED_BYTES_FREE} on ${INFLATION_RATIO_MAX} times its packed size, are the limits.`,
    );
  }
}

const NOT_UTF8 = 'it is not UTF-8, and no other encoding of text is taken here';

/**
 * Without its byte order mark. Bytes that are no UTF-8 would become U+FFFD, by which two people would become one.
 * @throws an Error for them
 */
function textOf(raw: Buffer): string {
  if (!isUtf8(raw)) throw new Error(NOT_UTF8);
  const marked = raw.length >= 3 && raw[0] === 0xef && raw[1] === 0xbb && raw[2] === 0xbf;
  return raw.toString('utf8', marked ? 3 : 0);
}

function read(raw: Buffer, interpret: Interpret, request: FastifyRequest): RequestBody {
  try {
    return { raw, value: interpret(textOf(raw), request), fault: null };
  } catch (error) {
    return { raw, value: undefined, fault: (error as Error).message };
  }
}

async function readPacked(
  packed: Buffer,
  encoding: string,
  interpret: Interpret,
  request: FastifyRequest,
): Promise<RequestBody> {
  try {
    return read(await unpacked(packed, encoding), interpret, request);
  } catch (error) {
    if (error instanceof Error && 'problem' in error) throw error;
    return {
      raw: packed,
      value: undefined,
      fault: `it cannot be unpacked as ${encoding}: ${(error as Error).message}`,
    };
  }
}

/** Routes without {@link registerRequestBody} take JSON as it is; a packed body, or one that is no text, is told so, not that it is no JSON. */
export function refusePackedBodies(app: FastifyInstance): void {
  const parseJson = app.getDefaultJsonParser('error', 'error');
  const parseAny = app.getDefaultJsonParser('ignore', 'ignore');
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    const encoding = request.headers['content-encoding'];
    if (encoding !== undefined && encoding.trim().toLowerCase() !== 'identity')
      return done(unsupportedEncoding(encoding, 'identity'), undefined);
    const raw = body as Buffer;
    if (!isUtf8(raw)) return done(notTaken(`The body cannot be read: ${NOT_UTF8}.`), undefined);
    const text = raw.toString('utf8');
    parseJson(request, text, (error, value) => {
      if (error === null) return done(null, value);
      // Fastify says of either that it is no JSON.
      parseAny(request, text, (notJson) => done(notJson ?? notTaken(FORBIDDEN_MEMBER), undefined));
    });
  });
}

/** Gives the routes of this plugin a {@link RequestBody} for these content types; others are answered 415. */
export function registerRequestBody(
  app: FastifyInstance,
  contentTypes: string[],
  interpret: Interpret,
): void {
  app.removeAllContentTypeParsers();
  // Of the routes, and not of the parser: the answer to a larger one names the route's limit.
  app.addHook('onRoute', (route) => {
    route.bodyLimit = INTAKE_BODY_BYTES_MAX;
  });
  app.addContentTypeParser(contentTypes, { parseAs: 'buffer' }, (request, bytes, done) => {
    const raw = bytes as Buffer;
    const encoding = request.headers['content-encoding'];
    if (encoding === undefined) return done(null, read(raw, interpret, request));
    readPacked(raw, encoding, interpret, request).then(
      (body) => done(null, body),
      (error) => done(error as Error, undefined),
    );
  });
}

const NOTHING: RequestBody = { raw: Buffer.alloc(0), value: undefined, fault: 'it is empty' };

export function bodyOf(request: FastifyRequest): RequestBody {
  return (request.body as RequestBody | undefined) ?? NOTHING;
}
