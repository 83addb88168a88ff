// Kafka goes away and comes back: serve refuses in time, says which part is down, and takes data again by itself.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { type Stack, startStack } from '../../ops/local/stack.ts';
import { post, readData, serveInNamespace, type TestServing } from './serving.ts';

let stack: Stack;
let serving: TestServing;
const dir = mkdtempSync(path.join(tmpdir(), 'flywheel-outage-'));

beforeAll(async () => {
  stack = await startStack({
    dir,
    ports: 'ephemeral',
    parts: ['kafka'],
    kafkaJarsFolder: fileURLToPath(new URL('../../.flywheel/kafka', import.meta.url)),
  });
  serving = await serveInNamespace('kafka-outage', {
    kafkaBrokers: stack.kafkaBrokers!,
    redisUrl: inject('redisUrl'),
    clickhouseUrl: inject('clickhouseUrl'),
  });
});

afterAll(async () => {
  const kafka = brokerPid();
  if (kafka !== undefined) process.kill(kafka, 'SIGCONT');
  await serving.close();
  await stack.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** The broker's process as the stack has noted it: that of a successor too, before it answers. */
function brokerPid(): number | undefined {
  const { children } = JSON.parse(readFileSync(path.join(dir, 'pids.json'), 'utf8')) as {
    children: { name: string; pid: number }[];
  };
  return children.find(({ name }) => name === 'kafka')?.pid;
}

/** Kills the broker, and holds its successor before it listens, so that the broker stays away until it is let go. */
async function killAndHoldSuccessor(): Promise<number> {
  const killed = brokerPid()!;
  process.kill(killed, 'SIGKILL');
  for (;;) {
    const pid = brokerPid();
    if (pid !== undefined && pid !== killed) {
      process.kill(pid, 'SIGSTOP');
      return pid;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const message = (messageId: string) => ({ userId: 'u', event: 'e', messageId });

async function readiness() {
  const answer = await fetch(`${serving.url}/readyz`);
  return {
    status: answer.status,
    parts: ((await answer.json()) as { parts: { kafka: { up: boolean } } }).parts,
  };
}

/** A broker that was stopped is without some leaders for a moment after it is back: then it is asked again. */
async function idsInLog(): Promise<unknown[]> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return (await readData(serving, 'events')).map((one) => one.value.messageId);
    } catch (error) {
      if (attempt === 30) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
  }
}

it('a broker that answers nobody is a 503 within the bound, and what was sent is at most once in the log', async () => {
  process.kill(stack.pidOf('kafka')!, 'SIGSTOP');
  const startedAt = performance.now();
  const answer = await post(serving, '/v1/track', serving.keys.write, message('frozen'));
  expect(answer.status).toBe(503);
  expect(answer.body.code).toBe('log_unavailable');
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(performance.now() - startedAt).toBeLessThan(15_000);
  process.kill(stack.pidOf('kafka')!, 'SIGCONT');
  await expect
    .poll(async () => (await post(serving, '/v1/track', serving.keys.write, message('thawed'))).status, {
      timeout: 60_000,
      interval: 500,
    })
    .toBe(200);
  const ids = await idsInLog();
  expect(ids.filter((id) => id === 'frozen').length).toBeLessThanOrEqual(1);
  expect(ids).toContain('thawed');
});

it('a broker that was killed is a 503 at once, /readyz names it, and serve goes on with its successor', async () => {
  const successor = await killAndHoldSuccessor();
  await expect.poll(async () => (await readiness()).parts.kafka.up, { timeout: 30_000 }).toBe(false);
  const { status, parts } = await readiness();
  expect(status).toBe(503);
  expect(
    Object.entries(parts)
      .filter(([, part]) => !part.up)
      .map(([name]) => name),
  ).toEqual(['kafka']);
  const startedAt = performance.now();
  const answer = await post(serving, '/v1/track', serving.keys.write, message('away'));
  expect(answer.status).toBe(503);
  expect(performance.now() - startedAt).toBeLessThan(2_000);
  process.kill(successor, 'SIGCONT');
  await expect
    .poll(async () => (await readiness()).parts.kafka.up, { timeout: 90_000, interval: 500 })
    .toBe(true);
  await expect
    .poll(async () => (await post(serving, '/v1/track', serving.keys.write, message('back'))).status, {
      timeout: 60_000,
      interval: 500,
    })
    .toBe(200);
  const ids = await idsInLog();
  expect(ids).toContain('back');
  expect(ids).not.toContain('away');
}, 300_000);
