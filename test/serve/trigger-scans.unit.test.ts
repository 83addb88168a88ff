// A filtered offer of triggers may go through a million that wait: how many do so at a time, how, and for how long.
import { once } from 'node:events';
import { afterEach, expect, it, vi } from 'vitest';
import { topicPartitions } from '../../platform/namespace.ts';
import type { Dependencies } from '../../serve/dependencies.ts';
import { NOW_MS, openApp, SECRET, world } from './without-parts.ts';

const headers = { authorization: `Bearer ${SECRET}` };
const PARTITIONS = topicPartitions.events;

afterEach(() => void vi.useRealTimers());

/** What waits is of another definition, and has no end until `ends`; what is asked beyond the first pages waits to be answered. */
function backlog() {
  const held: (() => void)[] = [];
  const state = { ends: false, further: 0 };
  const other = {
    ...{
      id: '0-1-0',
      definition: 'other',
      revision: 1,
      on: 'transition',
      key: 'u:1',
      from: 'new',
      to: 'lost',
    },
    ...{ timeMs: NOW_MS, expiresMs: NOW_MS, data: {} },
  };
  const page = (): [string, string[]] => [state.ends ? '0' : '7', [other.id, JSON.stringify(other)]];
  const redis = {
    hmget: async () => ['1', String(NOW_MS)],
    hscan: (_key: string, cursor: string) => {
      if (cursor === '0') return Promise.resolve(page());
      state.further += 1;
      return new Promise((resolve) => held.push(() => resolve(page())));
    },
  };
  const definitionLog = { ...world().dependencies.definitionLog, historyOf: () => [{}] };
  const overrides = { redis, definitionLog } as unknown as Partial<Dependencies>;
  /** Answers what is asked, and what is asked then. */
  const release = async (isOver: () => boolean) => {
    while (!isOver()) {
      for (const answer of held.splice(0)) answer();
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { held, state, release, open: () => openApp(world(overrides)) };
}

it('are two at a time, those without a filter beside them, and the next one once there is room', async () => {
  const { held, state, release, open } = backlog();
  const app = await open();
  const ask = (search: string) => app.inject({ url: `/v1/triggers?${search}`, headers });
  let over = 0;
  const scan = async (search: string) => {
    const { statusCode } = await ask(search);
    over += 1;
    return statusCode;
  };
  const scanning = ['definition=lost', 'key=nobody'].map(scan);
  await vi.waitFor(() => expect(held).toHaveLength(PARTITIONS + 1));
  const third = scan('definition=lost');
  expect((await ask('limit=1')).json().triggers).toHaveLength(1);
  expect([over, held.length]).toEqual([0, PARTITIONS + 1]);
  state.ends = true;
  await release(() => over === 3);
  expect(await Promise.all([...scanning, third])).toEqual([200, 200, 200]);
});

it('are told to come back when there is no room for two seconds', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const { held, state, release, open } = backlog();
  const app = await open();
  const ask = () => app.inject({ url: '/v1/triggers?definition=lost', headers }).then((response) => response);
  let over = 0;
  const scanning = [ask(), ask()].map((answer) => answer.then(() => (over += 1)));
  await vi.waitFor(() => expect(held).toHaveLength(2 * PARTITIONS));
  const third = ask();
  // What it asks first has been answered when one that came after it has been.
  await app.inject({ url: '/v1/triggers?limit=1', headers });
  await vi.advanceTimersByTimeAsync(2_000);
  const { statusCode, headers: told, ...rest } = await third;
  expect([statusCode, JSON.parse(rest.body).code, told['retry-after']]).toEqual([503, 'too_many_scans', '2']);
  state.ends = true;
  await release(() => over === 2);
  await Promise.all(scanning);
});

// One partition after another, a scan held its turn for twelve times as long.
it('ask for a page of each partition in one trip', async () => {
  const { held, state, release, open } = backlog();
  const app = await open();
  let over = false;
  const answer = app.inject({ url: '/v1/triggers?definition=lost', headers }).then((response) => {
    over = true;
    return response;
  });
  await vi.waitFor(() => expect(held).toHaveLength(PARTITIONS));
  state.ends = true;
  await release(() => over);
  expect(state.further).toBe(PARTITIONS);
  expect((await answer).json().triggers).toEqual([]);
});

it('end with their client', async () => {
  const { held, state, release, open } = backlog();
  const app = await open();
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  const closed: Promise<unknown>[] = [];
  app.server.on('request', (_request, response) => closed.push(once(response, 'close')));
  const client = new AbortController();
  const asking = [1, 2].map(() =>
    fetch(`${url}/v1/triggers?definition=lost`, { headers, signal: client.signal }).catch(() => 'left'),
  );
  await vi.waitFor(() => expect(held).toHaveLength(2 * PARTITIONS));
  client.abort();
  expect(await Promise.all(asking)).toEqual(['left', 'left']);
  await Promise.all(closed);
  const askedBefore = state.further;
  for (const answer of held.splice(0)) answer();
  // Both turns are free again, though what waits has no end.
  let statusCode: number | undefined;
  const next = app.inject({ url: '/v1/triggers?definition=lost', headers }).then((response) => {
    statusCode = response.statusCode;
  });
  await vi.waitFor(() => expect([held.length, statusCode]).toEqual([PARTITIONS, undefined]));
  expect(state.further).toBe(askedBefore + PARTITIONS);
  state.ends = true;
  await release(() => statusCode !== undefined);
  await next;
  expect(statusCode).toBe(200);
});
