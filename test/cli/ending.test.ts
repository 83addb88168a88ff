// SIGTERM before a process is ready, while it waits for a Kafka that takes connections and answers nothing: whoever gives it
// so and so long to end would kill it. It waits as it does for definitions that cannot be read to their end.
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, inject, it } from 'vitest';
import { ensureApiKeys } from '../../platform/api-keys.ts';
import { endChildren, startChild } from '../e2e/support/child.ts';

afterEach(endChildren);

it.each(['serve', 'jobs', 'stream'])('%s ends in order though it is not ready yet', async (command) => {
  const dir = await mkdtemp(path.join(tmpdir(), 'flywheel-ending-'));
  const hashedFile = path.join(dir, 'keys.hashed.json');
  await ensureApiKeys({ plainFile: path.join(dir, 'keys.json'), hashedFile });
  const sockets: Socket[] = [];
  const silent = createServer((socket) => sockets.push(socket.on('error', () => {})));
  await once(silent.listen(0, '127.0.0.1'), 'listening');
  const asked = once(silent, 'connection');
  const child = startChild(command, {
    FLYWHEEL_NAMESPACE: 'ending',
    FLYWHEEL_DIR: dir,
    KAFKA_BROKERS: `127.0.0.1:${(silent.address() as AddressInfo).port}`,
    REDIS_URL: inject('redisUrl'),
    CLICKHOUSE_URL: inject('clickhouseUrl'),
    SERVE_PORT: '0',
    JOBS_METRICS_PORT: '0',
    STREAM_METRICS_PORT: '0',
    SERVE_KEYS_FILE: hashedFile,
  });
  await asked;
  const { code } = await child.stop();
  expect(code, child.errors()).toBe(0);
  expect(child.errors()).toBe('');
  for (const socket of sockets) socket.destroy();
  silent.close();
  await rm(dir, { recursive: true });
});
