// Whether what came by a link can be told apart, by the settings in force.
import { expect, it } from 'vitest';
import { newBuyer, newHistory } from '../../domain/buyer.ts';
import { settings } from '../../domain/definition.ts';
import { type KnownLink, separabilityOf } from '../../serve/links/link-standing.ts';

const DAY_MS = 86_400_000;
const NOW_MS = Date.UTC(2026, 0, 2);

it('not among more than the limit keeps apart, though it was lowered since and the user is at rest', () => {
  const parts = Array.from({ length: 11 }, (_, number) => ({
    ...{ ...newHistory(), number, link: number === 0 ? '' : `3-${number}-v`, visitor: '' },
    ...{ mergedMs: NOW_MS - DAY_MS, ended: false },
  }));
  const user = {
    key: 'u:one',
    partition: 0,
    buyer: { ...newBuyer('u:one'), parts, nextPart: 11 },
    watermarkMs: NOW_MS,
  };
  const standing = (offset: number) => {
    const id = { text: `3-${offset}-v`, partition: 3, offset, visitor: 'a:v' };
    const link: KnownLink = { id: id.text, user: 'u:one', status: 'active', sinceMs: 0, stage: null };
    return separabilityOf(id, link, user, 99, settings.parse({ maxLinksPerBuyer: 5 }));
  };
  expect(standing(5)).toMatchObject({
    separable: false,
    why: 'at least 5 links of this user came after it',
  });
  expect(standing(6).separable).toBe(true);
});
