// Each way in which somebody could be told too often is found, and what is allowed is not.
import { expect, it } from 'vitest';
import type { Delivery } from '../../domain/delivery.ts';
import { foldAttempts, type Receipts, receiptFaults } from '../../loadtest/faults/receipts.ts';

const delivery = (status: Delivery['status'], attempt: number): Delivery => ({
  kind: 'delivery',
  id: 'msg_1',
  receiver: 'stand-in',
  status,
  attempt,
  failures: 0,
  dueMs: 0,
  createdMs: 0,
  atMs: 0,
  answer: 0,
  detail: '',
  intentLifeMs: 0,
  timeoutMs: 0,
  trigger: {
    id: 't-1',
    definition: 'd',
    revision: 1,
    on: 'opportunity',
    key: 'u:1',
    from: '',
    to: '',
    timeMs: 0,
    expiresMs: 1,
    data: {},
  },
});

const straight = [delivery('queued', 0), delivery('sending', 1), delivery('delivered', 1)];
const takenUpAgain = [
  delivery('queued', 0),
  delivery('sending', 1),
  delivery('sending', 2),
  delivery('delivered', 2),
];

function faultsOf(
  records: readonly Delivery[],
  count: number,
  change: Partial<Receipts> = {},
): readonly string[] {
  return receiptFaults({
    received: new Map([['t-1', new Map([['msg_1', count]])]]),
    attempts: foldAttempts(records),
    triggers: new Set(['t-1']),
    sparesJobs: false,
    ...change,
  });
}

it('a message that came once for each attempt is right, also where its sender was gone', () => {
  expect(faultsOf(straight, 1)).toEqual([]);
  expect(faultsOf(straight, 1, { sparesJobs: true })).toEqual([]);
  expect(faultsOf(takenUpAgain, 2)).toEqual([]);
  // The first intent was never sent.
  expect(faultsOf(takenUpAgain, 1)).toEqual([]);
});

it('a message that came more often than it was attempted is a fault', () => {
  expect(faultsOf(takenUpAgain, 3)).toContain(
    'messages that came more often than they were attempted, 1: msg_1 came 3 times of 2',
  );
});

it('a message that was answered and is told again is a fault, whatever was written of the answer', () => {
  const answeredAgain = [
    delivery('queued', 0),
    delivery('sending', 1),
    { ...delivery('queued', 1), answer: 500 },
    delivery('sending', 2),
    delivery('delivered', 2),
  ];
  expect(faultsOf(answeredAgain, 2)).toEqual([
    'messages told again though they were answered, 1: msg_1 2 times',
  ]);
  expect(faultsOf(answeredAgain, 1)).toEqual([]);
});

it('nobody is told again, and no attempt is cut off, where jobs was spared', () => {
  expect(faultsOf(takenUpAgain, 2, { sparesJobs: true })).toEqual([
    'attempts cut off though jobs was spared, 1: msg_1',
    'messages told again though jobs was spared, 1: msg_1 2 times',
  ]);
});

it('a receiver that did not answer in time may be told again, once for each time', () => {
  const late = [
    delivery('sending', 1),
    delivery('queued', 1),
    delivery('sending', 2),
    delivery('delivered', 2),
  ];
  expect(faultsOf(late, 2, { sparesJobs: true })).toEqual([]);
  expect(faultsOf(late, 3, { sparesJobs: true })).toHaveLength(2);
});

it('a message of a trigger that there is not, of no delivery, or under a second id is a fault', () => {
  expect(faultsOf(straight, 1, { triggers: new Set() })).toEqual([
    'messages of triggers that there are not, 1: t-1',
  ]);
  const received = new Map([
    [
      't-1',
      new Map([
        ['msg_1', 1],
        ['msg_2', 1],
      ]),
    ],
  ]);
  expect(faultsOf(straight, 1, { received })).toEqual([
    'triggers told under more than one id, 1: t-1',
    'messages that no delivery knows, 1: msg_2',
    'messages that came more often than they were attempted, 1: msg_2 came 1 times of 0',
  ]);
});
