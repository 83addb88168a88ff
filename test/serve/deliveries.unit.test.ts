// What the API says of deliveries and what it writes when one is to be sent again.
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { describe, expect, it, vi } from 'vitest';
import type { Delivery } from '../../domain/delivery.ts';
import type { DeliveryAt } from '../../platform/delivery-log.ts';
import { namespaceOf } from '../../platform/namespace.ts';
import { openDeliveryView, trimDeliveries } from '../../serve/deliveries/view.ts';
import { appOf, NOW_MS, SECRET, WRITE, world } from './without-parts.ts';

function deliveryOf(id: string, status: Delivery['status'], receiver = 'crm'): Delivery {
  return {
    kind: 'delivery',
    id,
    receiver,
    status,
    attempt: 3,
    failures: 3,
    dueMs: NOW_MS,
    createdMs: NOW_MS - 5_000,
    atMs: NOW_MS,
    answer: 500,
    detail: 'out of order',
    intentLifeMs: 10_000,
    timeoutMs: 15_000,
    trigger: {
      id: '3-120482-0',
      definition: 'lost-buyer',
      revision: 1,
      on: 'transition',
      key: 'u:1',
      from: 'mature',
      to: 'churned',
      timeMs: NOW_MS - 9_000,
      expiresMs: NOW_MS + 9_000,
      data: {},
    },
  };
}

const all = [
  deliveryOf('msg_a', 'dead'),
  deliveryOf('msg_b', 'delivered', 'mail'),
  deliveryOf('msg_c', 'dead', 'mail'),
];
const headers = { authorization: `Bearer ${SECRET}` };

async function serving(isCaughtUp = true) {
  const given = world({
    deliveries: {
      isCaughtUp: () => isCaughtUp,
      find: (id: string) => all.find((each) => each.id === id),
      latest: () => all,
      close: async () => {},
    },
  });
  return { app: await appOf(given), sent: given.remembered.sent };
}

describe('GET /v1/deliveries', () => {
  it('shows them by status and receiver, up to a limit', async () => {
    const { app } = await serving();
    const ids = async (search: string) => {
      const answer = await app.inject({ url: `/v1/deliveries${search}`, headers });
      expect(answer.statusCode).toBe(200);
      return (answer.json() as { deliveries: { id: string }[] }).deliveries.map(({ id }) => id);
    };
    expect(await ids('')).toEqual(['msg_a', 'msg_b', 'msg_c']);
    expect(await ids('?status=dead')).toEqual(['msg_a', 'msg_c']);
    expect(await ids('?status=dead&receiver=mail')).toEqual(['msg_c']);
    expect(await ids('?limit=1')).toEqual(['msg_a']);
    const [first] = (await app.inject({ url: '/v1/deliveries', headers })).json().deliveries;
    expect(first).toMatchObject({ attempts: 3, answer: 500, trigger: { id: '3-120482-0', key: 'u:1' } });
  });

  it('says whether there are more than the limit', async () => {
    const { app } = await serving();
    const truncated = async (search: string) =>
      (await app.inject({ url: `/v1/deliveries${search}`, headers })).json().truncated;
    expect(await truncated('')).toBe(false);
    expect(await truncated('?limit=2')).toBe(true);
    expect(await truncated('?limit=3')).toBe(false);
    expect(await truncated('?limit=2&status=dead')).toBe(false);
    expect(await truncated('?limit=1&status=dead')).toBe(true);
  });

  it('needs a secret key, a known status, and to have read to the end', async () => {
    const { app } = await serving();
    const write = { authorization: `Bearer ${WRITE}` };
    expect((await app.inject({ url: '/v1/deliveries', headers: write })).statusCode).toBe(403);
    expect((await app.inject({ url: '/v1/deliveries?status=lost', headers })).statusCode).toBe(400);
    const behind = await serving(false);
    const answer = await behind.app.inject({ url: '/v1/deliveries', headers });
    expect([answer.statusCode, answer.json().code]).toEqual([503, 'deliveries_pending']);
  });
});

describe('POST /v1/deliveries/{id}/replay', () => {
  it('writes the wish with the delivery that it is about', async () => {
    const { app, sent } = await serving();
    const answer = await app.inject({ method: 'POST', url: '/v1/deliveries/msg_a/replay', headers });
    expect([answer.statusCode, answer.json()]).toEqual([202, { id: 'msg_a', status: 'queued' }]);
    expect(sent).toHaveLength(1);
    const [message] = sent as { topic: string; key: string; value: string }[];
    expect([message!.topic, message!.key]).toEqual(['deliveries', 'replay:msg_a']);
    expect(JSON.parse(message!.value)).toMatchObject({ kind: 'replay', by: 'team', delivery: all[0] });
  });

  it('refuses what is not dead or not known, and writes nothing', async () => {
    const { app, sent } = await serving();
    const statusOf = async (id: string) =>
      (await app.inject({ method: 'POST', url: `/v1/deliveries/${id}/replay`, headers })).statusCode;
    expect([await statusOf('msg_b'), await statusOf('msg_x')]).toEqual([409, 404]);
    expect(sent).toEqual([]);
  });
});

describe('what is remembered', () => {
  const kept = (max: number, ...statuses: Delivery['status'][]) => {
    const deliveries = new Map(statuses.map((status, at) => [`${at}`, deliveryOf(`${at}`, status)]));
    trimDeliveries(deliveries, max);
    return [...deliveries.keys()];
  };

  it('a dead one stays, however many were delivered after it', () => {
    expect(kept(2, 'dead', 'delivered', 'settled', 'delivered')).toEqual(['0', '3']);
    expect(kept(2, 'queued', 'delivered', 'dead')).toEqual(['0', '2']);
  });

  it('is bounded all the same: of dead ones alone, the oldest go', () => {
    expect(kept(2, 'dead', 'delivered', 'dead', 'sending', 'dead')).toEqual(['3', '4']);
  });

  it('nothing goes while there is room', () => {
    expect(kept(3, 'delivered', 'dead', 'settled')).toEqual(['0', '1', '2']);
  });

  // The whole topic was kept at the start, and trimmed once it was read.
  it('is bounded while weeks of it are read at the start', async () => {
    const batchOf = (from: number): DeliveryAt[] =>
      Array.from({ length: 4_000 }, (_none, index) => ({
        offset: from + index,
        record: deliveryOf(`msg_${from + index}`, index % 40 === 0 ? 'dead' : 'delivered'),
      }));
    const sizes: number[] = [];
    let told = (): void => {};
    const read = new Promise<void>((resolve) => {
      told = resolve;
    });
    const view = openDeliveryView({
      brokers: '',
      namespace: namespaceOf('x'),
      onWarning: (message) => expect.unreachable(message),
      async readToEnd(_brokers, _namespace, each) {
        await null;
        for (let from = 0; from < 300_000; from += 4_000) {
          each(batchOf(from));
          sizes.push([...view.latest()].length);
        }
        told();
        // The rest would be followed: there is no Kafka here.
        return new Promise<number>(() => {});
      },
    });
    await read;
    expect(Math.max(...sizes)).toBe(100_000);
    expect(view.find('msg_0')?.status).toBe('dead');
    expect(view.isCaughtUp()).toBe(false);
  });

  it('closes at once while it first reads, though Kafka takes connections and answers nothing', async () => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => sockets.push(socket.on('error', () => {})));
    await once(silent.listen(0, '127.0.0.1'), 'listening');
    const asked = once(silent, 'connection');
    const view = openDeliveryView({
      brokers: `127.0.0.1:${(silent.address() as AddressInfo).port}`,
      namespace: namespaceOf('x'),
      onWarning: (message) => expect.unreachable(message),
    });
    await asked;
    let closed = false;
    void view.close().then(() => {
      closed = true;
    });
    await vi.waitFor(() => expect(closed).toBe(true), { timeout: 1_000 });
    expect(view.isCaughtUp()).toBe(false);
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
});
