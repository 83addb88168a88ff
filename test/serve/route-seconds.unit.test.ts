// How long requests took is told of all of them, also of those whose client did not wait to the end.
import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import type { Producer } from '../../platform/kafka.ts';
import { openApp, WRITE, world } from './without-parts.ts';

const BODY = '{"userId":"u","event":"e"}';
const HEAD = `POST /v1/track HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${WRITE}\r\ncontent-type: application/json\r\n`;
const REQUEST = `${HEAD}content-length: ${BODY.length}\r\n\r\n${BODY}`;

/** A server whose Kafka has the records of requests and acknowledges them when it is told to. */
async function listen() {
  const { dependencies } = world();
  const waiting: (() => void)[] = [];
  const send = () => new Promise<never[]>((resolve) => waiting.push(() => resolve([])));
  const producer = { ...dependencies.producer, send, sendBatch: send } as unknown as Producer;
  const given = world({ producer });
  const app = await openApp(given);
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  const { routeSeconds } = given.dependencies.metrics;
  return {
    app,
    port,
    waiting,
    /** Seconds and count of each route and status that was told. */
    async told() {
      const { values } = await routeSeconds.get();
      const of = (ending: string) =>
        values
          .filter(({ metricName }) => metricName?.endsWith(ending))
          .map(({ labels: { route, status }, value }) => [route, status, value]);
      return { counts: of('_count'), sums: of('_sum') };
    },
  };
}

async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' });
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  return socket;
}

it('a client that has gone without an answer is told as 499, once, with the time that it waited', async () => {
  const { port, waiting, told } = await listen();
  const socket = await open(port);
  socket.write(REQUEST);
  await expect.poll(() => waiting.length).toBe(1);
  await new Promise((resolve) => setTimeout(resolve, 200));
  socket.destroy();
  await expect.poll(async () => (await told()).counts).toEqual([['/v1/track', 499, 1]]);
  const [[, , seconds]] = (await told()).sums as [[string, number, number]];
  expect(seconds).toBeGreaterThan(0.15);
  // What is answered into the void afterwards is not told again.
  waiting[0]!();
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect((await told()).counts).toEqual([['/v1/track', 499, 1]]);
});

it('answers of one connection are told once each', async () => {
  const { port, waiting, told } = await listen();
  const socket = await open(port);
  for (let round = 1; round <= 3; round += 1) {
    socket.write(REQUEST);
    await expect.poll(() => waiting.length).toBe(round);
    waiting[round - 1]!();
    await once(socket, 'data');
  }
  socket.destroy();
  await expect.poll(async () => (await told()).counts).toEqual([['/v1/track', 200, 3]]);
});

it('who goes in the middle of a body has asked nothing', async () => {
  const { app, port, told } = await listen();
  const socket = await open(port);
  socket.write(`${HEAD}content-length: 1000\r\n\r\n${BODY}`);
  await new Promise((resolve) => setTimeout(resolve, 100));
  socket.destroy();
  const connections = (): Promise<number> =>
    new Promise((resolve) => app.server.getConnections((_error, count) => resolve(count)));
  await expect.poll(connections).toBe(0);
  expect((await told()).counts).toEqual([]);
});

it('what is no route is told as none', async () => {
  const { app, told } = await listen();
  expect((await app.inject({ url: '/no/such/route' })).statusCode).toBe(404);
  await expect.poll(async () => (await told()).counts).toEqual([['none', 404, 1]]);
});
