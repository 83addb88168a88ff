// One real stack for a whole test run: free ports, a folder of its own, taken down at the end.
// Tests isolate themselves by namespace, a prefix for topics, Redis tags and the ClickHouse database.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';
import { ensureBuild } from '../../bin/build.js';
import { startStack } from '../../ops/local/stack.ts';

declare module 'vitest' {
  interface ProvidedContext {
    kafkaBrokers: string;
    redisUrl: string;
    clickhouseUrl: string;
  }
}

/** Starts the stack, tells the tests its addresses by `inject('kafkaBrokers')` and so on, and stops it after them. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await ensureBuild();
  const dir = mkdtempSync(path.join(tmpdir(), 'flywheel-test-'));
  const stack = await startStack({
    dir,
    ports: 'ephemeral',
    parts: ['kafka', 'redis', 'clickhouse'],
    kafkaJarsFolder: fileURLToPath(new URL('../../.flywheel/kafka', import.meta.url)),
    onEvent: (event) => process.stderr.write(`${event.message}\n`),
  });
  project.provide('kafkaBrokers', stack.kafkaBrokers!);
  project.provide('redisUrl', stack.redisUrl!);
  project.provide('clickhouseUrl', stack.clickhouseUrl!);
  return async () => {
    await stack.stop();
    rmSync(dir, { recursive: true, force: true });
  };
}
