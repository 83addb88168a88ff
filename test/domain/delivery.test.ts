import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  answered,
  type Delivery,
  type DeliveryStatus,
  isMeantFor,
  isReceiptDue,
  retryAfterMs,
} from '../../domain/delivery.ts';
import { receiver as receiverSchema } from '../../domain/receiver-definition.ts';

const NOW_MS = Date.UTC(2026, 0, 15, 12);
const crm = receiverSchema.parse({ name: 'crm', url: 'https://crm.example/', secret: 'crm' });

function deliveryOf(change: Partial<Delivery> = {}): Delivery {
  return {
    kind: 'delivery',
    id: 'msg_1',
    receiver: 'crm',
    status: 'sending',
    attempt: 1,
    failures: 0,
    dueMs: NOW_MS,
    createdMs: NOW_MS,
    atMs: NOW_MS,
    answer: 0,
    detail: '',
    intentLifeMs: 10_000,
    timeoutMs: 15_000,
    trigger: {
      id: '1-2-3',
      definition: 'lost-buyer',
      revision: 1,
      on: 'transition',
      key: 'u:1',
      from: 'new',
      to: 'churned',
      timeMs: NOW_MS,
      expiresMs: NOW_MS + 1_000,
      data: {},
    },
    ...change,
  };
}

const answer = (status: number, retryAfter?: string) => ({ status, retryAfter, detail: 'said' });

describe('an answer', () => {
  it.each([200, 201, 204, 299])('%i delivers', (status) => {
    expect(answered(deliveryOf(), answer(status), crm, NOW_MS, 0)).toMatchObject({
      status: 'delivered',
      detail: '',
    });
  });

  it('410 is final, whatever is left of the schedule', () => {
    expect(answered(deliveryOf(), answer(410), crm, NOW_MS, 0)).toMatchObject({
      status: 'dead',
      answer: 410,
    });
  });

  it.each([0, 199, 301, 302, 400, 404, 429, 500, 503])('%i is tried again', (status) => {
    expect(answered(deliveryOf(), answer(status), crm, NOW_MS, 0)).toMatchObject({
      status: 'queued',
      failures: 1,
      dueMs: NOW_MS + 5_000,
    });
  });

  it('follows the schedule of Standard Webhooks to its end, then it is dead', () => {
    let delivery = deliveryOf();
    const pauses: number[] = [];
    for (let at = NOW_MS; delivery.status !== 'dead'; at = delivery.dueMs) {
      delivery = answered({ ...delivery, status: 'sending' }, answer(500), crm, at, 0);
      if (delivery.status === 'queued') pauses.push(delivery.dueMs - at);
    }
    expect(pauses).toEqual(crm.retryAfterMs);
    expect(pauses).toHaveLength(9);
  });

  it('is never repeated before what Retry-After and the schedule say, nor more than a fifth after the later one', () => {
    fc.assert(
      fc.property(
        fc.nat(8),
        fc.nat(200_000),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (failures, seconds, chance) => {
          const { dueMs } = answered(
            deliveryOf({ failures }),
            answer(429, String(seconds)),
            crm,
            NOW_MS,
            chance,
          );
          const least = Math.max(crm.retryAfterMs[failures]!, Math.min(seconds * 1_000, 86_400_000));
          expect(dueMs - NOW_MS).toBeGreaterThanOrEqual(least);
          expect(dueMs - NOW_MS).toBeLessThanOrEqual(Math.max(least, crm.retryAfterMs[failures]! * 1.2) + 1);
        },
      ),
    );
  });

  it('keeps the id, the trigger and the number of attempts', () => {
    const before = deliveryOf({ attempt: 4 });
    const { id, trigger, attempt } = answered(before, answer(500), crm, NOW_MS, 0.5);
    expect({ id, trigger, attempt }).toEqual({ id: before.id, trigger: before.trigger, attempt: 4 });
  });
});

describe('Retry-After', () => {
  it.each<[string | undefined, number]>([
    [undefined, 0],
    ['120', 120_000],
    ['0', 0],
    ['-5', 0],
    ['soon', 0],
    ['Thu, 15 Jan 2026 12:00:30 GMT', 30_000],
    ['Thu, 15 Jan 2026 11:00:00 GMT', 0],
    ['99999999999999999999', 86_400_000],
  ])('%s is %i ms', (header, ms) => expect(retryAfterMs(header, NOW_MS)).toBe(ms));
});

describe('a receipt', () => {
  const group = (...statuses: DeliveryStatus[]) =>
    statuses.map((status, number) => deliveryOf({ id: `msg_${number}`, receiver: `r${number}`, status }));
  const all = () => true;

  it('is due when every active receiver has answered, and one at least', () => {
    expect(isReceiptDue(group('delivered', 'delivered'), all)).toBe(true);
    for (const other of ['queued', 'sending', 'dead', 'settled'] as const)
      expect(isReceiptDue(group('delivered', other), all), other).toBe(false);
    expect(isReceiptDue(group('dead', 'settled'), all)).toBe(false);
    expect(isReceiptDue(group('delivered', 'dead'), (receiver) => receiver === 'r0')).toBe(true);
    expect(isReceiptDue(group('queued', 'dead'), () => false)).toBe(false);
  });
});

describe('a receiver', () => {
  it('gets the triggers that it names, all if it names none, and nothing while it is disabled', () => {
    const { trigger } = deliveryOf();
    expect(isMeantFor(crm, trigger)).toBe(true);
    expect(isMeantFor({ ...crm, triggers: ['lost-buyer'] }, trigger)).toBe(true);
    expect(isMeantFor({ ...crm, triggers: ['other'] }, trigger)).toBe(false);
    expect(isMeantFor({ ...crm, status: 'disabled' }, trigger)).toBe(false);
  });
});
