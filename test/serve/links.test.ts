// Links over HTTP against state written in the stream's own layout: how one stands, when it can be taken back, and the record
// by which that is asked for.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Buyer, type BuyerPart, newHistory, type VisitorLinks } from '../../domain/buyer.ts';
import { revokeRecord } from '../../domain/identity-record.ts';
import { buyerPartition } from '../../platform/keys.ts';
import { type Answering, answering, secret, writeOnly } from './answering.ts';

const DAY_MS = 86_400_000;
const W = Date.UTC(2026, 0, 15, 12);
const user = 'u:buyer-1';
const visitor = 'a:visitor 1/ä-2';
const partition = buyerPartition(visitor);
const OFFSET = 120;
const id = `${partition}-${OFFSET}-${visitor.slice(2)}`;

let here: Answering;
beforeAll(async () => {
  here = await answering('links');
  here.definitions.set('settings', 'default', { linkMemoryMs: 90 * DAY_MS, maxLinksPerBuyer: 7 });
});
afterAll(() => here?.close());

const said = { saidFromMs: W - DAY_MS, saidToMs: W };
const active: VisitorLinks = {
  current: { id, user, sinceMs: W - DAY_MS, stage: 'new', ...said },
  history: id,
  past: [],
  bornOffset: 0,
  standing: 0,
};
const own: BuyerPart = { number: 0, link: '', visitor: '', mergedMs: 0, ended: false, ...newHistory() };
const part: BuyerPart = {
  ...own,
  number: 1,
  link: id,
  visitor,
  mergedMs: W - DAY_MS,
  firstMs: W - 3 * DAY_MS,
  lastMs: W - 2 * DAY_MS,
  totals: [{ behaviour: 'view', count: 5 }],
};
const joined: Partial<Buyer> = {
  firstMs: W - 3 * DAY_MS,
  lastMs: W,
  nextPart: 2,
  parts: [own, part],
  behaviours: [
    { timeMs: W - 3 * DAY_MS, behaviour: 'view', epoch: 0, part: 1 },
    { timeMs: W - 2 * DAY_MS, behaviour: 'view', epoch: 0, part: 1 },
    { timeMs: W - 1_000, behaviour: 'order', epoch: 0, part: 0 },
  ],
  funnels: [
    {
      id: 'purchase',
      revision: 2,
      counted: 3,
      settled: [],
      reached: [
        { level: 1, parts: [] },
        { level: 3, parts: [1] },
      ],
      early: [],
      backfilled: false,
    },
    {
      id: 'sourcing',
      revision: 1,
      counted: 1,
      settled: [],
      reached: [{ level: 1, parts: [] }],
      early: [],
      backfilled: false,
    },
  ],
  opportunities: [
    {
      id: '3-1.0',
      subject: 'pumps',
      stage: 'contact',
      openedMs: W - 3 * DAY_MS,
      updatedMs: W - 3 * DAY_MS,
      quality: 0.25,
      qualified: false,
      shares: [{ part: 1, stage: 'contact', updatedMs: W - 3 * DAY_MS, quality: 0.25 }],
    },
  ],
};

/** The visitor's owner, the user's owner, and how far the one has heard the other. */
async function stand(links: VisitorLinks | null, userState: Partial<Buyer> | null, received: number, w = W) {
  await here.setBuyer(visitor, { firstMs: W - 3 * DAY_MS, lastMs: W, links }, W);
  const { buyer } = here.keysOf('events', buyerPartition(user));
  await here.redis.del(buyer(user));
  if (userState !== null) await here.setBuyer(user, userState, w);
  await here.setHead('events', buyerPartition(user), {
    received: received < 0 ? '99:1:1' : `0:1:1,${partition}:${received}:4`,
    watermark: w,
  });
}
beforeEach(() => stand(active, joined, OFFSET));

const path = (link: string): string => `/v1/links/${encodeURIComponent(link)}`;
const get = (link: string) => here.app.inject({ url: path(link), headers: secret });
const because = { author: 'ana@example.com', reason: 'a shared computer' };
const revoke = (link: string, payload: unknown = because, headers: Record<string, string> = secret) =>
  here.app.inject({ method: 'POST', url: `${path(link)}/revoke`, headers, payload: payload as object });

async function revocations() {
  const log = await here.logOf('events', partition);
  return log.filter(({ record }) => record.kind === 'revoke');
}

const brought = {
  merged: new Date(W - DAY_MS).toISOString(),
  firstSeen: new Date(W - 3 * DAY_MS).toISOString(),
  lastSeen: new Date(W - 2 * DAY_MS).toISOString(),
  totals: [{ behaviour: 'view', count: 5 }],
  behaviours: 2,
  levels: [{ funnel: 'purchase', revision: 2, level: 3, without: 1 }],
  opportunities: [{ id: '3-1.0', subject: 'pumps', alone: true }],
};

describe('GET /v1/links/{id}', () => {
  it('answers who it joins, what it brought, which levels need it, and until when it can be taken back', async () => {
    const response = await get(id);
    expect(response.statusCode).toBe(200);
    expect(response.json()).toEqual({
      id,
      visitor,
      user,
      status: 'active',
      since: new Date(W - DAY_MS).toISOString(),
      asOf: new Date(W).toISOString(),
      brought,
      revocable: true,
      revocableUntil: new Date(W + 89 * DAY_MS).toISOString(),
      notRevocable: null,
    });
  });

  it.each(['superseded', 'expired', 'revoked'] as const)('knows one that is %s', async (how) => {
    const isGone = how === 'revoked';
    const past: VisitorLinks = { ...active, current: null, past: [{ id, user, how, ...said }] };
    await stand(
      past,
      isGone ? { nextPart: 2 } : { ...joined, parts: [own, { ...part, ended: true }] },
      OFFSET + 9,
    );
    expect((await get(id)).json()).toMatchObject({
      status: how,
      since: null,
      brought: isGone ? null : brought,
      revocable: !isGone,
      notRevocable: isGone ? 'it was taken back before' : null,
    });
  });

  it('tells what is on its way from what can no longer be told apart', async () => {
    const onItsWay = { brought: null, revocable: true, revocableUntil: null };
    await stand(active, null, -1);
    expect((await get(id)).json()).toMatchObject(onItsWay);
    await stand(active, { nextPart: 5 }, OFFSET - 1);
    expect((await get(id)).json()).toMatchObject(onItsWay);
    const base = { ...newHistory(), history: true, visitDays: [], stage: null, maturedMs: 0 };
    const arriving = [
      {
        link: id,
        visitor,
        base: { ...base, opportunities: [], counted: [], overflow: false },
        chunks: 1,
        behaviours: [],
      },
    ];
    await stand(active, { arriving }, OFFSET);
    expect((await get(id)).json()).toMatchObject(onItsWay);
    await stand(active, { nextPart: 9 }, OFFSET);
    const owned = (await get(id)).json();
    expect([owned.revocable, owned.notRevocable]).toEqual([
      false,
      expect.stringContaining('at least 7 links'),
    ]);
  });
});

describe('POST /v1/links/{id}/revoke', () => {
  it('writes one record under the visitor’s key, says what will happen, and repeats under the same message id', async () => {
    here.clock.nowMs = W + 5;
    const before = (await revocations()).length;
    const first = await revoke(id);
    expect([first.statusCode, first.json()]).toEqual([
      202,
      {
        id,
        visitor,
        user,
        messageId: expect.stringMatching(/^revoke-[0-9a-f]{40}$/),
        takesBack: brought,
        visitorSpeaksAgain: true,
      },
    ]);
    const again = await revoke(id, { author: 'ben@example.com', reason: 'sure' });
    expect([again.statusCode, again.json().messageId]).toEqual([202, first.json().messageId]);
    const written = (await revocations()).slice(before);
    expect(written.map(({ key }) => key)).toEqual([visitor, visitor]);
    expect(new Set(written.map(({ record }) => record.messageId)).size).toBe(1);
    expect(revokeRecord.parse(written[0]!.record)).toEqual({
      kind: 'revoke',
      messageId: first.json().messageId,
      key: visitor,
      link: id,
      by: 'ana@example.com',
      why: 'a shared computer',
      timestamp: W + 5,
    });
  });

  it('takes back one that has ended, which says nothing new of the visitor, and one that is on its way', async () => {
    const past: VisitorLinks = { ...active, current: null, past: [{ id, user, how: 'superseded', ...said }] };
    await stand(past, joined, OFFSET + 9);
    const ended = await revoke(id);
    expect([ended.statusCode, ended.json().visitorSpeaksAgain]).toEqual([202, false]);
    await stand(active, null, -1);
    const early = await revoke(id);
    expect([early.statusCode, early.json().takesBack]).toEqual([202, null]);
  });

  it.each([
    [
      'was taken back',
      { ...active, current: null, past: [{ id, user, how: 'revoked' }] },
      joined,
      'already_revoked',
    ],
    ['has become the user’s own', active, { nextPart: 3 }, 'not_separable'],
    [
      'is older than 90 days',
      active,
      { ...joined, parts: [own, { ...part, mergedMs: W - 91 * DAY_MS }] },
      'not_separable',
    ],
  ] as const)('answers 409 for one that %s, and writes nothing', async (_what, links, state, code) => {
    const before = (await revocations()).length;
    await stand(links as VisitorLinks, state as Partial<Buyer>, OFFSET);
    const response = await revoke(id);
    expect([response.statusCode, response.json().code]).toEqual([409, code]);
    expect(response.headers['content-type']).toContain('application/problem+json');
    expect(await revocations()).toHaveLength(before);
  });

  it('answers 404 for a link that is not there, 400 for what is none', async () => {
    const elsewhere = `${(partition + 1) % 12}-${OFFSET}-${visitor.slice(2)}`;
    for (const link of [
      `${partition}-${OFFSET + 1}-${visitor.slice(2)}`,
      elsewhere,
      `${partition}-1-nobody`,
    ]) {
      for (const response of [await get(link), await revoke(link)]) {
        expect([response.statusCode, response.json().code]).toEqual([404, 'unknown_link']);
      }
    }
    await stand(null, joined, OFFSET);
    expect((await revoke(id)).statusCode).toBe(404);
    expect((await get('foo')).json().detail).toContain('is no link id: they are');
    for (const link of ['visitor-1', '1-2-', '-1-2-x', 'x'.repeat(301)]) {
      expect((await revoke(link)).statusCode).toBe(400);
    }
  });

  it('asks for who and why, and for a secret key', async () => {
    for (const body of [
      {},
      { author: 'ana' },
      { author: '', reason: 'x' },
      { ...because, reason: 'x'.repeat(1_025) },
    ]) {
      expect((await revoke(id, body)).statusCode).toBe(400);
    }
    expect((await revoke(id, because, writeOnly)).statusCode).toBe(403);
    expect((await revoke(id, because, {})).statusCode).toBe(401);
  });
});
