// Previews are few at a time, end with their client, and within their time: each asks many questions that may take half a minute.
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { FastifyReply } from 'fastify';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createPreviewTurns } from '../../serve/definitions/preview/preview-turns.ts';
import type { Dependencies } from '../../serve/dependencies.ts';
import { DefinitionsGiven } from './answering.ts';
import { openApp, SECRET, world } from './without-parts.ts';

interface Asked {
  readonly abort_signal?: AbortSignal;
  readonly clickhouse_settings: Record<string, unknown>;
  answer(): void;
}
let asked: Asked[] = [];
/** What is told of the next question. */
let told = (): void => {};

/** ClickHouse that answers when it is told to, or not at all once it is not to any more. */
function query(question: Omit<Asked, 'answer'>): Promise<{ json: () => Promise<unknown[]> }> {
  return new Promise((resolve, reject) => {
    question.abort_signal?.addEventListener('abort', () => reject(new Error('The user aborted a request.')));
    asked.push({ ...question, answer: () => resolve({ json: async () => [] }) });
    told();
  });
}
const nextAsked = () =>
  new Promise<void>((resolve) => {
    told = resolve;
  });

async function openPreviews() {
  const definitions = new DefinitionsGiven();
  const overrides = { definitionLog: definitions.view(), clickhouse: { query } };
  return openApp(world(overrides as unknown as Partial<Dependencies>));
}
const request = {
  method: 'POST',
  url: '/v1/definitions/account/acme/preview',
  headers: { authorization: `Bearer ${SECRET}` },
  payload: { document: { name: 'A', currency: 'EUR', dailyBudgetMicros: 1 } },
} as const;

beforeEach(() => {
  asked = [];
  told = () => {};
});
afterEach(() => vi.useRealTimers());

it('are two at a time, and others may come back', async () => {
  const app = await openPreviews();
  const answering = [1, 2].map(() => app.inject(request).then((response) => response));
  await vi.waitFor(() => expect(asked).toHaveLength(2));
  const third = await app.inject(request);
  expect([third.statusCode, third.json().code, third.headers['retry-after']]).toEqual([
    503,
    'too_many_previews',
    '5',
  ]);
  told = () => asked.at(-1)!.answer();
  for (const question of asked) question.answer();
  for (const answer of await Promise.all(answering)) expect(answer.statusCode).toBe(200);
  expect((await app.inject(request)).statusCode).toBe(200);
});

it('end with their client, and ask nothing more', async () => {
  const app = await openPreviews();
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  const next = nextAsked();
  const client = new AbortController();
  const response = fetch(`${url}${request.url}`, {
    method: 'POST',
    headers: { ...request.headers, 'content-type': 'application/json' },
    body: JSON.stringify(request.payload),
    signal: client.signal,
  });
  await next;
  const [first] = asked;
  expect(first!.clickhouse_settings).toMatchObject({ cancel_http_readonly_queries_on_client_close: 1 });
  const ended = new Promise((resolve) => first!.abort_signal!.addEventListener('abort', resolve));
  client.abort();
  await expect(response).rejects.toThrow();
  await ended;
  expect(asked).toHaveLength(1);
});

it('end after a minute, however many questions they ask', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const app = await openPreviews();
  const next = nextAsked();
  const answer = app.inject(request).then((response) => response);
  await next;
  await vi.advanceTimersByTimeAsync(59_999);
  expect(asked[0]!.abort_signal!.aborted).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  const { statusCode, ...response } = await answer;
  expect([statusCode, JSON.parse(response.body)]).toMatchObject([
    422,
    { code: 'too_wide', detail: expect.stringContaining('fewer days') },
  ]);
  expect(asked).toHaveLength(1);
});

const reply = () => ({ raw: new ServerResponse(new IncomingMessage(new Socket())) }) as FastifyReply;

// Its turn was over, and what it had asked beside went on in ClickHouse.
it('leave no question under way when another one fails', async () => {
  let other: AbortSignal | undefined;
  const failing = createPreviewTurns().take(reply(), (signal) => {
    other = signal;
    return Promise.all([Promise.reject(new Error('no ClickHouse')), new Promise(() => {})]);
  });
  await expect(failing).rejects.toThrow('no ClickHouse');
  expect(other!.aborted).toBe(true);
});

it('ask nothing for a client that was gone before their turn', async () => {
  const gone = reply();
  gone.raw.destroy();
  const asking = createPreviewTurns().take(gone, async (signal) => signal.throwIfAborted());
  await expect(asking).rejects.toMatchObject({ problem: { code: 'client_gone' } });
});
