// A producer that fails for good (to librdkafka a broker that lost the end of its log is that) writes nothing more until the
// process is started again: who balances the load has to hear it, and so has whoever can start it again.
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { ensureApiKeys } from '../../platform/api-keys.ts';
import { createProducer, type ProducerOptions } from '../../platform/kafka.ts';
import { PlatformError } from '../../platform/platform-error.ts';
import { startServe } from '../../serve/main.ts';
import { openStage } from '../e2e/support/stage.ts';
import { silentLog } from './serving.ts';

it('serve with a dead producer is not ready, and says that it has to end', async () => {
  const stage = await openStage('dead-producer');
  const { config, dir } = stage;
  await ensureApiKeys({ plainFile: path.join(dir, 'keys.json'), hashedFile: config.serveKeysFile });
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
    await stage.close();
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
