import { expect, it } from 'vitest';
import { createRoom } from '../../cli/feed/room.ts';
import { PlatformError } from '../../platform/platform-error.ts';

function roomOf(lags: (number | Error)[], signal = new AbortController().signal) {
  let looks = 0;
  const untilRoom = createRoom(async () => {
    const lag = lags[Math.min(looks, lags.length - 1)]!;
    looks += 1;
    if (typeof lag !== 'number') throw lag;
    return lag;
  }, signal);
  return { untilRoom, looks: () => looks };
}

it('waits while the stream is far behind, and while that cannot be told', async () => {
  const { untilRoom, looks } = roomOf([9_999, new Error('Kafka is away'), 5_000, 2_000]);
  await untilRoom();
  expect(looks()).toBe(4);
});

// It looked ten times a second for ever, and said nothing.
it('ends where the stream is of another log, for which no waiting helps', async () => {
  const mismatch = new PlatformError('GENERATION_MISMATCH', 'the state in Redis belongs to another events');
  const { untilRoom, looks } = roomOf([9_999, mismatch, 0]);
  await expect(untilRoom()).rejects.toBe(mismatch);
  expect(looks()).toBe(2);
});

it('does not look again for each item', async () => {
  const { untilRoom, looks } = roomOf([0]);
  for (let item = 0; item < 1_000; item += 1) await untilRoom();
  expect(looks()).toBeLessThan(100);
});

it('ends when the feed is told to', async () => {
  const stopping = new AbortController();
  const { untilRoom } = roomOf([9_999], stopping.signal);
  setTimeout(() => stopping.abort(new Error('Ctrl-C')), 150);
  await expect(untilRoom()).rejects.toThrow();
});
