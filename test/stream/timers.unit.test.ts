// The timer queue: Redis's order, one timer a key, and what a commit has to write.
import { array, assert, constantFrom, integer, property, tuple } from 'fast-check';
import { expect, it } from 'vitest';
import { compareKeys, createTimerQueue, type Timer } from '../../stream/timers.ts';

/** U+FF61 comes before an emoji in UTF-8 and behind it in UTF-16. */
const KEYS = ['a', 'b', 'é', '\uff61', '\u{1f600}', ''];

function drain(queue: ReturnType<typeof createTimerQueue>, nowMs: number): Timer[] {
  const taken: Timer[] = [];
  for (let timer = queue.take(nowMs); timer !== undefined; timer = queue.take(nowMs)) taken.push(timer);
  return taken;
}

it('orders timers of one instant by the UTF-8 bytes of their keys', () => {
  expect('\u{1f600}' < '\uff61').toBe(true);
  const queue = createTimerQueue(['\u{1f600}', '\uff61', 'é', 'b', 'a'].map((key) => ({ key, dueMs: 5 })));
  expect(drain(queue, 5).map(({ key }) => key)).toEqual(['a', 'b', 'é', '\uff61', '\u{1f600}']);
});

it('takes a timer at its due time and not a millisecond before', () => {
  const queue = createTimerQueue([{ key: 'a', dueMs: 10 }]);
  expect(queue.take(9)).toBeUndefined();
  expect(queue.changes().size).toBe(0);
  expect(queue.take(10)).toEqual({ key: 'a', dueMs: 10 });
  expect([...queue.changes()]).toEqual([['a', 0]]);
});

it('gives what a map of one timer a key gives, whatever is set, moved, cleared and taken', () => {
  const timer = tuple(constantFrom(...KEYS), integer({ min: 0, max: 12 }));
  const take = integer({ min: 1, max: 14 });
  assert(
    property(
      array(timer, { maxLength: 6 }),
      array(tuple(timer, take), { maxLength: 30 }),
      (stored, steps) => {
        const model = new Map(stored.filter(([, dueMs]) => dueMs > 0));
        const before = new Map(model);
        const queue = createTimerQueue([...model].map(([key, dueMs]) => ({ key, dueMs })));
        for (const [[key, dueMs], nowMs] of steps) {
          queue.arm(key, dueMs);
          if (dueMs === 0) model.delete(key);
          else model.set(key, dueMs);
          const [next] = [...model].sort(([a, dueA], [b, dueB]) => dueA - dueB || compareKeys(a, b));
          expect(queue.earliestMs()).toBe(next?.[1] ?? Number.POSITIVE_INFINITY);
          const due = next !== undefined && next[1] <= nowMs;
          expect(queue.take(nowMs)).toEqual(due ? { key: next[0], dueMs: next[1] } : undefined);
          if (due) model.delete(next[0]);
        }
        // What is written, laid over what was stored, is what there is.
        for (const [key, dueMs] of queue.changes()) {
          if (dueMs === 0) before.delete(key);
          else before.set(key, dueMs);
        }
        expect(new Map([...before].sort())).toEqual(new Map([...model].sort()));
      },
    ),
  );
});
