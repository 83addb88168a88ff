// How much of the past is read at a time.
import { expect, it } from 'vitest';
import { pieceOf, ROWS_PER_KEY_MAX } from '../../jobs/past-reader.ts';

it('a piece is full with its rows, has at least one key, and goes on where the one before ended', () => {
  const found = Array.from({ length: 8 }, (_, number) => ({
    key: `u:${number}`,
    rows: ROWS_PER_KEY_MAX * 3,
  }));
  // Of each key at most so many rows are read: five keys make the 100,000.
  expect(pieceOf(found)).toEqual(['u:0', 'u:1', 'u:2', 'u:3', 'u:4']);
  expect(pieceOf(found.slice(0, 1))).toEqual(['u:0']);
  expect(pieceOf([])).toEqual([]);
  const small = Array.from({ length: 2_000 }, (_, number) => ({ key: `u:${number}`, rows: 10 }));
  expect(pieceOf(small)).toHaveLength(2_000);
});
