// One person from the outside, with a real `stream` and `serve`: a visitor signs in, is seen as one with the user by every answer and
// report, and is somebody else again when the link is taken back.
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureApiKeys } from '../../platform/api-keys.ts';
import { type Answer, post } from '../serve/serving.ts';
import { endChildren, startChild } from './support/child.ts';
import { openStage, type Stage } from './support/stage.ts';

let stage: Stage;
let url: string;
let keys: { readonly write: string; readonly secret: string };

beforeAll(async () => {
  stage = await openStage('one-person');
  keys = await ensureApiKeys({
    plainFile: path.join(stage.dir, 'keys.json'),
    hashedFile: path.join(stage.dir, 'keys.hashed.json'),
  });
  const serve = startChild('serve', stage.environment);
  const stream = startChild('stream', stage.environment);
  const [ready] = await Promise.all([serve.ready, stream.ready]);
  url = String(ready.url);
});

afterAll(async () => {
  await endChildren();
  await stage?.close();
});

async function get(route: string): Promise<Pick<Answer, 'status' | 'body'>> {
  const response = await fetch(`${url}${route}`, { headers: { authorization: `Bearer ${keys.secret}` } });
  return { status: response.status, body: JSON.parse(await response.text()) };
}

async function send(route: string, body: unknown) {
  const answer = await post({ url }, route, keys.secret, body);
  expect([answer.status, answer.body]).toEqual([expect.toBeOneOf([200, 202]), expect.anything()]);
  return answer.body;
}

/** Sends messages and waits until all that follows from them has arrived everywhere. */
async function happen(...batch: Record<string, unknown>[]): Promise<void> {
  await send('/v1/batch', { batch });
  await stage.untilDrained();
}

const track = (who: object, event: string, properties: object = {}) => ({
  type: 'track',
  ...who,
  event,
  properties,
});
const visitor = { anonymousId: 'phone-1' };
const user = { userId: 'ana' };

const variantOf = async (context: object): Promise<string> =>
  (await send('/ofrep/v1/evaluate/flags/inquiry-form', { context })).variant;

async function opportunities() {
  const { rows, top } = (await get('/v1/reports/opportunities')).body;
  return { ...rows[0], top: top.map(({ key }: { key: string }) => key) };
}

async function sourcing(): Promise<number[]> {
  const { rows } = (await get('/v1/reports/funnel?funnel=sourcing')).body;
  return rows[0].steps.map(({ count }: { count: number }) => count);
}

describe('a visitor who signs in', () => {
  let link = '';

  it('is the user from then on: history, funnel, opportunity and the first variant', async () => {
    await happen(
      { type: 'page', ...visitor, name: 'Home' },
      track(visitor, 'Products Searched'),
      track(visitor, 'Product Viewed'),
      track(visitor, 'Supplier Contacted', { supplierId: 's-1' }),
    );
    // The user sees what its own hash gives; the visitor had seen the other one before.
    const own = await variantOf({ targetingKey: 'ana' });
    const variant = own === 'short' ? 'control' : 'short';
    await stage.untilDrained();
    const early = new Date(Date.now() - 60_000).toISOString();
    const exposure = { messageId: 'e-1', ...visitor, experiment: 'inquiry-form', variant, timestamp: early };
    await send('/v1/exposures', { exposures: [exposure] });
    await stage.untilDrained();
    expect(await opportunities()).toMatchObject({ opened: 1, open: 1, top: ['a:phone-1'] });
    expect(await sourcing()).toEqual([1, 1, 1, 1, 0, 0]);

    await happen({ type: 'identify', ...user, ...visitor });
    const { body } = await get('/v1/buyers/u:ana');
    expect(body.links).toEqual([
      expect.objectContaining({
        visitor: 'a:phone-1',
        ended: false,
        totals: expect.arrayContaining([{ behaviour: 'view', count: 1 }]),
      }),
    ]);
    link = body.links[0].id;
    expect(body.funnels.find(({ id }: { id: string }) => id === 'sourcing')).toMatchObject({
      level: 4,
      counted: 4,
    });
    expect((await get('/v1/buyers/a:phone-1')).body.person).toMatchObject({ key: 'u:ana', link });
    expect(await variantOf({ targetingKey: 'ana' })).toBe(variant);
    expect(await opportunities()).toMatchObject({ opened: 1, open: 1, top: ['u:ana'] });
    const { crossovers } = (await get('/v1/reports/identity')).body;
    expect(crossovers).toEqual([{ experiment: 'inquiry-form', people: 1, crossovers: 1 }]);
  });

  it('counts no step twice, and goes on as the user, whichever key it comes under', async () => {
    await happen(
      track(visitor, 'Product Viewed'),
      track(visitor, 'Inquiry Sent', { supplierId: 's-1', quantity: 10 }),
    );
    await happen(
      { type: 'group', ...user, groupId: 'pumps-ltd', traits: { industry: 'machinery' } },
      track(user, 'Product Viewed'),
    );
    const { body } = await get('/v1/buyers/u:ana');
    expect(body.totals).toContainEqual({ behaviour: 'view', count: 3 });
    expect(body.company).toMatchObject({ key: 'c:pumps-ltd' });
    expect(await sourcing()).toEqual([1, 1, 1, 1, 1, 0]);
    expect(await opportunities()).toMatchObject({ opened: 1, inquiries: 1, top: ['u:ana'] });
    const people = (await get('/v1/reports/north-star?people=true')).body.rows;
    expect(people.at(-1)).toMatchObject({ people: 1, opportunities: 1 });
    const company = (await get('/v1/buyers/c:pumps-ltd')).body;
    expect(company).toMatchObject({
      lifecycle: { stage: null },
      attributes: { industry: { value: 'machinery' } },
    });
    expect(company.totals).toEqual([{ behaviour: 'view', count: 1 }]);
  });

  it('can be seen as a link, and is somebody else again once that is taken back', async () => {
    const before = await get(`/v1/links/${link}`);
    expect(before).toMatchObject({
      status: 200,
      body: { status: 'active', user: 'u:ana', revocable: true, brought: { levels: expect.any(Array) } },
    });
    const sourcingLevel = before.body.brought.levels.find(
      (each: { funnel: string }) => each.funnel === 'sourcing',
    );
    expect(sourcingLevel).toMatchObject({ level: 5, without: 0 });
    const because = { author: 'ana@example.com', reason: 'it was my colleague' };
    const accepted = await send(`/v1/links/${link}/revoke`, because);
    expect(accepted).toMatchObject({ visitor: 'a:phone-1', user: 'u:ana', visitorSpeaksAgain: true });
    await stage.untilDrained();

    expect((await get(`/v1/links/${link}`)).body).toMatchObject({
      status: 'revoked',
      brought: null,
      revocable: false,
    });
    const again = await post({ url }, `/v1/links/${link}/revoke`, keys.secret, because);
    expect([again.status, again.body.code]).toEqual([409, 'already_revoked']);
    const ana = (await get('/v1/buyers/u:ana')).body;
    expect(ana.links).toEqual([]);
    expect(ana.totals).toEqual([{ behaviour: 'view', count: 1 }]);
    expect(ana.funnels.find(({ id }: { id: string }) => id === 'sourcing')).toMatchObject({ level: 0 });
    const phone = (await get('/v1/buyers/a:phone-1')).body;
    expect(phone).toMatchObject({ person: null, opportunities: [{ subject: 's-1', stage: 'inquiry' }] });
    expect(phone.totals).toContainEqual({ behaviour: 'view', count: 2 });
    expect(await opportunities()).toMatchObject({ opened: 1, open: 1, top: ['a:phone-1'] });
    expect(await sourcing()).toEqual([1, 1, 1, 1, 1, 0]);
    const people = (await get('/v1/reports/north-star?people=true')).body.rows;
    expect(people.at(-1)).toMatchObject({ people: 2 });
  });

  it('shares a device with another user, who gets what comes from there on', async () => {
    const kiosk = { anonymousId: 'kiosk-1' };
    await happen(track(kiosk, 'Product Viewed'));
    await happen({ type: 'identify', userId: 'ben', ...kiosk });
    await happen({ type: 'identify', userId: 'cem', ...kiosk });
    await happen(track(kiosk, 'Products Searched'));
    const totals = async (key: string) => (await get(`/v1/buyers/${key}`)).body.totals;
    expect(await totals('u:ben')).toEqual([{ behaviour: 'view', count: 1 }]);
    expect(await totals('u:cem')).toEqual([{ behaviour: 'search', count: 1 }]);
    const { body } = await get('/v1/reports/identity');
    expect(body).toMatchObject({
      links: { made: 3, superseded: 1, revoked: 1, merged: 3 },
      joined: { visitors: 1, users: 2, visitorsOfSeveralUsers: 1 },
      companies: { companies: 1, members: 1 },
    });
  });
});
