// The leader's work where partitions cannot be asked.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createBeginning } from '../../jobs/beginning.ts';
import type { HasExpired } from '../../jobs/expiry.ts';
import { createPendingCheck } from '../../jobs/pending.ts';
import { deliveryOf, dispatching, partitions, triggerOf } from './dispatching.ts';

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

// Each was asked of every second, with a timer of its own, for as long as the replay took.
it('what a leader remembers of a partition that is being replayed is asked for some at a time, and later and later', async () => {
  const world = partitions();
  world.ready[0] = '0';
  const { beginning, take } = createBeginning(() => false);
  const many = Array.from({ length: 3_000 }, (_none, number) => triggerOf(`many-${number}`, 0));
  const other = triggerOf('other', 1);
  for (const trigger of [...many, other]) take(deliveryOf(trigger, { status: 'delivered' }));
  for (const { id } of [many[2_000]!, many[2_999]!, other]) world.waiting.add(id);
  let questions = 0;
  const check = createPendingCheck(world.ports);
  let hasExpired: HasExpired = () => false;
  const { dispatcher, receipts } = dispatching({
    expiry: async () => hasExpired,
    pending: {
      standing(trigger) {
        questions += 1;
        return check.standing(trigger);
      },
    },
  });
  await dispatcher.resume(beginning);
  await vi.advanceTimersByTimeAsync(60_000);
  // Six rounds, and the one of the other partition.
  expect(questions).toBeLessThanOrEqual(6 * 1_000 + 1);
  expect(receipts.map((receipt) => JSON.parse(receipt).trigger)).toEqual(['other']);

  // Half have expired meanwhile, which is no question; the others are asked of when the partition can tell.
  hasExpired = ({ expiresMs }) => expiresMs > 1;
  for (const trigger of many.slice(0, 1_500)) Object.assign(trigger, { expiresMs: 2 });
  world.ready[0] = '1';
  questions = 0;
  await vi.advanceTimersByTimeAsync(31_000);
  expect(questions).toBe(1_500);
  expect(receipts.map((receipt) => JSON.parse(receipt).trigger).sort()).toEqual([
    'many-2000',
    'many-2999',
    'other',
  ]);
});

it('a leader that ends waits for no question that cannot be answered', async () => {
  const world = partitions();
  world.ready[0] = '0';
  const { beginning, take } = createBeginning(() => false);
  take(deliveryOf(triggerOf('one', 0), { status: 'delivered' }));
  const { dispatcher } = dispatching({ pending: createPendingCheck(world.ports) });
  await dispatcher.resume(beginning);
  await vi.advanceTimersByTimeAsync(20_000);
  let drained = false;
  void dispatcher.drain().then(() => {
    drained = true;
  });
  await vi.advanceTimersByTimeAsync(0);
  expect(drained).toBe(true);
});

// It was answered 202 and lay there until another process led.
it('a dead one whose trigger was finished at the beginning is settled when it is wished again; a delivered one is left alone', async () => {
  const { beginning, take } = createBeginning(() => false);
  const [dead, delivered] = (['dead', 'delivered'] as const).map((status) =>
    deliveryOf(triggerOf(status, 0), { status, attempt: 3 }),
  );
  for (const delivery of [dead!, delivered!]) take(delivery);
  const { dispatcher, written, sent } = dispatching({
    expiry: async () => () => true,
    pending: createPendingCheck(partitions().ports),
  });
  await dispatcher.resume(beginning);
  for (const delivery of [dead!, { ...delivered!, status: 'dead' as const }])
    await dispatcher.replay({ kind: 'replay', id: delivery.id, by: 'team', atMs: 0, delivery });
  await vi.advanceTimersByTimeAsync(100);
  expect(written).toMatchObject([
    { id: dead!.id, status: 'queued', detail: 'replayed by team' },
    { id: dead!.id, status: 'settled', attempt: 3 },
  ]);
  expect(sent).toEqual([]);
});
