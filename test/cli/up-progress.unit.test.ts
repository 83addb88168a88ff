// While `up` waits for all to arrive, one look may fail: its supervisor starts the part again, and the rest is no reason to end.
import { expect, it } from 'vitest';
import { isDrainedInTime, pauseNotice } from '../../cli/up-progress.ts';
import { PlatformError } from '../../platform/platform-error.ts';
import type { PartitionProgress } from '../../platform/progress.ts';

const done: PartitionProgress = {
  ...({ topic: 'events', partition: 3, offset: 9, high: 9, undelivered: 0 } as const),
  ...{ flushed: true, paused: false },
};
const paused: PartitionProgress = { ...done, offset: 4, paused: true };
const unreachable = new PlatformError('KAFKA_UNREACHABLE', 'Kafka did not answer');

/** Drains with these looks, one after the other. */
async function drainOf(looks: (PartitionProgress | Error)[], signal = new AbortController().signal) {
  const said: string[] = [];
  const say = (line: string): void => void said.push(line);
  const look = async (): Promise<PartitionProgress[]> => {
    const next = looks.shift()!;
    if (next instanceof Error) throw next;
    return [next];
  };
  const drained = await isDrainedInTime({
    ...{ look, signal, timeoutMs: 60_000, report: say },
    sayPaused: pauseNotice(say),
  });
  return { drained, said };
}

it('goes on when a part is started again', async () => {
  const { drained, said } = await drainOf([unreachable, new Error('Connection is closed.'), done]);
  expect(drained).toBe(true);
  expect(said).toEqual([
    'cannot look, and tries again: Kafka did not answer',
    'cannot look, and tries again: Connection is closed.',
    "0 records, 0 batches, 0 partitions' aggregates left",
  ]);
});

it('names a paused partition that it waits for, once', async () => {
  const { said } = await drainOf([paused, paused, done]);
  expect(said.filter((line) => line.includes('paused'))).toEqual([
    'events 3 is paused, and what stands in its log is waited for: flywheel resume events 3',
  ]);
});

it('ends where waiting mends nothing, and where it is told to', async () => {
  const mismatch = new PlatformError('GENERATION_MISMATCH', 'another log');
  await expect(drainOf([mismatch, done])).rejects.toBe(mismatch);
  const stopped = new Error('redis stays down');
  await expect(drainOf([unreachable, done], AbortSignal.abort(stopped))).rejects.toBe(stopped);
});
