// Messages that wait come out as they went in, in whatever pieces they come and go.
import { describe, expect, it } from 'vitest';
import type { Message } from '../../stream/decode.ts';
import { MessageQueue } from '../../stream/message-queue.ts';

function message(offset: number, value: string | null = `{"n":${offset},"name":"Zoë €"}`): Message {
  const bytes = value === null ? null : Buffer.from(value);
  const key = offset % 5 === 0 ? null : `u:${offset}`;
  return { partition: 3, offset, key, value: bytes, appendMs: 1.7e12 + offset, size: 40 + (offset % 7) };
}

const range = (from: number, to: number): Message[] =>
  Array.from({ length: to - from }, (_, index) => message(from + index));

describe('a queue of messages', () => {
  it('gives them in their order, wherever the pieces were cut in which they came and go', () => {
    const queue = new MessageQueue();
    let came = 0;
    let gone = 0;
    for (let round = 1; round < 60; round += 1) {
      const count = (round * 7) % 13;
      queue.push(range(came, came + count));
      came += count;
      const waits = came - gone;
      expect(queue.length).toBe(waits);
      expect(queue.slice(0, waits)).toEqual(range(gone, came));
      const [from, to] = [Math.floor(waits / 3), Math.floor(waits / 2)];
      expect(queue.slice(from, to)).toEqual(range(gone + from, gone + to));
      expect(queue.keys(to)).toEqual(range(gone, gone + to).map(({ key }) => key));
      const left = (round * 5) % (waits + 1);
      queue.drop(left);
      gone += left;
      expect(queue.peek()).toEqual(gone < came ? message(gone) : undefined);
    }
    queue.drop(came - gone);
    expect([queue.length, queue.peek(), queue.slice(0, 9)]).toEqual([0, undefined, []]);
  });

  it('keeps what has no value, an empty one, and a copy of all others', () => {
    const queue = new MessageQueue();
    const given = [message(1, null), message(2, ''), message(3)];
    queue.push(given);
    given[2]!.value!.fill(0);
    expect(queue.slice(0, 9).map(({ value }) => value?.toString())).toEqual([
      undefined,
      '',
      '{"n":3,"name":"Zoë €"}',
    ]);
  });

  it('says how many bytes it holds: those of a piece until its last message has gone', () => {
    const queue = new MessageQueue();
    const piece = [message(1, 'abc'), message(2, null), message(3, 'de')];
    for (let times = 0; times < 2; times += 1) queue.push(piece);
    const held = [0, 1, 1, 1, 1, 2].map((count) => {
      queue.drop(count);
      return queue.bytes;
    });
    expect(held).toEqual([10, 10, 10, 5, 5, 0]);
  });

  it.each([
    ['records', { records: 7, bytes: 1_000, keys: 99 }, 7],
    ['no more than there are', { records: 99, bytes: 10_000, keys: 99 }, 30],
    // 40 to 46 bytes each: the third one fills it.
    ['bytes', { records: 99, bytes: 100, keys: 99 }, 3],
    ['bytes, one at least', { records: 99, bytes: 0, keys: 99 }, 1],
    // u:1 to u:4, then none and none again, u:6 to u:9.
    ['keys', { records: 99, bytes: 10_000, keys: 9 }, 10],
    ['keys, one at least', { records: 99, bytes: 10_000, keys: 0 }, 1],
  ])('says how many of the first stay within bounds: %s', (_, bounds, count) => {
    const queue = new MessageQueue();
    queue.push(range(0, 12));
    queue.push([]);
    queue.push(range(12, 31));
    queue.drop(1);
    const bytes = range(1, 1 + count).reduce((total, { size }) => total + size, 0);
    expect(queue.within(bounds)).toEqual({ count, bytes });
    expect(queue.keys(99)).toHaveLength(30);
  });

  it('takes as many records of a key that is among them as there are', () => {
    const queue = new MessageQueue();
    queue.push([...range(1, 3), ...range(1, 3), ...range(2, 4)]);
    expect(queue.within({ records: 99, bytes: 10_000, keys: 2 }).count).toBe(5);
  });
});
