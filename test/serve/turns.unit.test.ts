// The line for a turn: bounded in length and time, in order, and left by a client that goes.
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createTurns } from '../../serve/turns.ts';

const reply = () => ({ raw: new ServerResponse(new IncomingMessage(new Socket())) });
const busy = { code: 'too_many', detail: 'All are taken.', retrySeconds: 2 };
const refusal = { problem: { status: 503, code: 'too_many' } };

/** One turn, and room for two who wait for it for a second. */
function lineOfTwo() {
  const turns = createTurns({ max: 1, busy, line: { most: 2, seconds: 1 } });
  const begun: string[] = [];
  const take = (name: string, { raw } = reply()) => {
    let end = (): void => {};
    const working = new Promise<void>((resolve) => (end = resolve));
    const over = turns.take({ raw }, async () => {
      begun.push(name);
      await working;
    });
    // Who expects it to fail looks later.
    over.catch(() => {});
    return { over, end };
  };
  return { begun, take };
}

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

it('is served in order, and no longer than it may be', async () => {
  const { begun, take } = lineOfTwo();
  const [first, second, third, fourth] = ['first', 'second', 'third', 'fourth'].map((name) => take(name));
  await expect(fourth!.over).rejects.toMatchObject(refusal);
  expect(begun).toEqual(['first']);
  for (const { over, end } of [first!, second!, third!]) {
    end();
    await over;
  }
  expect(begun).toEqual(['first', 'second', 'third']);
  const next = take('next');
  next.end();
  await next.over;
  expect(begun.at(-1)).toBe('next');
});

it('is told to come back after its time, and the turn is not kept for it', async () => {
  const { begun, take } = lineOfTwo();
  const first = take('first');
  const late = take('late');
  await vi.advanceTimersByTimeAsync(1_000);
  await expect(late.over).rejects.toMatchObject(refusal);
  first.end();
  await first.over;
  take('next');
  await vi.waitFor(() => expect(begun).toEqual(['first', 'next']));
});

it('is left by a client that goes', async () => {
  const { begun, take } = lineOfTwo();
  const first = take('first');
  const leaving = reply();
  const left = take('left', leaving);
  const staying = take('staying');
  leaving.raw.destroy();
  leaving.raw.emit('close');
  await expect(left.over).rejects.toMatchObject({ problem: { code: 'client_gone' } });
  first.end();
  await vi.waitFor(() => expect(begun).toEqual(['first', 'staying']));
  staying.end();
  await staying.over;
});
