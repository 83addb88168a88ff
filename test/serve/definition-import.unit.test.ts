// What an import answers that is cut off between its changes: what holds already, and that the plan's tag fits no more.
import { expect, it } from 'vitest';
import { PlatformError } from '../../platform/platform-error.ts';
import type { Dependencies } from '../../serve/dependencies.ts';
import { DefinitionsGiven } from './answering.ts';
import { openApp, SECRET, world } from './without-parts.ts';

const account = (id: string) => ({
  type: 'account',
  id,
  document: { name: id, currency: 'EUR', dailyBudgetMicros: 1 },
});

/** An import of three, of which the publisher does this with the third. */
async function cutOff(third: () => Promise<unknown>) {
  const definitions = new DefinitionsGiven();
  const publishChecked = async ({
    type,
    id,
    document,
  }: {
    type: 'account';
    id: string;
    document: unknown;
  }) => {
    if (id === 'c') return third();
    definitions.set(type, id, document);
    return { outcome: 'published', revision: 1, hash: '' };
  };
  const overrides = { definitionLog: definitions.view(), publisher: { publishChecked } };
  const app = await openApp(world(overrides as unknown as Partial<Dependencies>));
  const authorization = `Bearer ${SECRET}`;
  const payload = { definitions: ['a', 'b', 'c'].map(account), reason: 'to see' };
  const url = '/v1/definitions/import';
  const plan = await app.inject({
    method: 'POST',
    url: `${url}?plan=true`,
    headers: { authorization },
    payload,
  });
  const headers = { authorization, 'if-match': plan.headers.etag as string };
  const answer = await app.inject({ method: 'POST', url, headers, payload });
  const again = await app.inject({ method: 'POST', url, headers, payload });
  return { answer, again };
}

// It said that nothing else was needed than to send the same again, which is refused, and not what held.
it.each(['KAFKA_NOT_DELIVERED', 'KAFKA_QUEUE_FULL'] as const)(
  'says where %s cut it off, what holds, and to plan again',
  async (code) => {
    const { answer, again } = await cutOff(() => Promise.reject(new PlatformError(code, 'played')));
    expect([answer.statusCode, answer.headers['retry-after']]).toEqual([503, '5']);
    expect(answer.json()).toMatchObject({
      code: 'log_unavailable',
      detail: expect.stringMatching(/account\/c .* may hold.*2 of 3.*plan again/),
      made: ['account/a', 'account/b'],
      retryAfterSeconds: 5,
    });
    expect(again.statusCode).toBe(412);
  },
);

it('says so where somebody else came between', async () => {
  const { answer } = await cutOff(async () => ({ outcome: 'conflict', revision: 2, hash: '' }));
  expect([answer.statusCode, answer.json()]).toMatchObject([
    409,
    { code: 'import_interrupted', made: ['account/a', 'account/b'] },
  ]);
});
