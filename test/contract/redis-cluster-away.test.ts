// A Redis Cluster that is away longer than a client of ioredis tries by itself: commands fail in time meanwhile, and once it is
// back the same client works. It used to end for good after ten vain attempts, 2.8 s.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { duplicateOf, openRedis, type RedisClient } from '../../platform/redis.ts';
import { type RedisNodes, redisCli, redisNodes } from './support/redis-nodes.ts';

/** Above the 2.8 s of ten attempts. */
const AWAY_MS = 4_000;
const COMMAND_TIMEOUT_MS = 1_000;

let nodes: RedisNodes;
const clients: RedisClient[] = [];

beforeEach(async () => {
  nodes = await redisNodes(1);
  await nodes.start();
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.disconnect();
  await nodes.close();
});

async function opened(options: object): Promise<RedisClient> {
  const client = await openRedis({
    url: `redis+cluster://${nodes.addresses[0]}`,
    onWarning: () => {},
    ...options,
  });
  clients.push(client);
  return client;
}

function another(client: RedisClient): RedisClient {
  const own = duplicateOf(client);
  own.on('error', () => {});
  clients.push(own);
  return own;
}

/** How long the command took to fail. */
async function failedAfterMs(answer: Promise<unknown>): Promise<number> {
  const beganMs = performance.now();
  const outcome = await answer.then(
    () => 'answered',
    () => 'failed',
  );
  expect(outcome).toBe('failed');
  return performance.now() - beganMs;
}

test('a cluster that was away is used again by the same clients, and nothing waited for ever', async () => {
  redisCli(nodes.ports[0]!, ['cluster', 'addslotsrange', '0', '16383']);
  await nodes.whole();
  const serving = await opened({ autoPipelining: true, commandTimeoutMs: COMMAND_TIMEOUT_MS });
  const patient = await opened({ commandTimeoutMs: COMMAND_TIMEOUT_MS, retriesPerCommandMax: null });
  const working = await opened({ retriesPerCommandMax: 3 });
  const listener = another(serving);
  const heard: string[] = [];
  listener.on('message', (_channel: string, text: string) => heard.push(text));
  await listener.subscribe('channel');
  expect(await Promise.all(clients.slice(0, 3).map((client) => client.set('x', '1')))).toEqual(
    Array(3).fill('OK'),
  );

  await nodes.kill();
  const end = new Promise((resolve) => setTimeout(resolve, AWAY_MS));
  // Those that are in the cluster's own queue, alone, in a pipeline and in a transaction.
  await vi.waitFor(() => expect(clients.map(({ status }) => status)).not.toContain('ready'));
  const late = await Promise.all([
    failedAfterMs(serving.get('x')),
    failedAfterMs(patient.get('x')),
    failedAfterMs(patient.multi().get('x').get('x').exec()),
    failedAfterMs(another(patient).subscribe('channel')),
  ]);
  expect(Math.max(...late)).toBeLessThan(COMMAND_TIMEOUT_MS + 500);
  expect(await failedAfterMs(working.get('x'))).toBeLessThan(AWAY_MS);
  await end;

  await nodes.start();
  await nodes.whole();
  for (const client of [serving, patient, working])
    await vi.waitFor(async () => expect(await client.set('x', '2')).toBe('OK'), 10_000);
  await vi.waitFor(async () => {
    await serving.publish('channel', 'again');
    expect(heard).toContain('again');
  }, 10_000);
});

test('a cluster that is reached and takes no commands: REDIS_UNREACHABLE', async () => {
  await expect(opened({})).rejects.toMatchObject({ code: 'REDIS_UNREACHABLE' });
});
