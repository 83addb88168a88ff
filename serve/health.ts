// Liveness and readiness: /healthz says that the process answers, /readyz which part keeps it from working.
import type { FastifyInstance } from 'fastify';
import { Gauge } from 'prom-client';
import { z } from 'zod';
import type { Dependencies } from './dependencies.ts';
import { responses } from './schema.ts';

/** A part that has not answered by then is down. */
const CHECK_TIMEOUT_MS = 2_000;

const part = z.object({ up: z.boolean(), detail: z.string().optional() });
const readiness = z.object({
  ready: z.boolean(),
  namespace: z.string(),
  parts: z.object({ kafka: part, redis: part, clickhouse: part, definitions: part }),
});
type Part = z.infer<typeof part>;

async function check(probe: () => Promise<unknown>): Promise<Part> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${CHECK_TIMEOUT_MS} ms`)), CHECK_TIMEOUT_MS);
  });
  try {
    await Promise.race([probe(), timeout]);
    return { up: true };
  } catch (error) {
    return { up: false, detail: (error as Error).message || String(error) };
  } finally {
    clearTimeout(timer);
  }
}

async function pingClickhouse({ clickhouse }: Dependencies): Promise<void> {
  const answer = await clickhouse.ping();
  if (!answer.success) throw answer.error;
}

async function readinessOf(dependencies: Dependencies): Promise<z.infer<typeof readiness>> {
  const [kafka, redis, clickhouse, definitions] = await Promise.all([
    check(async () => {
      if (!dependencies.kafkaIsUp())
        throw new Error('no broker can be reached, or the producer has failed for good');
    }),
    check(() => dependencies.redis.ping()),
    check(() => pingClickhouse(dependencies)),
    check(async () => {
      if (!dependencies.definitionLog.isCaughtUp())
        throw new Error('the definitions topic has not been read to its end yet');
    }),
  ]);
  const parts = { kafka, redis, clickhouse, definitions };
  const ready = Object.values(parts).every((one) => one.up);
  return { ready, namespace: dependencies.namespace.name, parts };
}

/** Without asking the parts: what this process knows of its connections. */
function registerPartMetrics(dependencies: Dependencies): void {
  const isUp: Record<'kafka' | 'redis' | 'definitions', () => boolean> = {
    kafka: () => dependencies.kafkaIsUp(),
    redis: () => dependencies.redis.status === 'ready',
    definitions: () => dependencies.definitionLog.isCaughtUp(),
  };
  new Gauge({
    name: 'flywheel_serve_part_up',
    help: '1 while this process reaches the part it needs.',
    labelNames: ['part'],
    registers: [dependencies.metrics.registry],
    collect() {
      for (const [name, up] of Object.entries(isUp)) this.set({ part: name }, up() ? 1 : 0);
    },
  });
}

export function registerHealth(app: FastifyInstance, dependencies: Dependencies): void {
  registerPartMetrics(dependencies);
  const common = { tags: ['operate'], security: [] };
  app.get(
    '/healthz',
    {
      schema: {
        ...common,
        summary: 'The process answers',
        response: responses({ 200: z.object({ ok: z.boolean() }) }),
      },
    },
    async () => ({ ok: true }),
  );
  app.get(
    '/readyz',
    {
      schema: {
        ...common,
        summary: 'Whether all parts are up, and which is not',
        response: responses({ 200: readiness, 503: readiness }),
      },
    },
    async (_request, reply) => {
      const answer = await readinessOf(dependencies);
      return reply.code(answer.ready ? 200 : 503).send(answer);
    },
  );
}
