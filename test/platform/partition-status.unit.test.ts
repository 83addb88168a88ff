// Which partition somebody means, and when one is unhealthy.
import { expect, it } from 'vitest';
import { describeStatus, faultOf } from '../../cli/status.ts';
import { isHeld, noControl } from '../../platform/partition-control.ts';
import { healthOf, partitionNamed } from '../../platform/partition-status.ts';
import {
  UNDELIVERED_BATCHES_MAX,
  UNDELIVERED_BYTES_MAX,
  UNDELIVERED_MS_MAX,
  UNDELIVERED_RECORDS_MAX,
} from '../../platform/undelivered.ts';

it.each([
  ['clicks', '3', 'there is no topic "clicks" with state: name one of events, spend, rejected'],
  ['spend', '4', 'spend has no partition "4": there are 0 to 3'],
  ['events', 'three', 'events has no partition "three": there are 0 to 11'],
  ['events', '-1', 'events has no partition "-1": there are 0 to 11'],
])('%s %s is none, and it is said which there are', (topic, partition, said) => {
  expect(() => partitionNamed(topic, partition)).toThrow(said);
});

const partition = {
  ...({ topic: 'events', partition: 3, owner: '0@host:1', offset: 5, high: 9, lag: 4 } as const),
  ...{
    freshnessMs: 500,
    watermarkMs: 1,
    undelivered: 0,
    undeliveredRecords: 0,
    undeliveredBytes: 0,
    undeliveredMs: 0,
    paused: false,
  },
};

it('is unhealthy without an owner, too far behind, or with too much undelivered; paused is what somebody wants', () => {
  expect(partitionNamed('events', '11')).toEqual({ topic: 'events', partition: 11 });
  expect(healthOf(partition)).toBe('ok');
  expect(healthOf({ ...partition, freshnessMs: 61_000 })).toBe('behind');
  expect(healthOf({ ...partition, freshnessMs: 61_000, paused: true })).toBe('paused');
  // At the owner's own bounds, and not before: many small batches wait for ClickHouse while all is well.
  expect(healthOf({ ...partition, undelivered: UNDELIVERED_BATCHES_MAX - 1 })).toBe('ok');
  expect(healthOf({ ...partition, undelivered: UNDELIVERED_BATCHES_MAX, paused: true })).toBe('undelivered');
  expect(healthOf({ ...partition, undeliveredRecords: UNDELIVERED_RECORDS_MAX - 1 })).toBe('ok');
  expect(healthOf({ ...partition, undeliveredRecords: UNDELIVERED_RECORDS_MAX })).toBe('undelivered');
  expect(healthOf({ ...partition, undeliveredBytes: UNDELIVERED_BYTES_MAX - 1 })).toBe('ok');
  expect(healthOf({ ...partition, undeliveredBytes: UNDELIVERED_BYTES_MAX })).toBe('undelivered');
  expect(healthOf({ ...partition, owner: null, paused: true })).toBe('no owner');
});

// Every insert failed for five minutes, a few batches a partition waited, and status said that all was well.
it('is unhealthy once a batch waits too long for ClickHouse, however few there are, and says how many since when', () => {
  const waiting = { ...partition, undelivered: 70, undeliveredRecords: 1_340, undeliveredMs: 30_000 };
  expect(healthOf({ ...waiting, undeliveredMs: UNDELIVERED_MS_MAX })).toBe('ok');
  expect(healthOf({ ...waiting, undeliveredMs: UNDELIVERED_MS_MAX + 1 })).toBe('undelivered');
  expect(healthOf({ ...waiting, undeliveredMs: UNDELIVERED_MS_MAX + 1, paused: true })).toBe('undelivered');
  const nowMs = Date.UTC(2026, 0, 15, 9, 30, 30);
  expect(faultOf({ ...waiting, health: 'undelivered' }, nowMs)).toBe(
    'events 3: undelivered: 70 batches of 1,340 records wait for ClickHouse or Kafka, since 2026-01-15T09:30:00.000Z',
  );
  expect(faultOf({ ...partition, health: 'behind' }, nowMs)).toBe('events 3: behind');
});

it('is held by a pause, and from the offset of a hold on', () => {
  expect(isHeld(noControl, 5)).toBe(false);
  expect(isHeld({ ...noControl, paused: true }, 0)).toBe(true);
  expect([4, 5, 6].map((offset) => isHeld({ ...noControl, holdAt: 5 }, offset))).toEqual([false, true, true]);
});

it('has colour only in a terminal', () => {
  const { paused: _paused, ...shown } = partition;
  const status = {
    ...{ namespace: 'default', healthy: false, faults: ['events 3: behind'], accounts: [] },
    partitions: [{ ...shown, health: 'behind', rejects: null } as const],
  };
  const [plain, coloured] = [describeStatus(status, false), describeStatus(status, true)];
  expect(plain[3]).toBe(`events 3   behind    4     500 ms            0            ?       5  0@host:1`);
  expect(coloured[3]).toBe(`\u001b[31m${plain[3]}\u001b[0m`);
  expect(plain.at(-1)).toBe('unhealthy: events 3: behind');
  const paused = {
    ...status,
    healthy: true,
    partitions: [{ ...shown, health: 'paused', rejects: 0 } as const],
  };
  expect(describeStatus(paused, false).at(-1)).toBe('all is well, 1 partition is paused');
});
