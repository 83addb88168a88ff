// Triggers by pull over the real parts: only from partitions that are known to be alive and up to date, and
// acknowledged only once the receipt is in the log.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buyerPartition } from '../../platform/keys.ts';
import { topicPartitions } from '../../platform/namespace.ts';
import { PlatformError } from '../../platform/platform-error.ts';
import { type Answering, answering, secret, writeOnly } from './answering.ts';

const W = Date.UTC(2026, 0, 15);
let here: Answering;
let refuse: string | null = null;
let offset = 1_000;

beforeAll(async () => {
  here = await answering('triggers', {
    wrap: (dependencies) => ({
      ...dependencies,
      producer: {
        ...dependencies.producer,
        sendBatch: async (...batch) => {
          if (refuse !== null) throw new PlatformError(refuse as 'KAFKA_QUEUE_FULL', 'refused by the test');
          return dependencies.producer.sendBatch(...batch);
        },
      },
    }),
  });
});
afterAll(() => here?.close());

beforeEach(async () => {
  refuse = null;
  for (let partition = 0; partition < topicPartitions.events; partition += 1) {
    await here.redis.del(here.keysOf('events', partition).triggers);
    await here.setHead('events', partition, { ready: 1, stamp: here.clock.nowMs, watermark: W });
  }
});

/** A pending trigger as the stream keeps it. */
function pending(key: string, at: number, definition: string) {
  return {
    id: `${buyerPartition(key)}-${at}-0`,
    definition,
    revision: 2,
    on: 'opportunity',
    key,
    from: 'opened',
    to: 'qualified',
    timeMs: W,
    expiresMs: W + 1_000,
    data: { quality: 0.7 },
  };
}

async function pend(key: string, change: Record<string, unknown> = {}): Promise<string> {
  offset += 1;
  const trigger = { ...pending(key, offset, 'qualified-opportunity'), ...change };
  const waiting = here.keysOf('events', buyerPartition(key)).triggers;
  await here.redis.hset(waiting, trigger.id, JSON.stringify(trigger));
  return trigger.id;
}

async function offer(query = '') {
  const response = await here.app.inject({ url: `/v1/triggers${query}`, headers: secret });
  expect(response.statusCode).toBe(200);
  return response.json() as { triggers: { id: string; key: string }[]; withheld: unknown[] };
}

function acknowledge(id: string, payload?: unknown) {
  const url = `/v1/triggers/${id}/ack`;
  return here.app.inject({
    method: 'POST',
    url,
    headers: secret,
    ...(payload === undefined ? {} : { payload: payload as object }),
  });
}

async function receiptsOf(id: string, key: string) {
  const log = await here.logOf('events', buyerPartition(key));
  return log.filter((entry) => entry.record.trigger === id);
}

describe('the offer', () => {
  it('shows what waits, the oldest first, with what explains it', async () => {
    const later = await pend('u:1', { timeMs: W + 5 });
    const earlier = await pend('u:2', {
      definition: 'lost-buyer',
      on: 'transition',
      from: 'new',
      to: 'churned',
    });
    const { triggers, withheld } = await offer();
    expect(withheld).toEqual([]);
    expect(triggers.map((trigger) => trigger.id)).toEqual([earlier, later]);
    expect(triggers[0]).toEqual({
      id: earlier,
      definition: 'lost-buyer',
      revision: 2,
      on: 'transition',
      key: 'u:2',
      from: 'new',
      to: 'churned',
      time: '2026-01-15T00:00:00.000Z',
      expires: '2026-01-15T00:00:01.000Z',
      data: { quality: 0.7 },
    });
  });

  it('takes a limit, a definition and a buyer', async () => {
    for (let index = 0; index < 5; index += 1) await pend(`u:many-${index}`, { timeMs: W + index });
    const lost = await pend('u:many-1', { definition: 'lost-buyer' });
    expect((await offer('?limit=3')).triggers).toHaveLength(3);
    expect((await offer('?definition=lost-buyer')).triggers.map((trigger) => trigger.id)).toEqual([lost]);
    const own = (await offer('?key=many-1')).triggers;
    expect(own.map((trigger) => trigger.key)).toEqual(['u:many-1', 'u:many-1']);
  });

  it('says that a definition is unknown', async () => {
    const response = await here.app.inject({ url: '/v1/triggers?definition=nothing', headers: secret });
    expect([response.statusCode, response.json().code]).toEqual([404, 'unknown_definition']);
  });

  it('finds one trigger behind hundreds that the filter turns away', async () => {
    const key = 'u:crowd';
    for (let index = 0; index < 700; index += 1) await pend(key);
    const wanted = await pend(key, { definition: 'lost-buyer' });
    expect((await offer('?definition=lost-buyer')).triggers.map((trigger) => trigger.id)).toEqual([wanted]);
    expect((await offer('?limit=1000')).triggers).toHaveLength(701);
  });

  // Each answer began anew and looked at 20,000 of a partition: what lay behind them was offered to nobody until it expired.
  it('hides nothing that fits behind tens of thousands that do not', async () => {
    const key = 'u:multitude';
    const partition = buyerPartition(key);
    const crowd = Array.from({ length: 25_000 }, (_, index) => pending(key, index, 'qualified-opportunity'));
    const wanted = Array.from({ length: 100 }, (_, index) => pending(key, 30_000 + index, 'lost-buyer'));
    const waiting = [...crowd, ...wanted].flatMap((each) => [each.id, JSON.stringify(each)]);
    await here.redis.hset(here.keysOf('events', partition).triggers, ...waiting);
    const { triggers } = await offer('?definition=lost-buyer&limit=1000');
    expect(triggers.map(({ id }) => id).sort()).toEqual(wanted.map(({ id }) => id).sort());
    expect((await offer('?limit=1000')).triggers).toHaveLength(1_000);
  });

  it.each([
    ['has not reached the log’s end', { ready: 0 }, 'behind the log'],
    ['was not seen for five seconds', { stamp: -5_000 }, 'owner not seen'],
    ['has a stamp from a clock far ahead', { stamp: 5_000 }, 'owner not seen'],
  ])('withholds a partition whose owner %s', async (_case, head, reason) => {
    const withheldKey = 'u:1';
    const partition = buyerPartition(withheldKey);
    await pend(withheldKey);
    const other = await pend('u:3');
    expect(buyerPartition('u:3')).not.toBe(partition);
    const { stamp } = head as { stamp?: number };
    await here.setHead('events', partition, stamp === undefined ? head : { stamp: here.clock.nowMs + stamp });
    const { triggers, withheld } = await offer();
    expect(triggers.map((trigger) => trigger.id)).toEqual([other]);
    expect(withheld).toEqual([{ partition, reason }]);
  });

  it('withholds a partition that nobody has owned yet', async () => {
    const partition = buyerPartition('u:1');
    await pend('u:1');
    await here.redis.del(here.keysOf('events', partition).head);
    const { triggers, withheld } = await offer();
    expect(triggers).toEqual([]);
    expect(withheld).toEqual([{ partition, reason: 'no owner yet' }]);
  });

  it('refuses a limit that is none, and write keys', async () => {
    const wrong = await here.app.inject({ url: '/v1/triggers?limit=0', headers: secret });
    expect([wrong.statusCode, wrong.json().code]).toEqual([400, 'invalid']);
    expect((await here.app.inject({ url: '/v1/triggers', headers: writeOnly })).statusCode).toBe(403);
  });
});

describe('the acknowledgement', () => {
  it('is a receipt in the log under the buyer’s key, and the trigger is offered no more', async () => {
    const id = await pend('u:ack');
    const response = await acknowledge(id);
    expect([response.statusCode, response.json()]).toEqual([200, { id, status: 'acknowledged' }]);
    expect(await receiptsOf(id, 'u:ack')).toEqual([
      {
        key: 'u:ack',
        record: {
          kind: 'receipt',
          messageId: `receipt-${id}`,
          key: 'u:ack',
          trigger: id,
          timestamp: here.clock.nowMs,
        },
      },
    ]);
    expect((await offer('?key=u:ack')).triggers).toEqual([]);
    const again = await acknowledge(id);
    expect([again.statusCode, again.json()]).toEqual([200, { id, status: 'acknowledged' }]);
    expect(await receiptsOf(id, 'u:ack')).toHaveLength(1);
  });

  it('says of a trigger that is not pending what it cannot know', async () => {
    const response = await acknowledge('3-1-0');
    expect([response.statusCode, response.json().code]).toEqual([404, 'unknown_trigger']);
    expect((await acknowledge('99-1-0')).statusCode).toBe(404);
    expect((await acknowledge('nonsense')).statusCode).toBe(404);
  });

  it('records the receipt of a trigger that is no longer pending when its key is given', async () => {
    const id = `${buyerPartition('u:late')}-77-0`;
    expect((await acknowledge(id, { key: 'u:late' })).statusCode).toBe(200);
    expect(await receiptsOf(id, 'u:late')).toHaveLength(1);
    const elsewhere = `${(buyerPartition('u:late') + 1) % topicPartitions.events}-77-0`;
    const misplaced = await acknowledge(elsewhere, { key: 'u:late' });
    expect([misplaced.statusCode, misplaced.json().code]).toEqual([422, 'misplaced_trigger']);
  });

  // It was recorded under the other buyer, and the trigger was gone for good.
  it('is refused under the key of another buyer of the same partition, and the trigger stays on offer', async () => {
    const id = await pend('u:whose');
    const partition = buyerPartition('u:whose');
    const others = Array.from({ length: 200 }, (_, index) => `u:other-${index}`);
    const key = others.find((other) => buyerPartition(other) === partition)!;
    const refused = await acknowledge(id, { key });
    expect([refused.statusCode, refused.json().code]).toEqual([422, 'misplaced_trigger']);
    const payload = { triggers: [{ id, key }] };
    const url = '/v1/triggers/ack';
    const many = await here.app.inject({ method: 'POST', url, headers: secret, payload });
    expect(many.json()).toEqual({ results: [{ id, status: 'misplaced' }] });
    expect(await receiptsOf(id, key)).toEqual([]);
    expect((await offer('?key=u:whose')).triggers.map((trigger) => trigger.id)).toEqual([id]);
    expect((await acknowledge(id, { key: 'u:whose' })).statusCode).toBe(200);
    expect(await receiptsOf(id, 'u:whose')).toHaveLength(1);
  });

  it('acknowledges many, each with its own answer', async () => {
    const ids = [await pend('u:many-a'), await pend('u:many-b')];
    const response = await here.app.inject({
      method: 'POST',
      url: '/v1/triggers/ack',
      headers: secret,
      payload: { triggers: [{ id: ids[0] }, { id: '1-1-0' }, { id: ids[1], key: 'u:many-b' }] },
    });
    expect(response.json()).toEqual({
      results: [
        { id: ids[0], status: 'acknowledged' },
        { id: '1-1-0', status: 'unknown' },
        { id: ids[1], status: 'acknowledged' },
      ],
    });
    expect((await offer()).triggers).toEqual([]);
  });

  it.each([
    ['KAFKA_QUEUE_FULL', 'log_busy'],
    ['KAFKA_NOT_DELIVERED', 'log_unavailable'],
  ])('is refused while Kafka answers %s, and the trigger stays on offer', async (code, problem) => {
    const id = await pend('u:refused');
    refuse = code;
    const response = await acknowledge(id);
    expect([response.statusCode, response.json().code]).toEqual([503, problem]);
    expect(response.headers['retry-after']).toBeDefined();
    expect((await offer()).triggers.map((trigger) => trigger.id)).toEqual([id]);
  });
});
