// What a leader does of old deliveries: no question at its start, and out of the topic with them, but never too early.
import { describe, expect, it } from 'vitest';
import type { DeliveriesTopicRecord, Delivery, DeliveryStatus } from '../../domain/delivery.ts';
import { partitionOf } from '../../domain/hash.ts';
import { createBeginning } from '../../jobs/beginning.ts';
import { createDispatcher, type DispatchPorts } from '../../jobs/dispatch.ts';
import { type HasExpired, readExpiry } from '../../jobs/expiry.ts';
import { createForgettable, forgetOnce } from '../../jobs/forget.ts';
import { emptyDeliveryFold, foldDelivery } from '../../platform/delivery-log.ts';
import { buyerPartition } from '../../platform/keys.ts';
import { namespaceOf, topicPartitions } from '../../platform/namespace.ts';
import { deliveryOf } from './support/delivery.ts';

const AT_MS = Date.UTC(2026, 0, 1);
const DAY_MS = 86_400_000;
const WEEK_MS = 7 * DAY_MS;
const EXPIRES_MS = AT_MS + WEEK_MS;
const BUYER = 'u:1';
const partition = partitionOf(BUYER, topicPartitions.triggers);

function delivery(id: string, status: DeliveryStatus, expiresMs = EXPIRES_MS): Delivery {
  const trigger = {
    id: `trigger-${id}`,
    definition: 'lost-buyer',
    revision: 1,
    on: 'transition' as const,
    key: BUYER,
    from: 'new',
    to: 'churned',
    timeMs: AT_MS,
    expiresMs,
    data: {},
  };
  return deliveryOf({ id, status, attempt: 1, answer: 200, trigger });
}

const cursor = (of = partition): DeliveriesTopicRecord => ({ kind: 'cursor', partition: of, next: 1 });
/** The state of all partitions at this watermark. */
const at =
  (watermarkMs: number): HasExpired =>
  ({ expiresMs }, agoMs = 0) =>
    watermarkMs > expiresMs + agoMs;
const LONG_AFTER = at(EXPIRES_MS + WEEK_MS + 1);

function forgettable(records: readonly DeliveriesTopicRecord[], hasExpired = LONG_AFTER): string[] {
  const found = createForgettable(hasExpired, { from: 0, keptMax: 1_000 });
  for (const [offset, record] of records.entries()) found.take(record, offset);
  expect(found.fullAt()).toBeNull();
  return found.keys();
}

describe('a leader that begins', () => {
  async function begin(hasExpired: HasExpired): Promise<string[]> {
    // As read while nothing could be known of the partitions.
    const { beginning, take } = createBeginning(() => false);
    for (let n = 0; n < 400; n += 1) {
      take(delivery(`old-${n}`, n % 2 === 0 ? 'delivered' : 'dead'));
      take(delivery(`new-${n}`, 'delivered', EXPIRES_MS + WEEK_MS));
    }
    const asked: string[] = [];
    const ports = {
      pending: {
        standing: async ({ id }: { id: string }) => {
          asked.push(id);
          return 'gone';
        },
      },
      expiry: async () => hasExpired,
      metrics: { showOpen() {} },
      receivers: () => [],
      // The wall clock is far beyond both: it says nothing of a namespace that is replayed.
      nowMs: () => AT_MS + 1_000 * DAY_MS,
      monotonicMs: () => 0,
      signal: new AbortController().signal,
      fail: (error: Error) => expect.unreachable(error.message),
    } as unknown as DispatchPorts;
    const dispatcher = createDispatcher(ports);
    await dispatcher.resume(beginning);
    await dispatcher.drain();
    return asked;
  }

  it('asks nothing of triggers that have expired by their watermark, and of all others', async () => {
    const asked = await begin(at(EXPIRES_MS + 1));
    expect(asked).toHaveLength(400);
    expect(asked.every((id) => id.startsWith('trigger-new-'))).toBe(true);
    expect(await begin(at(EXPIRES_MS))).toHaveLength(800);
  });
});

describe('what has expired', () => {
  it('is judged by the watermark of the buyer’s own partition', async () => {
    const namespace = namespaceOf('default');
    const watermarks = new Array<string | null>(topicPartitions.events).fill(null);
    const hget = async (head: string) => watermarks[Number(/\.(\d+)\./.exec(head)![1])]!;
    const redis = { hget } as unknown as Parameters<typeof readExpiry>[0]['redis'];
    const trigger = { key: BUYER, expiresMs: EXPIRES_MS };
    expect((await readExpiry({ redis, namespace, generation: 1 }))(trigger)).toBe(false);
    watermarks.fill(String(EXPIRES_MS + DAY_MS));
    watermarks[buyerPartition(BUYER)] = String(EXPIRES_MS);
    expect((await readExpiry({ redis, namespace, generation: 1 }))(trigger)).toBe(false);
    watermarks[buyerPartition(BUYER)] = String(EXPIRES_MS + 2);
    const hasExpired = await readExpiry({ redis, namespace, generation: 1 });
    expect([hasExpired(trigger), hasExpired(trigger, 1), hasExpired(trigger, 2)]).toEqual([
      true,
      true,
      false,
    ]);
  });
});

describe('out of the topic', () => {
  const over = [delivery('a', 'delivered'), delivery('b', 'dead'), delivery('c', 'settled')];

  it('go deliveries that are over and wishes, a week behind their end, once two cursors have passed them', () => {
    const wish = { kind: 'replay', id: 'b', by: 'team', atMs: AT_MS, delivery: over[1]! } as const;
    const all = [...over, wish, cursor(), cursor()];
    expect(forgettable(all)).toEqual(['a', 'b', 'c', 'replay:b']);
    expect(forgettable(all, at(EXPIRES_MS + WEEK_MS))).toEqual([]);
  });

  it.each<[string, DeliveriesTopicRecord[]]>([
    ['is open', [delivery('a', 'delivered'), delivery('a', 'queued'), cursor(), cursor()]],
    ['the last cursor may have passed', [delivery('a', 'delivered'), cursor()]],
    [
      'only cursors of other partitions have passed',
      [delivery('a', 'delivered'), cursor(), cursor(partition + 1)],
    ],
    ['has changed behind the cursors', [cursor(), delivery('a', 'delivered'), cursor()]],
    ['is forgotten', [delivery('a', 'delivered'), { kind: 'forgotten', key: 'a' }, cursor(), cursor()]],
  ])('goes none that %s', (_case, records) => expect(forgettable(records)).toEqual([]));

  it('all are written, in bounded transactions, and folded they are gone', async () => {
    const fold = emptyDeliveryFold();
    const records = [
      ...Array.from({ length: 1_200 }, (_, n) => delivery(`${n}`, 'delivered')),
      delivery('open', 'queued'),
      cursor(),
      cursor(),
    ];
    for (const record of records) foldDelivery(fold, record);
    const sizes: number[] = [];
    let counted = 0;
    await forgetOnce(
      {
        eachRecord: async (each) => {
          for (const [offset, record] of records.entries()) each(record, offset);
        },
        expiry: async () => LONG_AFTER,
        writer: {
          async write(some) {
            sizes.push(some.length);
            for (const record of some) foldDelivery(fold, record);
          },
        },
        metrics: {
          forgot: (keys) => {
            counted += keys;
          },
        },
        warn: (message) => expect.unreachable(message),
      },
      new AbortController().signal,
    );
    expect(sizes).toEqual([500, 500, 200]);
    expect(counted).toBe(1_200);
    expect([...fold.deliveries.keys()]).toEqual(['open']);
  });

  it('all go by several readings, of which each keeps no more in mind than it may', async () => {
    const topic: DeliveriesTopicRecord[] = [
      ...Array.from({ length: 250_000 }, (_, n) => delivery(`${n}`, n % 2 === 0 ? 'delivered' : 'dead')),
      ...Array.from({ length: 3 }, (_, n) => delivery(`young-${n}`, 'delivered', EXPIRES_MS + WEEK_MS)),
      cursor(),
      cursor(),
      delivery('behind', 'delivered'),
    ];
    const forgotten: number[] = [];
    await forgetOnce(
      {
        async eachRecord(each) {
          forgotten.push(0);
          for (const [offset, record] of topic.entries()) each(record, offset);
        },
        expiry: async () => LONG_AFTER,
        writer: {
          async write(some) {
            forgotten[forgotten.length - 1]! += some.length;
            topic.push(...some);
          },
        },
        metrics: { forgot() {} },
        warn: (message) => expect.unreachable(message),
      },
      new AbortController().signal,
    );
    expect(forgotten).toEqual([100_000, 100_000, 50_000]);
    const fold = emptyDeliveryFold();
    for (const record of topic) foldDelivery(fold, record);
    expect([...fold.deliveries.keys()]).toEqual(['young-0', 'young-1', 'young-2', 'behind']);
  });
});
