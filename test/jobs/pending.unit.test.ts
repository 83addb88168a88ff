// What is asked of a partition before anybody is written to.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createPendingCheck, type Standing, unknownPauseMs } from '../../jobs/pending.ts';
import { partitions, triggerOf } from './dispatching.ts';

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => void vi.useRealTimers());

// All partitions' questions were answered together: one that was paused held each webhook of each receiver up for two seconds.
it('a partition that stays behind delays no question of another, and is waited for only once', async () => {
  const world = partitions();
  world.offsets[0] = 3;
  world.waiting.add('one');
  const { standing } = createPendingCheck(world.ports);
  const answers: string[] = [];
  const ask = (id: string, partition: number): void =>
    void standing(triggerOf(id, partition)).then((answer: Standing) => answers.push(`${id} ${answer}`));

  ask('behind', 0);
  ask('one', 1);
  await vi.advanceTimersByTimeAsync(100);
  ask('two', 1);
  await vi.advanceTimersByTimeAsync(100);
  expect(answers).toEqual(['one waiting', 'two gone']);

  await vi.advanceTimersByTimeAsync(2_000);
  expect(answers).toEqual(['one waiting', 'two gone', 'behind unknown']);
  ask('again', 0);
  await vi.advanceTimersByTimeAsync(30);
  expect(answers.at(-1)).toBe('again unknown');

  // It goes on, and lags a little as every partition does: then it is waited for as before.
  world.offsets[0] = 10;
  world.ends[0] = 12;
  ask('late', 0);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(answers.at(-1)).toBe('again unknown');
  world.offsets[0] = 12;
  await vi.advanceTimersByTimeAsync(100);
  expect(answers.at(-1)).toBe('late gone');
});

it('the end of the log is asked for after the question, however many ask', async () => {
  const world = partitions();
  const requests: (() => void)[] = [];
  world.ports.admin.watermarks = () =>
    new Promise((resolve) => requests.push(() => resolve(world.ends.map((high) => ({ low: 0, high })))));
  const { standing } = createPendingCheck(world.ports);
  const first = standing(triggerOf('first', 0));
  await vi.advanceTimersByTimeAsync(10);
  const others = [1, 2, 3].map((partition) => standing(triggerOf('other', partition)));
  await vi.advanceTimersByTimeAsync(10);
  expect(requests).toHaveLength(1);
  requests[0]!();
  expect(await first).toBe('gone');
  await vi.advanceTimersByTimeAsync(10);
  expect(requests).toHaveLength(2);
  requests[1]!();
  expect(await Promise.all(others)).toEqual(['gone', 'gone', 'gone']);
});

it('what was unknown is asked again later and later', () => {
  expect([0, 1, 2, 3, 4, 5, 50].map(unknownPauseMs)).toEqual([
    1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000,
  ]);
});

it('no command names more than five hundred', async () => {
  const world = partitions();
  world.waiting.add('t1199');
  const { standing } = createPendingCheck(world.ports);
  const asked = Array.from({ length: 1_200 }, (_none, number) => standing(triggerOf(`t${number}`, 0)));
  await vi.advanceTimersByTimeAsync(10);
  expect((await Promise.all(asked)).filter((answer) => answer === 'waiting')).toHaveLength(1);
  expect(world.asked).toEqual([500, 500, 200]);
});

// Redis was killed between the two reads, and what came back had not applied the trigger again: it was settled, and told to nobody.
it('a trigger is gone only by a head that was read with it', async () => {
  const world = partitions();
  world.waiting.add('told');
  const { standing } = createPendingCheck(world.ports);
  world.changes.beforeExec = async () => {
    world.offsets[0] = 4;
    world.waiting.delete('told');
  };
  const asked = standing(triggerOf('told', 0));
  await vi.advanceTimersByTimeAsync(10);
  expect(await asked).toBe('unknown');

  world.changes.beforeExec = async () => {};
  world.offsets[0] = 10;
  world.waiting.add('told');
  const again = standing(triggerOf('told', 0));
  await vi.advanceTimersByTimeAsync(10);
  expect(await again).toBe('waiting');
});
