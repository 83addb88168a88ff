// Whose fetch has stopped: the log goes on, nothing waits, and nothing comes from one look to the next.
import { expect, it } from 'vitest';
import { createStallWatch, type Standing } from '../../stream/stalls.ts';

const at = (expected: number, high: number, backlog = 0): Standing => ({
  name: 'events:3',
  expected,
  backlog,
  high,
});

it('tells of one that the log is ahead of at two looks, and that has come no further', () => {
  const watch = createStallWatch();
  expect(watch.look([at(85, 90)])).toEqual([]);
  expect(watch.look([at(85, 91)])).toEqual([at(85, 91)]);
});

it.each([
  ['that reads on, however far behind', [at(85, 90), at(86, 99), at(87, 120)]],
  ['at the end of its log', [at(90, 90), at(90, 90)]],
  ['that the log has just gone ahead of', [at(90, 90), at(90, 91)]],
  ['that has messages waiting, because it is held or its batch takes long', [at(85, 90, 5), at(85, 90, 5)]],
])('tells of none %s', (_what, looks) => {
  const watch = createStallWatch();
  for (const look of looks) expect(watch.look([look])).toEqual([]);
});

it('tells once of each end: behind the last record there may be nothing but a marker', () => {
  const watch = createStallWatch();
  const told = [85, 85, 85, 85].map((expected) => watch.look([at(expected, 86)]).length);
  expect(told).toEqual([0, 1, 0, 0]);
  expect(watch.look([at(85, 87)])).toHaveLength(1);
});
