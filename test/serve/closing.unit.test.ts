// Connections of odd clients: none outlives its answer for long, none holds up a close, and no close cuts a request that is owed one.
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import type { Producer } from '../../platform/kafka.ts';
import { prepareClose } from '../../serve/closing.ts';
import { appOf, WRITE, world } from './without-parts.ts';

const HEAD = `POST /v1/track HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${WRITE}\r\ncontent-type: application/json\r\n`;
const BODY = '{"userId":"u","event":"e"}';

const ODD = {
  'no HTTP': 'this is no HTTP\r\n\r\n',
  'half a head': 'POST /v1/track HTTP/1.1\r\nhost: x\r\nauthor',
  'half a body': `${HEAD}content-length: 1000\r\n\r\n{"userId":`,
  nothing: '',
};

/** A server whose Kafka acknowledges when it is told to. */
async function listen({ answersWithinMs }: { answersWithinMs: number }) {
  const { dependencies } = world();
  let acknowledge = (): void => {};
  const acknowledged = new Promise<never[]>((resolve) => {
    acknowledge = () => resolve([]);
  });
  const send = () => acknowledged;
  const producer = { ...dependencies.producer, send, sendBatch: send } as unknown as Producer;
  const app = await appOf(world({ producer }));
  const close = prepareClose(app, answersWithinMs);
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  onTestFinished(() => app.server.closeAllConnections());
  const connections = (): Promise<number> =>
    new Promise((resolve) => app.server.getConnections((_error, count) => resolve(count)));
  return { port, close, connections, acknowledge };
}

/** A client that never ends its half of the connection. */
async function client(port: number, sends: string): Promise<{ received(): string }> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  onTestFinished(() => void socket.destroy());
  let received = '';
  socket.on('data', (data) => {
    received += data;
  });
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write(sends);
  return { received: () => received };
}

it('who sends no HTTP is told so, and cut though it keeps its half open', async () => {
  const { port, close, connections } = await listen({ answersWithinMs: 0 });
  const { received } = await client(port, ODD['no HTTP']);
  await expect.poll(received).toMatch(/^HTTP\/1\.1 400 /);
  expect(await connections()).toBe(1);
  await expect.poll(connections, { timeout: 5_000 }).toBe(0);
  await close();
});

it('a close answers what waits for Kafka, and waits a few seconds for nobody else', async () => {
  const { port, close, connections, acknowledge } = await listen({ answersWithinMs: 60_000 });
  const owed = await client(port, `${HEAD}content-length: ${BODY.length}\r\n\r\n${BODY}`);
  for (const sends of Object.values(ODD)) await client(port, sends);
  await expect.poll(connections).toBe(5);
  const closed = close();
  await expect.poll(connections, { timeout: 10_000 }).toBe(1);
  expect(owed.received()).toBe('');
  acknowledge();
  await closed;
  await expect.poll(owed.received).toMatch(/^HTTP\/1\.1 200 /);
});

it('a close does not wait for ever for an answer', async () => {
  const { port, close } = await listen({ answersWithinMs: 4_000 });
  await client(port, `${HEAD}content-length: ${BODY.length}\r\n\r\n${BODY}`);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const beganAtMs = performance.now();
  await close();
  const tookMs = performance.now() - beganAtMs;
  expect(tookMs).toBeGreaterThan(3_900);
  // Looked at every 50 ms; the rest is room for a machine that is busy with other tests.
  expect(tookMs).toBeLessThan(20_000);
});
