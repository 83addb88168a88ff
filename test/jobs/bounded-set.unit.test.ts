// The set in which the oldest make room: which they are, whatever was deleted, and what it holds in memory.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { createBoundedSet } from '../../jobs/bounded-set.ts';
import { seeded } from '../e2e/support/mixed-log.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

it('drops what was added first, whatever was deleted and added again', () => {
  const random = seeded(7);
  const max = 20;
  const set = createBoundedSet(max);
  let model: string[] = [];
  for (let step = 0; step < 20_000; step += 1) {
    const value = `v${Math.floor(random() * 60)}`;
    if (random() < 0.4) {
      set.delete(value);
      model = model.filter((each) => each !== value);
      continue;
    }
    if (!model.includes(value)) model.push(value);
    expect(set.add(value)).toBe(model.length > max ? model.shift() : undefined);
    expect([...set]).toEqual(model);
  }
});

it.each([
  ['never full', 10],
  ['full before', 2_000],
])('holds no more than what is in it though a million come and go (%s)', (_what, filled) => {
  const set = createBoundedSet(1_000);
  for (let number = 0; number < filled; number += 1) set.add(`filled-${number}`);
  // Room for what comes and goes.
  for (let number = filled - 1; number >= filled - 10; number -= 1) set.delete(`filled-${number}`);
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let number = 0; number < 1_000_000; number += 1) {
    set.add(`passing-${number}`);
    set.delete(`passing-${number}`);
  }
  collect();
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(10_000_000);
  expect(set.size).toBe(Math.min(filled, 1_000) - 10);
});

it('takes a time for each that does not grow with how many have made room', () => {
  const set = createBoundedSet(200_000);
  const startedMs = performance.now();
  for (let number = 0; number < 1_000_000; number += 1) {
    set.add(`value-${number}`);
    // Each makes that the place of one deleted is passed once more.
    if (number % 3 === 0) set.delete(`value-${number - 1_000}`);
  }
  // Minutes, where each looks for the oldest from the beginning.
  expect(performance.now() - startedMs).toBeLessThan(20_000);
});
