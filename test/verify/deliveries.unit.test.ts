// The oracle finds every way in which a delivery may not go, and nothing in those that it may.
import { describe, expect, it } from 'vitest';
import type { DeliveriesTopicRecord, Delivery } from '../../domain/delivery.ts';
import { deliveryIdOf } from '../../platform/delivery-log.ts';
import { namespaceOf } from '../../platform/namespace.ts';
import { Comparison, type Fields } from '../../verify/compare.ts';
import { compareDeliveries } from '../../verify/deliveries.ts';
import type { Scope } from '../../verify/scope.ts';

const AT_MS = Date.UTC(2026, 0, 15);
const trigger: Delivery['trigger'] = {
  id: '1-2-3',
  definition: 'lost-buyer',
  revision: 1,
  on: 'transition',
  key: 'u:1',
  from: 'new',
  to: 'churned',
  timeMs: AT_MS,
  expiresMs: AT_MS + 1_000,
  data: { why: 1 },
};

function at(status: Delivery['status'], attempt: number, change: Partial<Delivery> = {}): Delivery {
  return {
    kind: 'delivery',
    id: deliveryIdOf(namespaceOf('default'), 1, 'crm', trigger.id),
    receiver: 'crm',
    status,
    attempt,
    failures: 0,
    dueMs: AT_MS,
    createdMs: AT_MS,
    atMs: AT_MS,
    answer: 0,
    detail: '',
    intentLifeMs: 0,
    timeoutMs: 0,
    trigger,
    ...change,
  };
}

function replayOf(delivery: Delivery): DeliveriesTopicRecord {
  return { kind: 'replay', id: delivery.id, by: 'team', atMs: AT_MS, delivery };
}

function differencesOf(records: readonly (DeliveriesTopicRecord | null)[], sent = [trigger]): number {
  const comparison = new Comparison();
  const scope = {
    comparison,
    namespace: 'default',
    events: [{ stored: { id: { generation: 1 } } }],
    deliveries: records.map((record, offset) => ({ offset, record })),
  } as unknown as Scope;
  compareDeliveries(scope, new Map(sent.map((each) => [each.id, { ...each } as Fields])));
  return comparison.differenceCount;
}

const dead = at('dead', 1);

describe('a delivery', () => {
  it.each<[string, (DeliveriesTopicRecord | null)[]]>([
    ['is sent and delivered', [at('queued', 0), at('sending', 1), at('delivered', 1)]],
    [
      'is tried again',
      [at('queued', 0), at('sending', 1), at('queued', 1), at('sending', 2), at('delivered', 2)],
    ],
    [
      'is taken over in the middle',
      [at('queued', 0), at('sending', 1), at('sending', 2), at('delivered', 2)],
    ],
    ['says what it waits for', [at('queued', 0), at('queued', 0), at('sending', 1)]],
    ['is acknowledged elsewhere', [at('queued', 0), at('settled', 0)]],
    [
      'is replayed',
      [at('queued', 0), at('sending', 1), dead, replayOf(dead), at('queued', 1), at('sending', 2)],
    ],
    ['begins in the middle, after compaction', [at('delivered', 7)]],
    ['stands beside cursors', [{ kind: 'cursor', partition: 0, next: 1 }, at('queued', 0)]],
  ])('that %s is right', (_case, records) => expect(differencesOf(records)).toBe(0));

  it.each<[string, (DeliveriesTopicRecord | null)[]]>([
    ['an outcome without an intent', [at('queued', 0), at('delivered', 0)]],
    ['an attempt that no intent counts', [at('queued', 0), at('sending', 2)]],
    ['a failure without an attempt', [at('queued', 0), at('queued', 1)]],
    ['an attempt after it was delivered', [at('sending', 1), at('delivered', 1), at('sending', 2)]],
    ['an attempt after it was settled', [at('queued', 0), at('settled', 0), at('sending', 1)]],
    ['a dead one sent again by itself', [at('sending', 1), dead, at('queued', 1)]],
    ['one replay for two', [dead, replayOf(dead), at('queued', 1), at('dead', 1), at('queued', 1)]],
    ['an id of its own making', [at('queued', 0, { id: 'msg_x' })]],
    ['a trigger that changes', [at('queued', 0), at('sending', 1, { trigger: { ...trigger, key: 'u:2' } })]],
    ['garbage', [null]],
  ])('%s is found', (_case, records) => expect(differencesOf(records)).toBeGreaterThan(0));

  it('of a trigger that nobody created is found', () => expect(differencesOf([at('queued', 0)], [])).toBe(1));
});
