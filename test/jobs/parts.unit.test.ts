// The small parts of the sender: queues, what it remembers, what it shows.
import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import type { Delivery } from '../../domain/delivery.ts';
import { createDueQueue } from '../../jobs/due-queue.ts';
import { createJobsMetrics } from '../../jobs/metrics.ts';
import { createOwed } from '../../jobs/owed.ts';

function deliveryOf(id: string, change: Partial<Delivery> = {}): Delivery {
  return {
    id,
    receiver: 'crm',
    status: 'queued',
    dueMs: 0,
    createdMs: 0,
    trigger: { id: 't' },
    ...change,
  } as Delivery;
}

describe('a queue', () => {
  it('gives what is due, the earliest first and of equals the first', () => {
    const queue = createDueQueue();
    for (const [id, dueMs] of [
      ['b', 20],
      ['a', 10],
      ['c', 20],
      ['d', 5],
    ] as const)
      queue.add(deliveryOf(id), dueMs);
    const taken: string[] = [];
    for (let next = queue.take(20); 'delivery' in next; next = queue.take(20)) taken.push(next.delivery.id);
    expect(taken).toEqual(['d', 'a', 'b', 'c']);
    queue.add(deliveryOf('e'), 50);
    expect(queue.take(20)).toEqual({ waitMs: 30 });
    expect(queue.size).toBe(1);
  });

  it('keeps of what waits only what is said, in its order', () => {
    const queue = createDueQueue();
    for (const [at, id] of ['a', 'b', 'c'].entries()) queue.add(deliveryOf(id), at);
    queue.keep(({ id }) => id !== 'b');
    expect(queue.size).toBe(2);
    expect([queue.take(5), queue.take(5)]).toMatchObject([
      { delivery: { id: 'a' } },
      { delivery: { id: 'c' } },
    ]);
  });
});

describe('what the leader remembers', () => {
  const deadOf = (number: number, change: Partial<Delivery> = {}): Delivery =>
    deliveryOf(`m${number}`, {
      status: 'dead',
      detail: 'why',
      trigger: { id: `t${number}`, key: 'u:1', expiresMs: 5 } as Delivery['trigger'],
      ...change,
    });

  it('is an outline of the oldest that are dead, bounded too, and knows what is finished', () => {
    const owed = createOwed(20);
    for (let number = 0; number < 10_050; number += 1) owed.put(deadOf(number, { attempt: 3 }));
    expect(owed.triggers()).toHaveLength(10_020);
    expect(['m29', 'm30', 'm49', 'm50', 'm10049'].map(owed.knows)).toEqual([false, true, true, true, true]);
    expect(owed.of('t29')).toBeUndefined();
    const outline = { id: 'm49', receiver: 'crm', status: 'dead', attempt: 3 };
    expect(owed.of('t49')).toEqual({
      ...{ id: 't49', key: 'u:1', expiresMs: 5, isWhole: true },
      deliveries: [outline],
    });
    expect(owed.find(deadOf(49))).toEqual(outline);
    expect(owed.find(deadOf(50))).toEqual(deadOf(50, { attempt: 3 }));

    // What comes of one later stands beside what is known of the others, and is an outline again when it is dead again.
    owed.put(deadOf(49, { id: 'other', receiver: 'other', status: 'queued' }));
    expect(owed.of('t49')?.deliveries.map(({ status }) => status)).toEqual(['dead', 'queued']);
    expect(owed.open(0).get('other')?.count).toBe(1);
    owed.put(deadOf(49, { id: 'other', receiver: 'other', status: 'delivered' }));
    expect(owed.of('t49')?.deliveries).toHaveLength(2);

    owed.finish('t49');
    expect(owed.of('t49')).toBeUndefined();
    expect(['m49', 'other'].map(owed.knows)).toEqual([true, true]);
    expect(['m49', 'other'].map(owed.isFinished)).toEqual([false, true]);
  });

  it('is shown by receiver, and not while another leads', async () => {
    const registry = new Registry();
    const metrics = createJobsMetrics(registry);
    const owed = createOwed();
    owed.put(deliveryOf('m1', { createdMs: 1_000 }));
    owed.put(deliveryOf('m2', { createdMs: 4_000 }));
    owed.put(deliveryOf('m3', { status: 'dead' }));
    metrics.showOpen(() => owed.open(9_000));
    metrics.attempt('crm', 'failed', 20);
    metrics.dead('crm', 'exhausted');
    metrics.leads(true);
    const text = await registry.metrics();
    expect(text).toContain('flywheel_deliveries_open{receiver="crm"} 2');
    expect(text).toContain('flywheel_deliveries_oldest_open_seconds{receiver="crm"} 8');
    expect(text).toContain('flywheel_deliveries_dead_total{receiver="crm",reason="exhausted"} 1');
    expect(text).toContain('flywheel_delivery_attempt_seconds_count{receiver="crm",outcome="failed"} 1');
    metrics.showOpen(null);
    expect(await registry.metrics()).not.toContain('flywheel_deliveries_open{');
  });
});
