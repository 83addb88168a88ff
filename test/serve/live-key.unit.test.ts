// The key that a viewer of the live debugger names: a user id alone gets its kind before it, and may then be longer than any key.
// The stream could not read such an interest, and every viewer saw nothing.
import { expect, it } from 'vitest';
import { ID_CHARACTERS_MAX } from '../../domain/record-fields.ts';
import { expectProblem } from './expect-problem.ts';
import { openApp, SECRET } from './without-parts.ts';

const headers = { authorization: `Bearer ${SECRET}` };

it('a user id alone that is too long for a key of the log: 400', async () => {
  const app = await openApp();
  for (const length of [ID_CHARACTERS_MAX + 1, ID_CHARACTERS_MAX + 2]) {
    const response = await app.inject({ url: `/v1/events/live?key=${'x'.repeat(length)}`, headers });
    expectProblem(response, 400, 'invalid');
    expect(response.json().detail).toContain('256');
  }
});
