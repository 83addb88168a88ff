// More dead deliveries than are remembered whole: an overflow, a receiver that was down for days.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Delivery } from '../../domain/delivery.ts';
import { createBeginning } from '../../jobs/beginning.ts';
import type { DispatchPorts } from '../../jobs/dispatch.ts';
import type { HasExpired } from '../../jobs/expiry.ts';
import { activeReceiver, deliveryOf, dispatching, heldBack, manyTriggers } from './dispatching.ts';

/** By so much more than are remembered whole. */
const MANY = 10_200;

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => void vi.useRealTimers());

function receiving(change: Partial<DispatchPorts> = {}) {
  const world = { receivers: ['crm', 'other'].map((id) => activeReceiver(id)), status: 500 };
  const dispatched = dispatching({
    receivers: () => world.receivers,
    sender: {
      send: async () => ({ status: world.status, detail: 'so it is' }),
      async close() {},
    },
    ...change,
  });
  const lastOf = (id: string) =>
    dispatched.written.filter((each): each is Delivery => each.kind === 'delivery' && each.id === id).at(-1);
  return { ...dispatched, world, lastOf };
}

function deadAtBoth() {
  const { beginning, take } = createBeginning(() => false);
  for (const receiver of ['crm', 'other'])
    for (const trigger of manyTriggers(MANY))
      take(deliveryOf(trigger, { receiver, status: 'dead', attempt: 2, detail: 'so it was' }));
  return beginning;
}

// Of the first ones nothing was left: what was replayed to one receiver was taken for all that there was, and the other never got it.
it('no receipt is written by a replay over what is dead at a receiver that is active, however many are dead', async () => {
  const { dispatcher, world, receipts, lastOf } = receiving();
  await dispatcher.resume(deadAtBoth());
  world.status = 200;
  const [trigger] = manyTriggers(1);
  const asked = { ...deliveryOf(trigger!, { status: 'dead', attempt: 1 }) };
  await dispatcher.replay({ kind: 'replay', id: asked.id, by: 'team', atMs: 0, delivery: asked });
  await vi.advanceTimersByTimeAsync(100);
  // It goes on from what the leader knows, not from what the wish says.
  expect(lastOf(asked.id)).toMatchObject({ status: 'delivered', attempt: 3, trigger });
  expect(receipts).toEqual([]);

  const other = deliveryOf(trigger!, { receiver: 'other', status: 'dead', attempt: 2 });
  await dispatcher.replay({ kind: 'replay', id: other.id, by: 'team', atMs: 0, delivery: other });
  await vi.advanceTimersByTimeAsync(100);
  expect(lastOf(other.id)).toMatchObject({ status: 'delivered', attempt: 3 });
  expect(receipts.map((receipt) => JSON.parse(receipt).trigger)).toEqual(['t0']);
});

it('no receipt is written at a beginning over what is dead at a receiver that is active', async () => {
  const { beginning, take } = createBeginning(() => false);
  for (const trigger of manyTriggers(MANY)) take(deliveryOf(trigger, { receiver: 'other', status: 'dead' }));
  for (const trigger of manyTriggers(MANY)) take(deliveryOf(trigger, { status: 'delivered' }));
  const { dispatcher, receipts } = receiving();
  await dispatcher.resume(beginning);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(receipts).toEqual([]);
});

it('all that a withdrawn receiver held back have their receipts, but those that have expired', async () => {
  let hasExpired: HasExpired = () => false;
  const { dispatcher, world, receipts } = receiving({ expiry: async () => hasExpired });
  const beginning = heldBack(MANY);
  for (const { trigger } of beginning.deliveries.values())
    if (Number(trigger.id.slice(1)) % 100 === 0) Object.assign(trigger, { expiresMs: 7 });
  await dispatcher.resume(beginning);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(receipts).toEqual([]);
  hasExpired = ({ expiresMs }) => expiresMs === 7;
  world.receivers = world.receivers.slice(0, 1);
  dispatcher.refresh();
  await vi.waitFor(() => expect(receipts).toHaveLength((MANY * 99) / 100), 60_000);
  expect(new Set(receipts).size).toBe(receipts.length);
});

it('no receipt is written by a delivery beside which others may stand of which nothing is known', async () => {
  const { dispatcher, world, receipts, lastOf } = receiving();
  await dispatcher.resume(createBeginning(() => false).beginning);
  world.status = 200;
  const asked = deliveryOf(manyTriggers(1)[0]!, { status: 'dead', attempt: 1 });
  await dispatcher.replay({ kind: 'replay', id: asked.id, by: 'team', atMs: 0, delivery: asked });
  await vi.advanceTimersByTimeAsync(100);
  expect(lastOf(asked.id)).toMatchObject({ status: 'delivered', attempt: 2 });
  expect(receipts).toEqual([]);
});
