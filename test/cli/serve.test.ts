// `flywheel serve` as a process: one ready line, an ordered end that loses nothing it said yes to, and clear refusals.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, inject, it, vi } from 'vitest';

import { ensureApiKeys } from '../../platform/api-keys.ts';
import { readConfig } from '../../platform/config.ts';
import { migrate } from '../../platform/migrate.ts';
import { namespaceOf } from '../../platform/namespace.ts';
import { post, readTopic } from '../serve/serving.ts';

/** Each process starts from the sources, which takes long on a busy machine. */
vi.setConfig({ testTimeout: 120_000 });

const root = fileURLToPath(new URL('../..', import.meta.url));
let dir: string;
let environment: Record<string, string>;
let keys: { write: string; secret: string };
const children: ChildProcess[] = [];

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'flywheel-cli-serve-'));
  environment = {
    FLYWHEEL_NAMESPACE: 'cli-serve',
    KAFKA_BROKERS: inject('kafkaBrokers'),
    REDIS_URL: inject('redisUrl'),
    CLICKHOUSE_URL: inject('clickhouseUrl'),
    SERVE_PORT: '0',
    SERVE_KEYS_FILE: path.join(dir, 'keys.hashed.json'),
  };
  keys = await ensureApiKeys({
    plainFile: path.join(dir, 'keys.json'),
    hashedFile: environment.SERVE_KEYS_FILE!,
  });
});

afterAll(async () => {
  for (const child of children) if (child.exitCode === null) child.kill('SIGKILL');
  await rm(dir, { recursive: true, force: true });
});

interface Run {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  errors(): string;
  /** The first line on stdout, as JSON. */
  readonly ready: Promise<{ ready: string; namespace: string; url: string }>;
}

function serve(changes: Record<string, string> = {}): Run {
  const child = spawn(process.execPath, ['bin/flywheel.js', 'serve'], {
    cwd: root,
    env: { PATH: process.env.PATH, ...environment, ...changes },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let output = '';
  let errors = '';
  child.stderr!.on('data', (data) => {
    errors += data;
  });
  const ready = new Promise<{ ready: string; namespace: string; url: string }>((resolve) => {
    child.stdout!.on('data', (data) => {
      output += data;
      if (output.includes('\n')) resolve(JSON.parse(output.slice(0, output.indexOf('\n'))));
    });
  });
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  return { child, ended, errors: () => errors, ready };
}

it('says in one line what is missing before `flywheel migrate`', async () => {
  const run = serve({ FLYWHEEL_NAMESPACE: 'never-migrated' });
  expect(await run.ended).toBe(1);
  expect(run.errors()).toContain('flywheel migrate');
  expect(run.errors()).not.toContain('    at ');
});

it('says in one line that its keys are missing', async () => {
  const run = serve({ SERVE_KEYS_FILE: path.join(dir, 'nothing.json') });
  expect(await run.ended).toBe(1);
  expect(run.errors()).toContain('nothing.json');
  expect(run.errors()).not.toContain('    at ');
});

it('ends in order at SIGTERM: whatever was answered 200 is in the log', async () => {
  const config = readConfig(environment);
  await migrate({ config });
  const run = serve();
  const { ready, namespace, url } = await run.ready;
  expect([ready, namespace]).toEqual(['serve', 'cli-serve']);
  const health = await fetch(`${url}/readyz`);
  expect(health.status).toBe(200);

  const acknowledged: string[] = [];
  let refused = 0;
  const lane = async (name: number): Promise<void> => {
    for (let index = 0; refused === 0; index += 1) {
      const messageId = `lane-${name}-${index}`;
      try {
        const answer = await post({ url }, '/v1/track', keys.write, {
          userId: `u${name}`,
          event: 'e',
          messageId,
        });
        if (answer.status === 200) acknowledged.push(messageId);
      } catch {
        // The connection was closed: nothing was promised.
        refused += 1;
      }
    }
  };
  const lanes = Array.from({ length: 8 }, (_none, name) => lane(name));
  await expect.poll(() => acknowledged.length, { timeout: 30_000 }).toBeGreaterThan(50);
  run.child.kill('SIGTERM');
  expect(await run.ended).toBe(0);
  await Promise.all(lanes);
  const logged = (await readTopic(config, namespaceOf('cli-serve'), 'events')).map(
    (one) => one.value.messageId,
  );
  expect(acknowledged.filter((id) => !logged.includes(id))).toEqual([]);
  expect(run.errors()).not.toContain('"level":"error"');
});

it.each([
  [
    'a body that stopped half way',
    'POST /v1/track HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{"userId":',
  ],
  ['no HTTP', 'this is no HTTP\r\n\r\n'],
])('ends in order at SIGTERM though a client keeps a connection with %s', async (_what, sends) => {
  await migrate({ config: readConfig(environment) });
  const run = serve();
  const { url } = await run.ready;
  const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => {});
  socket.write(sends);
  await new Promise((resolve) => setTimeout(resolve, 500));
  run.child.kill('SIGTERM');
  expect(await run.ended).toBe(0);
  expect(run.errors()).not.toContain('"level":"error"');
  socket.destroy();
});
