// How much of the past is read at a time, and until when.
import { expect, it } from 'vitest';
import { openPastReader, pieceOf, ROWS_PER_KEY_MAX } from '../../jobs/past-reader.ts';
import type { ClickHouse } from '../../platform/clickhouse.ts';

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

it.each(['begins', 'ends'])('a question whose answer never %s is called off', async (which) => {
  const asked: (AbortSignal | undefined)[] = [];
  const never = new Promise<never>(() => {});
  const query = ({ abort_signal }: { abort_signal?: AbortSignal }) => {
    asked.push(abort_signal);
    return which === 'begins' ? never : Promise.resolve({ json: () => never });
  };
  const turn = new AbortController();
  const { signal } = turn;
  const answer = openPastReader({ query } as unknown as ClickHouse, 1).any([1], signal);
  turn.abort(new Error('the turn is over'));
  await expect(answer).rejects.toThrow('the turn is over');
  expect(asked).toEqual([signal]);
});
