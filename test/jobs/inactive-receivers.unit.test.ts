// A receiver that is disabled or withdrawn while deliveries wait for it: it holds no receipt back, and none of them is forgotten.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Answer, DeliveriesTopicRecord, Delivery } from '../../domain/delivery.ts';
import { createBeginning } from '../../jobs/beginning.ts';
import { WAITING_MAX } from '../../jobs/fresh-delivery.ts';
import type { Attempt } from '../../jobs/send.ts';
import { activeReceiver, deliveryOf, dispatching, manyTriggers } from './dispatching.ts';

const [trigger] = manyTriggers(1);
const toCrm = deliveryOf(trigger!);
const toOther = deliveryOf(trigger!, { receiver: 'other' });

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => void vi.useRealTimers());

/** A writer whose records are in Kafka when they are let through: all at once, as those of one transaction. */
function heldWriter() {
  const written: DeliveriesTopicRecord[] = [];
  let waiting: (() => void)[] = [];
  let isHeld = false;
  return {
    written,
    hold(): void {
      isHeld = true;
    },
    /** Those that wait; what comes then waits in its turn. */
    letThrough(): void {
      for (const resolve of waiting) resolve();
      waiting = [];
    },
    writer: {
      write(records: readonly DeliveriesTopicRecord[]): Promise<void> {
        written.push(...records);
        return isHeld ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve();
      },
    },
  };
}

/** Both are told of the trigger: `crm` takes it, `other` answers as that says. */
async function told(
  answerOfOther: () => Promise<Answer>,
  answerOfCrm: () => Promise<Answer> = async () => ({ status: 200, detail: '' }),
) {
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
  const held = heldWriter();
  const dispatched = dispatching({
    receivers: () => world.receivers,
    metrics: metrics as never,
    sender: {
      send: async ({ url }: Attempt) => (url.includes('other') ? answerOfOther() : answerOfCrm()),
      async close() {},
    },
    disable: async ({ id }) => withdraw(id),
    writer: held.writer,
  });
  const withdraw = (receiver = 'other'): void => {
    world.receivers = world.receivers.filter(({ id }) => id !== receiver);
    dispatched.dispatcher.refresh();
  };
  await dispatched.dispatcher.resume(createBeginning(() => false).beginning);
  await dispatched.dispatcher.take(0, [{ offset: 0, trigger: trigger! }]);
  await vi.advanceTimersByTimeAsync(100);
  const statusesOf = (id: string): string[] =>
    held.written
      .filter((each: DeliveriesTopicRecord) => each.kind === 'delivery' && each.id === id)
      .map((each) => ('status' in each ? each.status : ''));
  return { ...dispatched, ...held, dead, statusesOf, withdraw };
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

// `crm` was concluded between the end of the other attempt and what it had come to: that one was given up, whatever its answer.
it.each([
  [200, 'delivered', []],
  [410, 'dead', [['other', 'gone']]],
])(
  'both answered, the other %i, in one transaction: what came of each is its last',
  async (status, last, counted) => {
    const answers: ((answer: Answer) => void)[] = [];
    const answer = () => new Promise<Answer>((resolve) => answers.push(resolve));
    const { receipts, dead, statusesOf, withdraw, hold, letThrough } = await told(answer, answer);
    const [ofCrm, ofOther] = answers as [(answer: Answer) => void, (answer: Answer) => void];
    hold();
    ofCrm({ status: 200, detail: '' });
    ofOther({ status, detail: '' });
    await vi.advanceTimersByTimeAsync(100);
    withdraw();
    await vi.advanceTimersByTimeAsync(100);
    letThrough();
    await vi.advanceTimersByTimeAsync(200_000);
    expect(statusesOf(toCrm.id)).toEqual(['queued', 'sending', 'delivered']);
    expect(statusesOf(toOther.id)).toEqual(['queued', 'sending', last]);
    expect(dead).toEqual(counted);
    expect(receipts).toHaveLength(1);
  },
);

it('no receipt is written before Kafka has what was given up for it, though the receivers change once more', async () => {
  let answerOfCrm: (answer: Answer) => void = () => {};
  const { dispatcher, receipts, dead, statusesOf, withdraw, hold, letThrough } = await told(
    async () => ({ status: 500, detail: 'no' }),
    () => new Promise((resolve) => (answerOfCrm = resolve)),
  );
  withdraw();
  hold();
  answerOfCrm({ status: 200, detail: '' });
  await vi.advanceTimersByTimeAsync(100);
  letThrough();
  await vi.advanceTimersByTimeAsync(100);
  expect(statusesOf(toOther.id).at(-1)).toBe('dead');
  dispatcher.refresh();
  await vi.advanceTimersByTimeAsync(100);
  expect(receipts).toEqual([]);
  letThrough();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(receipts).toHaveLength(1);
  expect(dead).toEqual([['other', 'inactive']]);
});

/** A leader begins when `other`, for whom something waits a day or is being sent, is not there any more. */
async function begunWithout(change: Partial<Delivery>) {
  const { beginning, take } = createBeginning(() => false);
  take({ ...toCrm, status: 'delivered' });
  take({ ...toOther, dueMs: Date.now() + 86_400_000, ...change });
  const dispatched = dispatching({});
  await dispatched.dispatcher.resume(beginning);
  await vi.advanceTimersByTimeAsync(1_000);
  return dispatched;
}

// Nothing changed any more, so that it held the receipt back until it was due.
it('what waits for one that was withdrawn while nobody led is dead at the beginning', async () => {
  const { written, receipts } = await begunWithout({});
  expect(written).toMatchObject([{ id: toOther.id, status: 'dead' }]);
  expect(receipts).toHaveLength(1);
});

it('an intent at one that was withdrawn while nobody led is waited for', async () => {
  const { written, receipts } = await begunWithout({
    status: 'sending',
    intentLifeMs: 5_000,
    timeoutMs: 5_000,
  });
  expect([written, receipts]).toEqual([[], []]);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(written).toMatchObject([{ id: toOther.id, status: 'dead' }]);
  expect(receipts).toHaveLength(1);
});

// What was given up stood in the queue until its day: each trigger was dead at once, as one too many.
it('of one that comes back, what was given up counts as waiting no more', async () => {
  const { beginning, take } = createBeginning(() => false);
  const many = manyTriggers(WAITING_MAX + 1);
  const fresh = many.pop()!;
  for (const [number, each] of many.entries()) {
    take(deliveryOf(each, { status: 'delivered' }));
    take(deliveryOf(each, { receiver: 'other', dueMs: Date.now() + 86_400_000 - number }));
  }
  const both = ['crm', 'other'].map((id) => activeReceiver(id));
  let receivers = both;
  const { dispatcher, receipts, written } = dispatching({ receivers: () => receivers });
  await dispatcher.resume(beginning);
  receivers = both.slice(0, 1);
  dispatcher.refresh();
  await vi.waitFor(() => expect(receipts.length).toBe(WAITING_MAX), 60_000);
  receivers = both;
  dispatcher.refresh();
  await dispatcher.take(0, [{ offset: 0, trigger: fresh }]);
  const { id } = deliveryOf(fresh, { receiver: 'other' });
  expect(written.find((each) => each.kind === 'delivery' && each.id === id)).toMatchObject({
    status: 'queued',
  });
});
