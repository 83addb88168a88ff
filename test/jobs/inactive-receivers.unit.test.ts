// A receiver that is disabled or withdrawn while deliveries wait for it: it holds no receipt back, and none of them is forgotten.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Answer, DeliveriesTopicRecord } from '../../domain/delivery.ts';
import { createBeginning } from '../../jobs/beginning.ts';
import type { Attempt } from '../../jobs/send.ts';
import { activeReceiver, deliveryOf, dispatching, manyTriggers } from './dispatching.ts';

const [trigger] = manyTriggers(1);
const toCrm = deliveryOf(trigger!);
const toOther = deliveryOf(trigger!, { receiver: 'other' });

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => void vi.useRealTimers());

/** Both are told of the trigger: `crm` takes it, `other` answers as that says. */
async function told(answerOfOther: () => Promise<Answer>) {
  const world = {
    receivers: [
      activeReceiver('crm'),
      activeReceiver('other', { url: 'http://other.example', retryAfterMs: [60_000, 60_000] }),
    ],
  };
  const dead: string[][] = [];
  const metrics = new Proxy(
    {},
    {
      get:
        (_, name) =>
        (...values: string[]) =>
          name === 'dead' && dead.push(values),
    },
  );
  const dispatched = dispatching({
    receivers: () => world.receivers,
    metrics: metrics as never,
    sender: {
      send: async ({ url }: Attempt) =>
        url.includes('other') ? answerOfOther() : { status: 200, detail: '' },
      async close() {},
    },
  });
  await dispatched.dispatcher.resume(createBeginning(() => false).beginning);
  await dispatched.dispatcher.take(0, [{ offset: 0, trigger: trigger! }]);
  await vi.advanceTimersByTimeAsync(100);
  const statusesOf = (id: string): string[] =>
    dispatched.written
      .filter((each: DeliveriesTopicRecord) => each.kind === 'delivery' && each.id === id)
      .map((each) => ('status' in each ? each.status : ''));
  const withdraw = (): void => {
    world.receivers = world.receivers.slice(0, 1);
    dispatched.dispatcher.refresh();
  };
  return { ...dispatched, dead, statusesOf, withdraw };
}

// The receipt was written, and the delivery was queued in the topic for weeks, though nobody would send it.
it('what waits for it is dead before the receipt that it held back is written', async () => {
  const { receipts, dead, statusesOf, withdraw } = await told(async () => ({ status: 500, detail: 'no' }));
  expect([statusesOf(toCrm.id).at(-1), statusesOf(toOther.id).at(-1), receipts]).toEqual([
    'delivered',
    'queued',
    [],
  ]);
  withdraw();
  await vi.advanceTimersByTimeAsync(200_000);
  expect(statusesOf(toOther.id)).toEqual(['queued', 'sending', 'queued', 'dead']);
  expect(dead).toEqual([['other', 'inactive']]);
  expect(receipts).toHaveLength(1);
});

it.each([
  [500, ['queued', 'sending', 'queued', 'dead'], [['other', 'inactive']]],
  [200, ['queued', 'sending', 'delivered'], []],
])('what is being sent to it is waited for, and %i is what came of it', async (status, statuses, counted) => {
  let answer: (answer: Answer) => void = () => {};
  const { receipts, dead, statusesOf, withdraw } = await told(
    () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  );
  withdraw();
  await vi.advanceTimersByTimeAsync(100);
  expect([statusesOf(toOther.id), receipts]).toEqual([['queued', 'sending'], []]);
  answer({ status, detail: '' });
  await vi.advanceTimersByTimeAsync(200_000);
  expect(statusesOf(toOther.id)).toEqual(statuses);
  expect(dead).toEqual(counted);
  expect(receipts).toHaveLength(1);
});
