// What a PUT of a definition answers: 201 only for one that this request made.
import { expect, it } from 'vitest';
import { PlatformError } from '../../platform/platform-error.ts';
import type { Dependencies } from '../../serve/dependencies.ts';
import { DefinitionsGiven } from './answering.ts';
import { openApp, SECRET, world } from './without-parts.ts';

const funnel = { name: 'Purchase', steps: ['view', 'order'], windowMs: 1_000 };

/** A publisher that has said so of the latest of so many revisions. */
async function statusOf(outcome: 'published' | 'unchanged', revisions: number): Promise<number> {
  const definitions = new DefinitionsGiven();
  for (let revision = 1; revision <= revisions; revision += 1)
    definitions.set('funnel', 'purchase', { ...funnel, windowMs: revision }, revision);
  const publish = async () => ({ outcome, revision: revisions, hash: '' });
  const overrides = { definitionLog: definitions.view(), publisher: { publish } };
  const app = await openApp(world(overrides as unknown as Partial<Dependencies>));
  const answer = await app.inject({
    method: 'PUT',
    url: '/v1/definitions/funnel/purchase',
    headers: { authorization: `Bearer ${SECRET}`, 'if-match': '*' },
    payload: { document: funnel, reason: 'to see' },
  });
  expect(answer.json().revision).toBe(revisions);
  return answer.statusCode;
}

it('201 for the first revision, 200 for a later one', async () => {
  expect([await statusOf('published', 1), await statusOf('published', 2)]).toEqual([201, 200]);
});

it('200 for the same document, at its first revision too', async () => {
  expect([await statusOf('unchanged', 1), await statusOf('unchanged', 2)]).toEqual([200, 200]);
});

const TOO_LARGE = 'The record of funnel/purchase is larger than the log takes (played): make it smaller.';
const UNREACHED = 'funnel/purchase holds, but its record is too large to reach every partition';

// It was told as an outage, with Retry-After: who heeds that sends it for ever.
it.each([
  ['the log', null, null, TOO_LARGE],
  ['the log, another being there', { ...funnel, windowMs: 2_000 }, null, TOO_LARGE],
  ['the log, another having come between', null, { ...funnel, windowMs: 2_000 }, TOO_LARGE],
  ['a partition', null, funnel, UNREACHED],
  ['a partition, as it was before', funnel, null, UNREACHED],
])('413 for one that is too large for %s, and whether it holds', async (_of, before, meanwhile, detail) => {
  const definitions = new DefinitionsGiven();
  if (before !== null) definitions.set('funnel', 'purchase', before, 1);
  const publish = () => {
    if (meanwhile !== null) definitions.set('funnel', 'purchase', meanwhile, 2);
    return Promise.reject(new PlatformError('KAFKA_TOO_LARGE', 'played'));
  };
  const overrides = { definitionLog: definitions.view(), publisher: { publish } };
  const app = await openApp(world(overrides as unknown as Partial<Dependencies>));
  const answer = await app.inject({
    method: 'PUT',
    url: '/v1/definitions/funnel/purchase',
    headers: {
      authorization: `Bearer ${SECRET}`,
      ...(before === null ? { 'if-none-match': '*' } : { 'if-match': '*' }),
    },
    payload: { document: funnel, reason: 'to see' },
  });
  expect([answer.statusCode, answer.headers['retry-after']]).toEqual([413, undefined]);
  expect(answer.json()).toMatchObject({ code: 'too_large', detail: expect.stringContaining(detail) });
});
