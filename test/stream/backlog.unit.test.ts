// A partition that is read faster than it is folded waits in bounded memory: in messages and in bytes.
import { expect, it } from 'vitest';
import { isToPause } from '../../stream/backlog.ts';

const MIB = 1024 * 1024;

it.each([
  [{ messages: 24_000, bytes: 16 * MIB }, false],
  [{ messages: 24_001, bytes: 0 }, true],
  [{ messages: 1, bytes: 16 * MIB + 1 }, true],
])('of %o in wait it is read no further: %s', (backlog, expected) => {
  expect(isToPause(backlog, false)).toBe(expected);
});

it.each([
  [{ messages: 15_999, bytes: 10 * MIB - 1 }, false],
  [{ messages: 16_000, bytes: 0 }, true],
  [{ messages: 1, bytes: 10 * MIB }, true],
])('once it was paused, of %o in wait it stays so: %s', (backlog, expected) => {
  expect(isToPause(backlog, true)).toBe(expected);
});
