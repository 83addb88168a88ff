// A leader reads weeks of deliveries before it begins, and keeps those of which something may still come.
import { Registry } from 'prom-client';
import { expect, it } from 'vitest';
import type { DeliveryStatus } from '../../domain/delivery.ts';
import { createBeginning } from '../../jobs/beginning.ts';
import { createJobsMetrics } from '../../jobs/metrics.ts';
import { deliveryOf, dispatching, triggerOf } from './dispatching.ts';

const EXPIRES_MS = 1_000;

function recordOf(id: string, status: DeliveryStatus, expiresMs = EXPIRES_MS) {
  return deliveryOf({ ...triggerOf(id, 0), expiresMs }, { status });
}

function begun() {
  return createBeginning(({ expiresMs }) => expiresMs <= EXPIRES_MS);
}

it('keeps what is open, dead or not expired, and of the rest the ids', () => {
  const { beginning, take } = begun();
  const over = ['delivered', 'settled'] as const;
  const kept = (['queued', 'sending', 'dead'] as const).map((status) => recordOf(status, status));
  const fresh = over.map((status) => recordOf(`fresh-${status}`, status, EXPIRES_MS + 1));
  const old = over.map((status) => recordOf(`old-${status}`, status));
  for (const record of [...kept, ...old, ...fresh]) take(record);
  expect([...beginning.deliveries.values()]).toEqual([...kept, ...fresh]);
  expect([...beginning.finished]).toEqual(old.map(({ id }) => id));

  // Its trigger came again, from an older Redis; and what is forgotten is gone.
  take({ ...old[0]!, status: 'queued' });
  take({ kind: 'forgotten', key: old[1]!.id });
  expect([beginning.deliveries.has(old[0]!.id), [...beginning.finished]]).toEqual([true, []]);
});

it('is bounded, however much was delivered', () => {
  const { beginning, take } = begun();
  const one = recordOf('one', 'sending');
  for (let number = 0; number < 250_000; number += 1) {
    take({ ...one, id: `msg_${number}` });
    take({ ...one, id: `msg_${number}`, status: 'delivered' });
  }
  expect(beginning.deliveries.size).toBe(0);
  expect(beginning.finished.size).toBe(200_000);
});

it('what is finished is not taken again', async () => {
  const { beginning, take } = begun();
  const { trigger } = recordOf('again', 'delivered');
  take(recordOf('again', 'delivered'));
  const { dispatcher, written } = dispatching({});
  await dispatcher.resume(beginning);
  await dispatcher.take(0, [{ offset: 5, trigger }], 'topic');
  expect(written).toMatchObject([{ kind: 'cursor', next: 6, topicId: 'topic' }]);
});

// They stood in the figures of a process that led no more, older and older, until it was restarted.
it('shows nothing that is open once it has failed', async () => {
  const { beginning, take } = begun();
  take(recordOf('open', 'queued'));
  const dead = recordOf('dead', 'dead');
  take(dead);
  take({ kind: 'replay', id: dead.id, by: 'team', atMs: 0, delivery: dead });
  const registry = new Registry();
  const metrics = createJobsMetrics(registry);
  const writer = { write: () => Promise.reject(new Error('fenced')) };
  const { dispatcher } = dispatching({ metrics, writer });
  await expect(dispatcher.resume(beginning)).rejects.toThrow('fenced');
  expect(await registry.metrics()).not.toMatch(/^flywheel_deliveries_(open|oldest_open_seconds)[{]/m);
});
