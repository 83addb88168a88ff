// Requests of many lanes under one signal.
import { getEventListeners } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { request } from '../../cli/feed/post.ts';

const LANES = 12;

it('wait by the dozen where all are told to, without a warning, and leave nothing on the signal', async () => {
  const refused: ServerResponse[] = [];
  const server = createServer((_request, response) => {
    if (refused.length === LANES) return void response.end('{}');
    // All at once, so that all of them wait at once.
    if (refused.push(response) === LANES) for (const each of refused) each.writeHead(503).end('{}');
  });
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const warnings: string[] = [];
  const note = ({ message }: Error): void => void warnings.push(message);
  process.on('warning', note);
  onTestFinished(() => void process.off('warning', note));
  const { signal } = new AbortController();
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const target = { url, key: '', signal, onRetry: () => {} };
  const answers = await Promise.all(Array.from({ length: LANES }, () => request(target, '/', '{}')));
  expect(answers.map(({ status }) => status)).toEqual(new Array(LANES).fill(200));
  expect(warnings).toEqual([]);
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});
