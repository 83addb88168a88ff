// Every error that leaves the API is a problem document (RFC 9457), whoever raised it: a route, validation, Fastify or the parser.
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { type FieldFault, faultsOf } from '../platform/validate.ts';

/** The document's shape; `code` is the stable name that programs should look at. */
export const problemDetails = z.looseObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string().meta({ description: 'What is wrong and what to do, for people.' }),
  instance: z.string().optional().meta({ description: 'Our log has this request under it.' }),
  code: z.string().meta({ description: 'For programs: it does not change.', examples: ['invalid'] }),
  errors: z
    .array(z.object({ pointer: z.string(), detail: z.string() }))
    .optional()
    .meta({
      description:
        'With `invalid`: each part of the request that its schema refuses, by its place (RFC 6901).',
    }),
  reasons: z.array(z.string()).optional().meta({
    description:
      'With `invalid_definition` and `definition_needed`: all that speaks against a change, a sentence each.',
  }),
});

const titles: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  409: 'Conflict',
  410: 'Gone',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  414: 'URI Too Long',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  428: 'Precondition Required',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

export interface Problem {
  readonly status: number;
  /** snake_case, stable. */
  readonly code: string;
  /** A sentence that says what to do about it. */
  readonly detail: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Further members of the document. */
  readonly members?: Readonly<Record<string, unknown>>;
}

export type ProblemError = Error & { readonly problem: Problem };

/** An error to throw in a route; the answer is the problem document. */
export function problemError(problem: Problem, cause?: unknown): ProblemError {
  return Object.assign(new Error(problem.detail, cause === undefined ? undefined : { cause }), { problem });
}

/** 503 or 429 with `Retry-After`. */
export function retryProblem(
  status: 429 | 503,
  code: string,
  detail: string,
  retryAfterSeconds: number,
): ProblemError {
  return problemError({
    status,
    code,
    detail,
    headers: { 'retry-after': String(retryAfterSeconds) },
    members: { retryAfterSeconds },
  });
}

function documentOf(problem: Problem, instance: string | undefined): string {
  return JSON.stringify({
    type: `urn:flywheel:problem:${problem.code}`,
    title: titles[problem.status] ?? 'Error',
    status: problem.status,
    detail: problem.detail,
    ...(instance === undefined ? {} : { instance }),
    code: problem.code,
    ...problem.members,
  });
}

export function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  if (problem.headers !== undefined) reply.headers(problem.headers);
  return reply
    .code(problem.status)
    .header('content-type', 'application/problem+json')
    .serializer(String)
    .send(documentOf(problem, reply.request.id));
}

const contexts: Readonly<Record<string, string>> = {
  querystring: 'query',
  params: 'path',
};

/** A parameter that is given several times comes as a list; that it is no text or number is not what its sender did. */
function asGiven(fault: FieldFault, query: unknown): FieldFault {
  const value = (query as Readonly<Record<string, unknown>> | undefined)?.[fault.pointer.slice(1)];
  return Array.isArray(value)
    ? { ...fault, detail: `is given ${value.length} times, and may be once` }
    : fault;
}

function validationProblem(error: FastifyError, query: unknown): Problem {
  const faults = faultsOf(error.validation ?? []);
  const errors =
    error.validationContext === 'querystring' ? faults.map((fault) => asGiven(fault, query)) : faults;
  const context = error.validationContext ?? 'request';
  const where = contexts[context] ?? context;
  const said = errors.map(({ pointer, detail }) => {
    const field = pointer.slice(1).replaceAll('/', '.');
    return `${field === '' ? 'it' : field} ${detail}`;
  });
  return {
    status: 400,
    code: 'invalid',
    detail: `The request's ${where} is not as it must be: ${said.join('; ') || error.message}.`,
    members: { errors },
  };
}

/** The code of our parser's errors, beside Fastify's own. */
export const BODY_NOT_TAKEN = 'BODY_NOT_TAKEN';

/** Fastify's own codes, in our words. */
const fastifyProblems: Readonly<Record<string, Problem>> = {
  FST_ERR_CTP_EMPTY_JSON_BODY: {
    status: 400,
    code: 'malformed',
    detail: 'The body is empty; it must be JSON.',
  },
  FST_ERR_CTP_INVALID_JSON_BODY: { status: 400, code: 'malformed', detail: 'The body is not JSON.' },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    status: 400,
    code: 'malformed',
    detail: 'The body is not as long as Content-Length says.',
  },
  FST_ERR_BAD_URL: { status: 400, code: 'malformed', detail: 'The address cannot be decoded.' },
  FST_ERR_MAX_PARAM_LENGTH: { status: 414, code: 'too_large', detail: 'A part of the address is too long.' },
};

/** Mostly it is curl, which calls every body a form. */
function unsupportedType(given: string | undefined): Problem {
  const came = given === undefined ? 'without a content type' : `as ${given}`;
  const detail = `The body came ${came}, which this route does not take; nearly all take \`content-type: application/json\`, /docs says what each does.`;
  return { status: 415, code: 'unsupported_media_type', detail };
}

function tooLarge(limitBytes: number | undefined): Problem {
  const limit =
    limitBytes === undefined ? 'this route takes' : `the ${limitBytes} bytes that this route takes`;
  return { status: 413, code: 'too_large', detail: `The body is larger than ${limit}.` };
}

/** What a thrown value comes to; undefined for what is our own fault. @param request where it is known */
export function problemOf(error: FastifyError | ProblemError, request?: FastifyRequest): Problem | undefined {
  if ('problem' in error) return error.problem;
  if (error.validation !== undefined) return validationProblem(error, request?.query);
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') return tooLarge(request?.routeOptions.bodyLimit);
  if (error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE')
    return unsupportedType(request?.headers['content-type']);
  if (error.code === BODY_NOT_TAKEN) return { status: 400, code: 'malformed', detail: error.message };
  const known = fastifyProblems[error.code];
  if (known !== undefined) return known;
  const status = error.statusCode ?? 500;
  if (status >= 400 && status < 500) return { status, code: 'bad_request', detail: error.message };
  return undefined;
}

const internalProblem: Problem = {
  status: 500,
  code: 'internal',
  detail: 'Something went wrong on our side; the log has it under this instance.',
};

/** Does a route's pattern (`/v1/buyers/:key`, `/docs/*`) fit the path? */
function fits(pattern: string, path: string): boolean {
  const wanted = pattern.split('/');
  const given = path.split('/');
  for (const [index, part] of wanted.entries()) {
    if (part === '*') return true;
    const value = given[index];
    if (value === undefined || (part.startsWith(':') ? value === '' : part !== value)) return false;
  }
  return wanted.length === given.length;
}

function notFoundProblem(request: FastifyRequest, methodsByRoute: Map<string, Set<string>>): Problem {
  const path = request.url.split('?', 1)[0] ?? '/';
  const allowed = new Set<string>();
  for (const [pattern, methods] of methodsByRoute) {
    if (fits(pattern, path)) for (const method of methods) allowed.add(method);
  }
  if (allowed.size === 0) {
    return {
      status: 404,
      code: 'not_found',
      detail: `There is nothing at ${request.method} ${path}; /docs lists what there is.`,
    };
  }
  const allow = [...allowed].sort().join(', ');
  return {
    status: 405,
    code: 'method_not_allowed',
    detail: `${path} takes ${allow}, not ${request.method}.`,
    headers: { allow },
  };
}

/** Where our own faults are written down. */
interface FaultLog {
  error(message: string, fields: Readonly<Record<string, unknown>>): void;
}

/** Error, not-found and method-not-allowed handlers for the whole app. Register before any route. */
export function registerProblemDetails(app: FastifyInstance, log: FaultLog): void {
  const methodsByRoute = new Map<string, Set<string>>();
  app.addHook('onRoute', (route) => {
    const methods = methodsByRoute.get(route.url) ?? new Set<string>();
    for (const method of Array.isArray(route.method) ? route.method : [route.method]) methods.add(method);
    methodsByRoute.set(route.url, methods);
  });
  app.setErrorHandler((error: FastifyError | ProblemError, request, reply) => {
    const problem = problemOf(error, request);
    if (problem === undefined) {
      log.error('a request failed', {
        instance: request.id,
        method: request.method,
        route: request.routeOptions.url,
        error: error.stack ?? String(error),
      });
    }
    // A body that a method without a route should have had is not what is wrong with it.
    const own = request.is404 ? notFoundProblem(request, methodsByRoute) : problem;
    return sendProblem(reply, own ?? internalProblem);
  });
  app.setNotFoundHandler((request, reply) => sendProblem(reply, notFoundProblem(request, methodsByRoute)));
}

/** The bytes that answer a request which was never parsed (bad HTTP, headers too large). */
export function rawProblemResponse(status: 400 | 408 | 431): string {
  const body = documentOf(
    { status, code: 'malformed', detail: 'The request could not be read as HTTP.' },
    undefined,
  );
  return (
    `HTTP/1.1 ${status} ${titles[status]}\r\ncontent-type: application/problem+json\r\n` +
    `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`
  );
}
