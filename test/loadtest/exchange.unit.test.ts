// The stand-in exchange tells of a notice that was refused, however long before it is waited for.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { startExchange } from '../../loadtest/faults/arena/exchange.ts';
import { sleep, until } from '../../loadtest/faults/arena/wait.ts';

let server: Server | undefined;
afterEach(() => {
  server?.close();
  server?.closeAllConnections();
});

/** Bids on everything, and answers the first notice with this status, all others with 204. */
async function serveThat(status: number): Promise<{ url: string; notices: () => number }> {
  let notices = 0;
  let url = '';
  server = createServer((request, response) => {
    if (request.method === 'POST') {
      const told = { win: `${url}/win`, loss: `${url}/loss` };
      response.end(JSON.stringify({ bidMicros: 100, reason: 'bid', notices: told }));
      return;
    }
    notices += 1;
    response.writeHead(notices === 1 ? status : 204).end();
  });
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, notices: () => notices };
}

async function finishAfterSome(status: number): Promise<void> {
  const { url, notices } = await serveThat(status);
  const target = { url, secretKey: 'secret' };
  const exchange = startExchange(target, Math.random, { perSecond: 100, prefix: 'test' });
  await until('some notices are answered', () => notices() > 10, 20_000);
  await sleep(20);
  return exchange.finish();
}

it('a notice that was answered 404 long ago is told at the end', async () => {
  await expect(finishAfterSome(404)).rejects.toThrow('a notice was answered 404');
});

it('one that was put off is told again, and nothing is wrong', async () => {
  await expect(finishAfterSome(503)).resolves.toBeUndefined();
});

it.each([
  ['what it tells nothing of', 0.995],
  ['nothing where it tells of every bid', 0.5],
])('has sums of its own: %s', async (_what, chance) => {
  const { url } = await serveThat(204);
  const target = { url, secretKey: 'secret' };
  const exchange = startExchange(target, () => chance, { perSecond: 100, prefix: 'test' });
  await until('some bids are answered', () => (exchange.reasons.get('bid') ?? 0) > 10, 20_000);
  await exchange.finish();
  const sum = [...exchange.untoldMicros.values()].reduce((all, micros) => all + micros, 0);
  const bids = exchange.reasons.get('bid')!;
  expect([sum, exchange.clearedMicros.size]).toEqual(chance === 0.995 ? [100 * bids, 0] : [0, 1]);
});
