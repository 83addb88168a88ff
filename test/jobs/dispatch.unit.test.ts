// The leader's work where partitions cannot be asked.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createBeginning } from '../../jobs/beginning.ts';
import { createPendingCheck } from '../../jobs/pending.ts';
import { dispatching, partitions, triggerOf } from './dispatching.ts';

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => void vi.useRealTimers());

// Each held a slot for two seconds, and came again after one, before whatever was new.
it('a hundred deliveries of a partition that stays behind let a fresh one of another pass', async () => {
  const world = partitions();
  world.offsets[0] = 3;
  const many = Array.from({ length: 100 }, (_, number) => triggerOf(`behind-${number}`, 0));
  const fresh = ['fresh', 'fresh-later', 'fresh-last'].map((id) => triggerOf(id, 1));
  for (const { id } of [...many, ...fresh]) world.waiting.add(id);
  let questions = 0;
  const check = createPendingCheck(world.ports);
  const pending: typeof check = {
    standing(trigger) {
      questions += 1;
      return check.standing(trigger);
    },
  };
  const { dispatcher, sent, written } = dispatching({ pending });
  await dispatcher.resume(createBeginning(() => false).beginning);
  await dispatcher.take(
    0,
    many.map((trigger, offset) => ({ offset, trigger })),
  );
  await dispatcher.take(1, [{ offset: 0, trigger: fresh[0]! }]);
  await vi.advanceTimersByTimeAsync(3_000);
  expect(sent).toEqual(['fresh']);

  await dispatcher.take(1, [{ offset: 1, trigger: fresh[1]! }]);
  await vi.advanceTimersByTimeAsync(200);
  expect(sent).toEqual(['fresh', 'fresh-later']);

  await vi.advanceTimersByTimeAsync(60_000);
  questions = 0;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(questions).toBeLessThanOrEqual(2 * many.length);
  await dispatcher.take(1, [{ offset: 2, trigger: fresh[2]! }]);
  await vi.advanceTimersByTimeAsync(200);
  expect(sent).toEqual(['fresh', 'fresh-later', 'fresh-last']);
  // What could not be judged was written as nothing but queued, once.
  expect(written.filter(({ kind }) => kind === 'delivery')).toHaveLength(many.length + 3 * fresh.length);

  world.offsets[0] = 10;
  await vi.advanceTimersByTimeAsync(31_000);
  expect(sent).toHaveLength(many.length + fresh.length);
});
