// The oracle finds every way in which a delivery may not go, and nothing in those that it may.
import { describe, expect, it } from 'vitest';
import type { DeliveriesTopicRecord, Delivery } from '../../domain/delivery.ts';
import { deliveryIdOf } from '../../platform/delivery-log.ts';
import { namespaceOf } from '../../platform/namespace.ts';
import { Comparison } from '../../verify/compare.ts';
import { compareDeliveries } from '../../verify/deliveries.ts';
import type { Scope } from '../../verify/scope.ts';
import { readDeliveriesAndTriggers, type Sources } from '../../verify/snapshot.ts';
import { deliveryOf } from '../jobs/support/delivery.ts';

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
  const id = deliveryIdOf(namespaceOf('default'), 1, 'crm', trigger.id);
  return deliveryOf({ id, status, attempt, trigger, ...change });
}

function replayOf(delivery: Delivery): DeliveriesTopicRecord {
  return { kind: 'replay', id: delivery.id, by: 'team', atMs: AT_MS, delivery };
}

/** What the topic `triggers` holds of these, as it is read. */
function topicOf(triggers: readonly object[]): Scope['triggers'] {
  const records = triggers.map((each, offset) => ({
    offset,
    appendMs: AT_MS,
    key: null,
    value: Buffer.from(JSON.stringify(each)),
    headers: [],
  }));
  return [{ topic: 'triggers', partition: 0, low: 0, high: records.length, records, gaps: [] }];
}

/** Beside a partition of `events` that was read as far as to before the record that the trigger came of. */
function compare(
  read: Pick<Scope, 'deliveries' | 'triggers'>,
  { watermarkMs = AT_MS, end = 1 } = {},
): Comparison {
  const comparison = new Comparison();
  const stored = { id: { generation: 1 }, head: { offset: 1 } };
  const events = [{ stored, walk: { partition: 1, watermarkMs } }];
  const endNow = () => end;
  compareDeliveries({ comparison, namespace: 'default', events, endNow, ...read } as unknown as Scope);
  return comparison;
}

function differencesOf(records: readonly (DeliveriesTopicRecord | null)[], sent = [trigger]): number {
  const deliveries = records.map((record, offset) => ({ offset, record }));
  return compare({ deliveries, triggers: topicOf(sent) }).differenceCount;
}

/** What was told of the trigger, which stands at offset 0. */
function cursor(
  receivers: readonly { readonly id: string; readonly triggers: string[] }[],
  { next = 1, from = 0, topicId }: { next?: number; from?: number; topicId?: string } = {},
): DeliveriesTopicRecord {
  return { kind: 'cursor', partition: 0, next, topicId, taken: { from, receivers: [...receivers] } };
}

/** All of a delivery is taken out of the topic. */
const forgotten: DeliveriesTopicRecord = { kind: 'forgotten', key: at('queued', 0).id };
const dead = at('dead', 1);
const crm = { id: 'crm', triggers: [] };

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

it('of triggers that come while the topics are read is right: each is read after its trigger', async () => {
  const triggers: (typeof trigger)[] = [];
  const deliveries: Scope['deliveries'][number][] = [];
  const comesOne = (): void => {
    const each = { ...trigger, id: `1-${triggers.length}-0` };
    triggers.push(each);
    const id = deliveryIdOf(namespaceOf('default'), 1, 'crm', each.id);
    deliveries.push({ offset: deliveries.length, record: at('queued', 0, { id, trigger: each }) });
  };
  /** One comes before each answer and one behind it. */
  const whileTheyCome = <Answer>(answer: () => Answer): Promise<Answer> => {
    comesOne();
    const answered = answer();
    comesOne();
    return Promise.resolve(answered);
  };
  const read = await readDeliveriesAndTriggers({
    namespace: namespaceOf('default'),
    readDeliveries: () => whileTheyCome(() => [...deliveries]),
    log: {
      watermarks: (topics) =>
        whileTheyCome(
          () => new Map(topics.map((topic) => [topic, [{ partition: 0, low: 0, high: triggers.length }]])),
        ),
      read: (_topic, _partition, from, to) => whileTheyCome(() => topicOf(triggers.slice(from, to))[0]!),
      close: async () => {},
    } satisfies Sources['log'],
  });
  expect(read.deliveries).not.toEqual([]);
  expect(compare(read).differences).toEqual([]);
});

describe('a trigger that was taken', () => {
  it.each<[string, DeliveriesTopicRecord[], number]>([
    ['for the receiver that has it', [at('queued', 0), cursor([crm])], 2],
    ['for nobody who wants it', [cursor([{ id: 'crm', triggers: ['another'] }])], 1],
    ['for one who names it', [at('queued', 0), cursor([{ id: 'crm', triggers: ['lost-buyer'] }])], 2],
    [
      'by several, each from where the one before ended',
      [at('queued', 0), cursor([crm]), cursor([crm], { from: 1, next: 4 })],
      2,
    ],
    ['behind what was compacted away', [cursor([crm], { from: 1, next: 4 })], 0],
    ['by an older version, which does not say for whom', [{ kind: 'cursor', partition: 0, next: 1 }], 0],
    ['not yet', [cursor([crm], { next: 0 })], 0],
    [
      'of a topic made anew, for nobody: what the one before had there was for others',
      [cursor([crm], { topicId: 'before', next: 9 }), cursor([], { topicId: 'anew' })],
      1,
    ],
  ])('%s is right', (_case, records, compared) => {
    const deliveries = records.map((record, offset) => ({ offset, record }));
    const comparison = compare({ deliveries, triggers: topicOf([trigger]) });
    expect(comparison.differences).toEqual([]);
    expect(comparison.compared('deliveries owed')).toBe(compared);
  });

  it.each<[string, DeliveriesTopicRecord[]]>([
    ['and is owed to a receiver for which nothing was queued', [cursor([crm])]],
    ['and is owed to a second receiver, too', [at('queued', 0), cursor([crm, { id: 'mail', triggers: [] }])]],
    ['and was passed over', [cursor([crm], { next: 0 }), cursor([crm], { from: 1, next: 4 })]],
  ])('%s is found', (_case, records) => expect(differencesOf(records)).toBeGreaterThan(0));

  it('by somebody who did not say for whom is counted', () => {
    const deliveries = [{ offset: 0, record: { kind: 'cursor', partition: 0, next: 1 } as const }];
    expect(compare({ deliveries, triggers: topicOf([trigger]) }).leftOut).toEqual([
      expect.objectContaining({ kind: 'deliveries owed', count: 1 }),
    ]);
  });
});

describe('a delivery that is forgotten', () => {
  const expired = { watermarkMs: trigger.expiresMs + 1 };
  const differences = (records: readonly DeliveriesTopicRecord[], world?: Parameters<typeof compare>[1]) =>
    compare(
      {
        deliveries: records.map((record, offset) => ({ offset, record })),
        triggers: topicOf([trigger]),
      },
      world,
    ).differenceCount;
  const owed = [at('queued', 0), cursor([crm]), at('sending', 1), at('delivered', 1)];

  it.each<[string, DeliveriesTopicRecord[]]>([
    ['stood in the topic', [...owed, forgotten]],
    ['is compacted away', [cursor([crm]), forgotten]],
    ['is asked for again, and settled', [...owed, forgotten, at('queued', 0), at('settled', 0)]],
  ])('once its trigger has expired is right: one that %s', (_case, records) =>
    expect(differences(records, expired)).toBe(0),
  );

  it.each<[string, DeliveriesTopicRecord[]]>([
    ['stood in the topic', [...owed, forgotten]],
    ['was never queued', [cursor([crm]), forgotten]],
  ])('while its trigger waits is found: one that %s', (_case, records) => {
    expect(differences(records, { watermarkMs: trigger.expiresMs })).toBeGreaterThan(0);
    // Whether it waited when its partition was read, nobody knows of one that has gone on since.
    expect(differences(records, { end: 2 })).toBe(0);
  });

  it('and compacted away altogether is owed no more by a cursor that took its trigger a second time', () => {
    const deliveries = [{ offset: 0, record: cursor([crm], { from: 1, next: 2 }) }];
    const read = { deliveries, triggers: topicOf([trigger, trigger]) };
    expect(compare(read, expired).differences).toEqual([]);
  });

  it('is no excuse for another: one of an expired trigger that was never queued is found', () =>
    expect(differences([cursor([crm, { id: 'mail', triggers: [] }]), forgotten], expired)).toBe(1));
});
