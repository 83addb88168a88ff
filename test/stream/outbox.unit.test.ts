// What is put aside for its size: told of once, when it is in, and the same reject whenever it is sent again.
import { expect, it } from 'vitest';
import type { Outgoing } from '../../platform/kafka.ts';
import { namespaceOf } from '../../platform/namespace.ts';
import type { OutboxRecord } from '../../stream/batch.ts';
import { createOutbox } from '../../stream/outbox.ts';

const APPEND_MS = Date.UTC(2026, 0, 1);
const NOW_MS = Date.UTC(2026, 5, 1);
const large = 'x'.repeat(1_100_000);

function recordOf(ordinal: number, said: object): OutboxRecord {
  const value = JSON.stringify({ ...said, large });
  return { to: 'events', partition: 0, key: 'u:1', source: `events:1:3:99:${ordinal}`, value };
}

/** An outbox whose producer fails so often first, at an hour that goes on. */
function outboxThatFails(failures: number) {
  const attempts: Outgoing[][] = [];
  const told: string[] = [];
  let nowMs = NOW_MS;
  const producer = {
    sendBatch: async (records: readonly Outgoing[]) => {
      attempts.push([...records]);
      if (attempts.length <= failures) throw new Error('away');
      return [];
    },
  };
  const outbox = createOutbox(producer as never, namespaceOf('default'), {
    tooLarge: (_, { sourceId }) => void told.push(sourceId),
    now: () => (nowMs += 1_000),
  });
  return { attempts, told, outbox };
}

it('is told of once it is in, and never again', async () => {
  const { attempts, told, outbox } = outboxThatFails(2);
  const records = [recordOf(1, { timestamp: APPEND_MS }), recordOf(2, { timestamp: APPEND_MS })];
  for (let attempt = 0; attempt < 2; attempt += 1) await expect(outbox.send(records)).rejects.toThrow('away');
  expect(told).toEqual([]);
  // Once it is in, and once more: an owner that took over sends what another had not cleared.
  for (let attempt = 0; attempt < 2; attempt += 1) await outbox.send(records);
  expect(told).toEqual(['events:1:3:99:1', 'events:1:3:99:2']);
  expect(attempts[3]).toEqual(attempts[0]);
});

it.each([
  ['a forward', { kind: 'forward', appendMs: APPEND_MS, record: { timestamp: 7 } }],
  ['a member’s', { kind: 'member', timestamp: APPEND_MS }],
  ['a trigger', { timeMs: APPEND_MS }],
  ['a merge', { kind: 'merge', base: { lastMs: APPEND_MS }, behaviours: [[7, 'view']] }],
  [
    'a later part of a merge',
    {
      kind: 'merge',
      behaviours: [
        [7, 'view'],
        [APPEND_MS, 'view'],
      ],
    },
  ],
])('has the time that the record names: %s', async (_, said) => {
  const { attempts, outbox } = outboxThatFails(0);
  await outbox.send([recordOf(1, said)]);
  expect(JSON.parse(String(attempts[0]![0]!.value))).toMatchObject({ reason: 'tooLarge', at: APPEND_MS });
});

it('has the time of the sending where the record names none', async () => {
  const { attempts, outbox } = outboxThatFails(0);
  await outbox.send([recordOf(1, { kind: 'merge', base: { lastMs: 0 }, behaviours: [] })]);
  expect(JSON.parse(String(attempts[0]![0]!.value)).at).toBeGreaterThan(NOW_MS);
});
