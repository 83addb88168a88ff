// What this process counts and times, in Prometheus' text form at /metrics.
import type { ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { segmentKinds } from '../domain/buyer-record.ts';
import { rejectReasons } from './reject-reasons.ts';

export interface ServeMetrics {
  readonly registry: Registry;
  readonly routeSeconds: Histogram<'method' | 'route' | 'status'>;
  /** Events that collect took, by kind. */
  readonly collected: Counter<'kind'>;
  /** What collect and the spend intake turned away, by reason. */
  readonly rejected: Counter<'reason'>;
  /** Requests answered 429 or 503, by why. */
  readonly refused: Counter<'reason'>;
  readonly inFlightBytes: Gauge;
}

/** Told from the start, so that the first of them is seen as a rise, however many come at once. */
function startAtZero<Label extends string>(
  counter: Counter<Label>,
  label: Label,
  values: readonly string[],
): Counter<Label> {
  for (const value of values) counter.inc({ [label]: value } as Record<Label, string>, 0);
  return counter;
}

/** Of what sites send, and of what platforms tell. */
const collectedKinds = [...segmentKinds, 'report', 'notice'] as const;

export function serveMetrics(): ServeMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const rejected = new Counter({
    name: 'flywheel_collect_rejected_total',
    help: 'Events, reports and notices turned away and written to events.rejected.',
    labelNames: ['reason'],
    registers,
  });
  const collected = new Counter({
    name: 'flywheel_collect_events_total',
    help: 'Events, reports and notices acknowledged by Kafka.',
    labelNames: ['kind'],
    registers,
  });
  const refused = new Counter({
    name: 'flywheel_collect_refused_total',
    help: 'Requests answered 429 or 503.',
    labelNames: ['reason'],
    registers,
  });
  return {
    registry,
    routeSeconds: new Histogram({
      name: 'flywheel_serve_route_seconds',
      help: 'Time from a request to the end of its answer, or until its client had gone without one (499).',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    }),
    collected: startAtZero(collected, 'kind', collectedKinds),
    rejected: startAtZero(rejected, 'reason', rejectReasons),
    refused: startAtZero(refused, 'reason', ['log_unavailable', 'busy']),
    inFlightBytes: new Gauge({
      name: 'flywheel_collect_in_flight_bytes',
      help: 'Bytes of requests that wait for Kafka.',
      registers,
    }),
  };
}

/** The status of a request whose client has gone before it was answered, as nginx calls it. */
const CLIENT_GONE = 499;
const asked = Symbol('asked');

/** A response that knows what it answers: so that all of them have one listener, and none a closure of its own. */
interface TimedResponse extends ServerResponse {
  [asked]?: { readonly reply: FastifyReply; readonly startedMs: number };
}

/** Of a response that has closed; undefined if nobody has waited for it to its end. */
function statusOf(raw: ServerResponse, { request, statusCode }: FastifyReply): number | undefined {
  if (raw.writableEnded) return statusCode;
  // Who went in the middle of the question, or of a stream without an end, has not gone without an answer.
  return raw.headersSent || !request.raw.complete ? undefined : CLIENT_GONE;
}

/**
 * Times every request, by the end of its response and not by Fastify's `onResponse`: that is not told when a client has gone, and
 * clients go from the slowest answers.
 */
function timeRequests(app: FastifyInstance, { routeSeconds }: ServeMetrics): void {
  function closed(this: TimedResponse): void {
    const { reply, startedMs } = this[asked]!;
    const status = statusOf(this, reply);
    if (status === undefined) return;
    const { method, routeOptions } = reply.request;
    const route = routeOptions.url ?? 'none';
    routeSeconds.observe({ method, route, status }, (performance.now() - startedMs) / 1_000);
  }
  app.addHook('onRequest', (_request, reply, done) => {
    const raw: TimedResponse = reply.raw;
    raw[asked] = { reply, startedMs: performance.now() };
    raw.on('close', closed);
    done();
  });
}

/** Times every route and shows all metrics at /metrics, without a key: it is not for the public (docs/operating.md, "What the public may reach"). */
export function registerMetrics(app: FastifyInstance, metrics: ServeMetrics): void {
  timeRequests(app, metrics);
  app.get(
    '/metrics',
    {
      schema: {
        tags: ['operate'],
        summary: 'Prometheus metrics',
        response: {
          200: { description: 'The text format.', content: { 'text/plain': { schema: { type: 'string' } } } },
        },
      },
    },
    async (_request, reply) => {
      reply.header('content-type', metrics.registry.contentType);
      return metrics.registry.metrics();
    },
  );
}
