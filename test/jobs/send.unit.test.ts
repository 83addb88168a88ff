// Attempts that are under way at once, and answers that do not end.
import { getEventListeners } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import type { publicLookup } from '../../jobs/address.ts';
import { createSender } from '../../jobs/send.ts';

// Each attempt listens to the end of the turn: the eleventh at once was told to be a leak, in the log of every engine of many receivers.
it('may be more than ten on the signal of one turn, and leave nothing on it', async () => {
  const lookup = ((_name, _options, done) => done(new Error('there is no such name'), [])) as ReturnType<
    typeof publicLookup
  >;
  const sender = createSender({ allowedHosts: [], lookup });
  const warnings: string[] = [];
  const note = ({ message }: Error): void => void warnings.push(message);
  process.on('warning', note);
  const turn = new AbortController();
  const signal = AbortSignal.any([turn.signal]);
  const attempt = {
    ...{ url: 'https://receiver.example', headers: {}, body: '{}', timeoutMs: 5_000 },
    ...{ mayStart: () => true, signal },
  };
  const answers = await Promise.all(Array.from({ length: 24 }, () => sender.send(attempt)));
  await sender.close();
  process.off('warning', note);
  expect(new Set(answers.map(({ detail }) => detail))).toEqual(new Set(['there is no such name']));
  expect(warnings).toEqual([]);
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

async function answerOf(listener: RequestListener, timeoutMs: number) {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const sender = createSender({ allowedHosts: ['127.0.0.1'] });
  try {
    return await sender.send({
      ...{ url: `http://127.0.0.1:${port}/`, headers: {}, body: '{}', timeoutMs },
      ...{ mayStart: () => true, signal: new AbortController().signal },
    });
  } finally {
    await sender.close();
    server.closeAllConnections();
    server.close();
  }
}

// It was status 0, a failure: a message that was taken was sent again, and a receiver that was gone went on getting messages.
it.each([200, 410])('%i is what was answered, though its body does not end', async (status) => {
  const begun: RequestListener = (_request, response) => {
    response.writeHead(status, { 'retry-after': '7' });
    response.write('taken');
  };
  expect(await answerOf(begun, 60_000)).toEqual({ status, retryAfter: '7', detail: 'taken' });
});

it('is what was answered though the connection ends in the middle of the body', async () => {
  const cut: RequestListener = (request, response) => {
    response.writeHead(202, { 'content-length': '100' });
    response.write('taken', () => request.socket.end());
  };
  expect(await answerOf(cut, 60_000)).toEqual({ status: 202, detail: 'taken', retryAfter: undefined });
});

it('no answer at all is none', async () => {
  expect(await answerOf(() => {}, 100)).toEqual({ status: 0, detail: 'no answer within 100 ms' });
});
