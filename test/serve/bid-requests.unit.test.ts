// What a bid manager asks: a name that is nobody's is told, not passed by.
import { expect, it } from 'vitest';
import { expectProblem } from './expect-problem.ts';
import { openApp, SECRET } from './without-parts.ts';

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
