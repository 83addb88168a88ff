// What is put aside for its size: told of once, when it is in, and the same reject whenever it is sent again.
import { expect, it, vi } from 'vitest';
import type { Outgoing } from '../../platform/kafka.ts';
import { namespaceOf } from '../../platform/namespace.ts';
import { PlatformError } from '../../platform/platform-error.ts';
import { messageBytesMax } from '../../platform/topic-settings.ts';
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
    setBytes: 1_000_000,
    steadyMs: () => 0,
    limits: async () => messageBytesMax,
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

it('sends nothing more to a topic that was set to take less than what the producer puts together, until it takes that', async () => {
  const tooLarge = new PlatformError(
    'KAFKA_TOO_LARGE',
    'events/0 did not acknowledge: message size too large',
  );
  const sendBatch = vi.fn(async (): Promise<number[]> => []);
  let events = messageBytesMax.events;
  const limits = vi.fn(async () => ({ ...messageBytesMax, events }));
  let steadyMs = 0;
  const ports = {
    ...{ tooLarge: () => expect.unreachable(), setBytes: 1_000_000, limits },
    ...{ now: () => NOW_MS, steadyMs: () => steadyMs },
  };
  const outbox = createOutbox({ sendBatch }, namespaceOf('default'), ports);
  const records = [{ ...recordOf(1, {}), value: '{}' }];
  await outbox.send(records);
  events = 100_000;
  sendBatch.mockRejectedValueOnce(tooLarge);
  await expect(outbox.send(records)).rejects.toBe(tooLarge);
  for (let attempt = 0; attempt < 2; attempt += 1)
    await expect(outbox.send(records)).rejects.toThrow(
      'events takes 100000 bytes at a time (max.message.bytes) and took more when this process began, which puts 1000000 together: nothing is sent until stream is started again, or it takes that',
    );
  expect(sendBatch).toHaveBeenCalledTimes(2);
  events = messageBytesMax.events;
  // One broker tells it; that all have heard takes a moment, however long ago the refusal is.
  steadyMs += 3_600_000;
  for (const laterMs of [0, 4_999]) {
    steadyMs += laterMs;
    await expect(outbox.send(records)).rejects.toThrow('not all brokers may have heard');
  }
  steadyMs += 1;
  for (let lot = 0; lot < 3; lot += 1) await outbox.send(records);
  // Asked once at the first lot, and after each that was not taken.
  expect([sendBatch.mock.calls.length, limits.mock.calls.length]).toEqual([5, 6]);
});

it('sends nothing to a topic that was set to take less before its first lot, since the producer was made', async () => {
  const sendBatch = vi.fn(async (): Promise<number[]> => []);
  const outbox = createOutbox({ sendBatch }, namespaceOf('default'), {
    tooLarge: () => expect.unreachable(),
    setBytes: 1_000_000,
    steadyMs: () => 0,
    limits: async () => ({ ...messageBytesMax, events: 100_000 }),
    now: () => NOW_MS,
  });
  for (let attempt = 0; attempt < 2; attempt += 1)
    await expect(outbox.send([{ ...recordOf(1, {}), value: '{}' }])).rejects.toThrow('puts 1000000 together');
  expect(sendBatch).not.toHaveBeenCalled();
});
