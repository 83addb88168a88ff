// The app without a stack: parts that only remember what they were given, for answers that need none of them.
import type { FastifyInstance } from 'fastify';
import { onTestFinished } from 'vitest';
import type { InForce } from '../../domain/definition.ts';
import { hashApiKey } from '../../platform/api-keys.ts';
import { readConfig } from '../../platform/config.ts';
import type { Outgoing, Producer } from '../../platform/kafka.ts';
import { namespaceOf } from '../../platform/namespace.ts';
import { buildApp } from '../../serve/app.ts';
import { apiKeys } from '../../serve/authentication.ts';
import type { Dependencies } from '../../serve/dependencies.ts';
import { serveMetrics } from '../../serve/metrics.ts';

export const NOW_MS = Date.parse('2026-03-01T12:00:00Z');
export const WRITE = 'wk_test';
export const SECRET = 'sk_test';

export interface Remembered {
  readonly sent: Outgoing[];
  readonly errors: string[];
}

export interface World {
  readonly remembered: Remembered;
  readonly dependencies: Dependencies;
}

/** Everything is up and acknowledges at once, unless overridden. */
export function world(overrides: Partial<Dependencies> = {}): World {
  const sent: Outgoing[] = [];
  const errors: string[] = [];
  const producer: Producer = {
    inFlight: 0,
    send: async (topic, partition, key, value) => ({ offset: sent.push({ topic, partition, key, value }) }),
    sendBatch: async (records) => records.map((record) => sent.push(record)),
    close: async () => {},
  };
  const dependencies = {
    config: readConfig({}),
    namespace: namespaceOf('default'),
    generations: { events: 1, spend: 1 },
    producer,
    kafkaIsUp: () => true,
    redis: { ping: async () => 'PONG' },
    clickhouse: { ping: async () => ({ success: true }) },
    definitionLog: {
      isCaughtUp: () => true,
      find: () => undefined,
      findKnown: () => undefined,
      list: () => [] as InForce[],
      historyOf: () => [],
    },
    deliveries: { isCaughtUp: () => true, find: () => undefined, latest: () => [], close: async () => {} },
    keys: apiKeys({
      keys: [
        { name: 'site', scope: 'write', sha256: hashApiKey(WRITE) },
        { name: 'team', scope: 'secret', sha256: hashApiKey(SECRET) },
      ],
    }),
    noticeSecret: Buffer.alloc(32, 7),
    metrics: serveMetrics(),
    log: { info: () => {}, warn: () => {}, error: (message: string) => errors.push(message) },
    clock: { nowMs: () => NOW_MS, monotonicMs: () => 0 },
    ...overrides,
  } as unknown as Dependencies;
  return { remembered: { sent, errors }, dependencies };
}

export async function appOf({ dependencies }: World): Promise<FastifyInstance> {
  const app = await buildApp(dependencies);
  await app.ready();
  return app;
}

/** For one test: closed at its end. */
export async function openApp(given: World = world()): Promise<FastifyInstance> {
  const app = await appOf(given);
  onTestFinished(() => app.close());
  return app;
}
