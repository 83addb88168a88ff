// What a bid manager asks: a name that is nobody's is told, not passed by.
import { describe, expect, it } from 'vitest';
import type { DefinitionType } from '../../domain/definition.ts';
import { DefinitionsGiven } from './answering.ts';
import { expectProblem } from './expect-problem.ts';
import { openApp, SECRET, world } from './without-parts.ts';

it.each([
  { campaignId: 'c1', floormicros: 500_000 },
  { bids: [{ campaignId: 'c1' }, { campaignId: 'c1', buyerkey: 'u:1' }] },
])('a misspelt name is refused: %j', async (payload) => {
  const app = await openApp();
  const headers = { authorization: `Bearer ${SECRET}` };
  const answer = await app.inject({ method: 'POST', url: '/v1/bids', headers, payload });
  expectProblem(answer, 400, 'invalid');
  expect(answer.json().detail).toMatch(/floormicros|buyerkey/);
});

describe('a kind without an id, as of an exchange that has none for an impression,', () => {
  const bids = ['u:1', 'u:', 'u:2', 'a:', 'c:'].map((buyerKey) => ({ campaignId: 'c1', buyerKey }));
  const asked = { method: 'POST', url: '/v1/bids', headers: { authorization: `Bearer ${SECRET}` } } as const;
  const without = (sendCommand: () => Promise<unknown>) =>
    openApp(world({ redis: { sendCommand, ping: async () => 'PONG' } as never }));

  it('is nobody known: the other bids of its batch are answered', async () => {
    const app = await without(async () => [null, null, null, null]);
    const answer = await app.inject({ ...asked, payload: { bids } });
    expect(answer.statusCode).toBe(200);
    expect(answer.json().bids).toHaveLength(bids.length);
  });

  it('needs nothing of Redis', async () => {
    const app = await without(() => Promise.reject(new Error('away')));
    const alone = bids.filter(({ buyerKey }) => buyerKey.length === 2);
    expect((await app.inject({ ...asked, payload: { bids: alone } })).statusCode).toBe(200);
  });

  it('leaves no reading behind that fails with nobody to hear of it', async () => {
    const app = await without(() => Promise.reject(new Error('away')));
    // What is not awaited ends the process, and with it the run of these tests.
    const unheard: unknown[] = [];
    const hear = (reason: unknown) => void unheard.push(reason);
    process.on('unhandledRejection', hear);
    const answer = await app.inject({ ...asked, payload: { bids } });
    await new Promise(setImmediate);
    process.off('unhandledRejection', hear);
    expectProblem(answer, 503, 'state_unavailable');
    expect(unheard).toEqual([]);
  });
});

it('looks each definition of a bid up once, of one alone as of one of a batch', async () => {
  const definitions = new DefinitionsGiven();
  definitions.set('campaign', 'c1', { name: 'C', accountId: 'none', channel: 'search' });
  const looked: string[] = [];
  const definitionLog = new Proxy(definitions.view(), {
    get(view, name, receiver) {
      const own = Reflect.get(view, name, receiver);
      if (!String(name).startsWith('find')) return own;
      return (type: DefinitionType, id: string) => {
        looked.push(`${type}/${id}`);
        return own(type, id);
      };
    },
  });
  const app = await openApp(world({ definitionLog }));
  const post = (payload: object) =>
    app.inject({ method: 'POST', url: '/v1/bids', headers: { authorization: `Bearer ${SECRET}` }, payload });
  const bid = { campaignId: 'c1' };
  for (const payload of [bid, { bids: [bid] }]) {
    looked.length = 0;
    expect((await post(payload)).statusCode).toBe(200);
    expect(looked).toEqual(['campaign/c1', 'account/none', 'score/opportunity']);
  }
});
