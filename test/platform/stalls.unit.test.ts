// Whose fetch has stopped: the log goes on, nothing waits, and nothing comes from one look to the next.
import { expect, it } from 'vitest';
import { createStallWatch, type Standing } from '../../platform/stalls.ts';

const at = (expected: number, high: number, backlog = 0): Standing => ({
  name: 'events:3',
  expected,
  backlog,
  high,
});

it('finds one that the log is ahead of at two looks, and that has come no further', () => {
  const watch = createStallWatch();
  expect(watch.look([at(85, 90)])).toEqual([]);
  expect(watch.look([at(85, 91)])).toEqual([{ ...at(85, 91), isDue: true }]);
});

it.each([
  ['that reads on, however far behind', [at(85, 90), at(86, 99), at(87, 120)]],
  ['at the end of its log', [at(90, 90), at(90, 90)]],
  ['that the log has just gone ahead of', [at(90, 90), at(90, 91)]],
  ['that has messages waiting, because it is held or its batch takes long', [at(85, 90, 5), at(85, 90, 5)]],
])('finds none %s', (_what, looks) => {
  const watch = createStallWatch();
  for (const look of looks) expect(watch.look([look])).toEqual([]);
});

it('is told at once where the log has gone on, and of the same end again only some looks later', () => {
  const watch = createStallWatch();
  const due = (high: number) => watch.look([at(85, high)]).map(({ isDue }) => isDue);
  expect(due(86)).toEqual([]);
  const told = Array.from({ length: 8 }, () => due(86)[0]);
  expect(told).toEqual([true, false, false, false, false, false, true, false]);
  expect(due(87)).toEqual([true]);
});

it('forgets what was before a look at nothing', () => {
  const watch = createStallWatch();
  watch.look([at(85, 90)]);
  watch.look([]);
  expect(watch.look([at(85, 90)])).toEqual([]);
});
