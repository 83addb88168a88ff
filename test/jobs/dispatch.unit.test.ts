// The leader's work where partitions cannot be asked.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createBeginning } from '../../jobs/beginning.ts';
import type { HasExpired } from '../../jobs/expiry.ts';
import { createPendingCheck } from '../../jobs/pending.ts';
import { IntentOver } from '../../jobs/send.ts';
import type { Producer } from '../../platform/kafka.ts';
import { activeReceiver, deliveryOf, dispatching, heldBack, partitions, triggerOf } from './dispatching.ts';

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
  const many = Array.from({ length: 3_000 }, (_none, number) => ({
    ...triggerOf(`many-${number}`, 0),
    expiresMs: number < 1_500 ? 2 : 1,
  }));
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

// All receipts were handed to Kafka's client at once, and again at each further change.
it('writes the receipts that a withdrawn receiver held back some at a time, each once', async () => {
  const waiting: (() => void)[] = [];
  const receipts: string[] = [];
  let most = 0;
  let receivers = ['crm', 'other'].map((id) => activeReceiver(id));
  const { dispatcher } = dispatching({
    receivers: () => receivers,
    producer: {
      sendBatch: (messages: { value: string }[]) =>
        new Promise<number[]>((resolve) => {
          receipts.push(JSON.parse(messages[0]!.value).trigger);
          waiting.push(() => resolve([0]));
          most = Math.max(most, waiting.length);
        }),
    } as unknown as Producer,
  });
  await dispatcher.resume(heldBack(3_000));
  await vi.advanceTimersByTimeAsync(1_000);
  expect(receipts).toEqual([]);
  receivers = receivers.slice(0, 1);
  for (let change = 0; change < 5; change += 1) dispatcher.refresh();
  await vi.waitFor(() => {
    for (const acknowledge of waiting.splice(0)) acknowledge();
    expect(receipts).toHaveLength(3_000);
  }, 60_000);
  expect(most).toBe(500);
  expect(new Set(receipts).size).toBe(3_000);
});

it('answers nothing by a change of receivers of which it is still being asked whether it waits', async () => {
  const { beginning, take } = createBeginning(() => false);
  take(deliveryOf(triggerOf('one', 0), { status: 'delivered' }));
  const { dispatcher, receipts } = dispatching({ pending: { standing: async () => 'unknown' } });
  await dispatcher.resume(beginning);
  dispatcher.refresh();
  await vi.advanceTimersByTimeAsync(100);
  expect(receipts).toEqual([]);
});

// Two transactions and a handshake every 0.7 s for each slot, until the trigger expired: no failure was counted, so nothing ended it.
it('what connects more slowly than an intent lives takes an intent later and later, and is sent once it connects in time', async () => {
  let connects = false;
  const { dispatcher, written } = dispatching({
    sender: {
      async send() {
        await new Promise((resolve) => setTimeout(resolve, 700));
        if (!connects) throw new IntentOver();
        return { status: 200, detail: '' };
      },
      async close() {},
    },
  });
  await dispatcher.resume(createBeginning(() => false).beginning);
  await dispatcher.take(0, [{ offset: 0, trigger: triggerOf('slow', 0) }]);
  await vi.advanceTimersByTimeAsync(60_000);
  const deliveries = () => written.filter((each) => each.kind === 'delivery');
  expect(deliveries().filter(({ status }) => status === 'sending')).toHaveLength(6);
  const { status, failures, attempt, dueMs, atMs } = deliveries().at(-1)!;
  expect([status, failures, attempt, dueMs - atMs]).toEqual(['queued', 0, 6, 30_000]);
  connects = true;
  await vi.advanceTimersByTimeAsync(31_000);
  expect(deliveries().at(-1)).toMatchObject({ status: 'delivered', attempt: 7 });
});
