// A producer that fails for good (to librdkafka a broker that lost the end of its log is that) writes nothing more until the
// process is started again: who balances the load has to hear it, and so has whoever can start it again.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, inject, it, onTestFinished } from 'vitest';
import { ensureApiKeys } from '../../platform/api-keys.ts';
import { readConfig } from '../../platform/config.ts';
import { createProducer, type ProducerOptions } from '../../platform/kafka.ts';
import { migrate } from '../../platform/migrate.ts';
import { PlatformError } from '../../platform/platform-error.ts';
import { startServe } from '../../serve/main.ts';
import { silentLog } from './serving.ts';

it('serve with a dead producer is not ready, and says that it has to end', async () => {
  const dir = await mkdtemp(path.join(tmpdir(), 'flywheel-dead-producer-'));
  const config = readConfig({
    FLYWHEEL_NAMESPACE: 'dead-producer',
    FLYWHEEL_DIR: dir,
    KAFKA_BROKERS: inject('kafkaBrokers'),
    REDIS_URL: inject('redisUrl'),
    CLICKHOUSE_URL: inject('clickhouseUrl'),
    SERVE_PORT: '0',
    SERVE_KEYS_FILE: path.join(dir, 'keys.hashed.json'),
  });
  await ensureApiKeys({ plainFile: path.join(dir, 'keys.json'), hashedFile: config.serveKeysFile });
  await migrate({ config });
  let given: ProducerOptions | undefined;
  const said: string[] = [];
  const serving = await startServe(config, silentLog, {
    openProducer: (options) => {
      given = options;
      return createProducer(options);
    },
    onFatal: (error) => said.push(error.code),
  });
  onTestFinished(async () => {
    await serving.close();
    await rm(dir, { recursive: true });
  });
  const readiness = async () => {
    const response = await fetch(`${serving.url}/readyz`);
    const { ready, parts } = (await response.json()) as { ready: boolean; parts: { kafka: { up: boolean } } };
    return [response.status, ready, parts.kafka.up];
  };
  expect(await readiness()).toEqual([200, true, true]);
  given?.onFatal?.(new PlatformError('KAFKA_FATAL', 'sequence out of order'));
  expect(said).toEqual(['KAFKA_FATAL']);
  expect(await readiness()).toEqual([503, false, false]);
});
