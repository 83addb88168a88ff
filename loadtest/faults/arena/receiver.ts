// A stand-in receiver of webhooks: writes each message down in a file of its own before it answers, a little late, so that
// there is always something on its way.
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Random } from '../../../simulate/marketplace/random.ts';
import { sleep } from './wait.ts';

const ANSWER_MS_MAX = 60;

export interface Receiver {
  readonly url: string;
  /** Trigger id → the `webhook-id`s it came under, with how often. */
  readonly received: ReadonlyMap<string, ReadonlyMap<string, number>>;
  /** Resolves with the next message, at the moment at which it has come and before it is answered. */
  next(): Promise<{ readonly trigger: string; readonly webhookId: string }>;
  close(): Promise<void>;
}

/** @param file takes a line `<webhook-id> <trigger id>` for each message */
export async function startReceiver(file: string, random: Random): Promise<Receiver> {
  const received = new Map<string, Map<string, number>>();
  let waiting: ((message: { trigger: string; webhookId: string }) => void)[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const webhookId = String(request.headers['webhook-id']);
    const { data } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { data: { id: string } };
    appendFileSync(file, `${webhookId} ${data.id}\n`);
    const ids = received.get(data.id) ?? new Map<string, number>();
    ids.set(webhookId, (ids.get(webhookId) ?? 0) + 1);
    received.set(data.id, ids);
    for (const tell of waiting) tell({ trigger: data.id, webhookId });
    waiting = [];
    await sleep(random() * ANSWER_MS_MAX);
    response.writeHead(204).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/hook`,
    received,
    next: () => new Promise((resolve) => waiting.push(resolve)),
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
