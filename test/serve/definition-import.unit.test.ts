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
async function cutOff(third: (definitions: DefinitionsGiven) => Promise<unknown>) {
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
    if (id === 'c') return third(definitions);
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

const refusing = (code: ConstructorParameters<typeof PlatformError>[0]) =>
  Promise.reject(new PlatformError(code, 'played'));

// It said that nothing else was needed than to send the same again, which is refused, and not what held.
it('says where the log cut it off, what holds, and to plan again', async () => {
  const { answer, again } = await cutOff(() => refusing('KAFKA_NOT_DELIVERED'));
  expect([answer.statusCode, answer.headers['retry-after']]).toEqual([503, '5']);
  expect(answer.json()).toMatchObject({
    code: 'log_unavailable',
    detail: expect.stringMatching(/account\/c .* may hold.*2 of 3.*plan again/),
    made: ['account/a', 'account/b'],
    retryAfterSeconds: 5,
  });
  expect(again.statusCode).toBe(412);
});

it('says of one for which the log had no room that nothing of it was written', async () => {
  const { answer } = await cutOff(() => refusing('KAFKA_QUEUE_FULL'));
  expect([answer.statusCode, answer.headers['retry-after']]).toEqual([503, '1']);
  expect(answer.json()).toMatchObject({
    code: 'log_busy',
    detail: expect.stringMatching(/nothing of account\/c was written.*2 of 3.*plan again/),
    made: ['account/a', 'account/b'],
    retryAfterSeconds: 1,
  });
});

it('does not say so where only the word that all have it found no room', async () => {
  const { answer } = await cutOff((definitions) => {
    definitions.set('account', 'c', account('c').document);
    return refusing('KAFKA_QUEUE_FULL');
  });
  expect(answer.json()).toMatchObject({
    code: 'log_unavailable',
    detail: expect.stringContaining('account/c in time: it may hold'),
  });
});

it('says of one that is too large for the log what holds, and not to come again as it is', async () => {
  const { answer } = await cutOff(() => refusing('KAFKA_TOO_LARGE'));
  expect([answer.statusCode, answer.headers['retry-after']]).toEqual([413, undefined]);
  expect(answer.json()).toMatchObject({
    code: 'too_large',
    detail: expect.stringMatching(/account\/c is larger than the log takes \(played\).*2 of 3.*plan again/),
    made: ['account/a', 'account/b'],
  });
});

it('says of one that holds and is too large for a partition that it holds', async () => {
  const { answer } = await cutOff((definitions) => {
    definitions.set('account', 'c', account('c').document);
    return refusing('KAFKA_TOO_LARGE');
  });
  expect(answer.json()).toMatchObject({
    code: 'too_large',
    detail: expect.stringContaining('account/c holds, but its record is too large to reach every partition'),
  });
});

it('says so where somebody else came between', async () => {
  const { answer } = await cutOff(async () => ({ outcome: 'conflict', revision: 2, hash: '' }));
  expect([answer.statusCode, answer.json()]).toMatchObject([
    409,
    { code: 'import_interrupted', made: ['account/a', 'account/b'] },
  ]);
});
