// What this process counts and times, in Prometheus' text form at /metrics.
import type { FastifyInstance } from 'fastify';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

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

/** Told from the start, so that the first of them is seen as a rise. */
function startAtZero(counter: Counter<'reason'>, reasons: readonly string[]): Counter<'reason'> {
  for (const reason of reasons) counter.inc({ reason }, 0);
  return counter;
}

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
      help: 'Time from a request to the end of its answer.',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    }),
    collected: new Counter({
      name: 'flywheel_collect_events_total',
      help: 'Events, reports and notices acknowledged by Kafka.',
      labelNames: ['kind'],
      registers,
    }),
    rejected: startAtZero(rejected, ['malformed', 'invalid', 'missing_id']),
    refused: startAtZero(refused, ['log_unavailable', 'busy']),
    inFlightBytes: new Gauge({
      name: 'flywheel_collect_in_flight_bytes',
      help: 'Bytes of requests that wait for Kafka.',
      registers,
    }),
  };
}

/** Times every route and shows all metrics at /metrics, without a key: it is not for the public (docs/operating.md, "What the public may reach"). */
export function registerMetrics(app: FastifyInstance, metrics: ServeMetrics): void {
  app.addHook('onResponse', (request, reply, done) => {
    metrics.routeSeconds.observe(
      { method: request.method, route: request.routeOptions.url ?? 'none', status: reply.statusCode },
      reply.elapsedTime / 1_000,
    );
    done();
  });
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
