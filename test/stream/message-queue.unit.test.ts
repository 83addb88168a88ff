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
      expect(queue.sizes(to)).toEqual(range(gone, gone + to).map(({ size }) => size));
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

  it('gives no more sizes and keys than there are messages', () => {
    const queue = new MessageQueue();
    queue.push(range(0, 3));
    queue.push([]);
    expect([queue.sizes(9).length, queue.keys(9).length]).toEqual([3, 3]);
  });
});
