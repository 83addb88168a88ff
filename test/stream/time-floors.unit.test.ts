// Settings that remember for longer hold from then on: what was settled, forgotten or closed before is not begun anew.
import { expect, it } from 'vitest';
import { windowFunnel } from '../../domain/funnel.ts';
import { buyersOf } from '../e2e/support/mixed-log.ts';
import { createPartition, definitionValue, PARTITION } from './support/partition.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const START = Date.UTC(2024, 0, 1);
const keys = buyersOf(PARTITION, 12, 'x').filter((key) => key.startsWith('u:'));
const [key] = keys;

/** @param whileMs the watermark that it meets */
function event(id: string, name: string, timestamp: number, whileMs = timestamp, who = key!): string {
  const times = { timestamp, receivedAt: whileMs, supplied: true };
  return JSON.stringify({ kind: 'track', event: name, messageId: id, userId: who.slice(2), ...times });
}

const steps = ['view', 'contact', 'order'];
const rules = steps.map((name) => ({ kind: 'track', event: name, behaviour: name }));

/** A partition that has lived through these by the defaults (10 minutes late, ids for a day, hours for 25). */
function partitionOf(values: readonly string[], funnelWindowMs = HOUR) {
  const partition = createPartition({ sizes: [100], restarts: false }, START + 400 * DAY);
  const funnel = { name: 'f', steps, windowMs: funnelWindowMs };
  partition.run([
    definitionValue('settings', 'default', 1, {}),
    definitionValue('behaviours', 'default', 1, { rules }),
    definitionValue('funnel', 'f', 1, funnel),
    ...values,
  ]);
  const rowsOf = (table: string) => partition.rows.get(table) ?? [];
  return { ...partition, rowsOf, verdicts: () => rowsOf('events').map((row) => row[8]) };
}

it('an hour that was closed keeps its last value', () => {
  const partition = partitionOf([
    ...keys.slice(1, 4).map((who, index) => event(`m${index}`, 'view', START + index, START + index, who)),
    event('z', 'view', START + 30 * HOUR),
    definitionValue('settings', 'default', 2, { latenessMs: 2 * DAY, idMemoryMs: 3 * DAY }),
    event('again', 'view', START + 3, START + 30 * HOUR, keys[4]),
    event('end', 'view', START + 200 * DAY),
  ]);
  const values = partition.rowsOf('funnel_hours').filter((row) => row[2] === START / 1_000);
  expect(values.at(-1)![8]).toEqual([3, 0, 0]);
  expect(partition.verdicts().at(-2)).toBe('late');
});

it('hours that are open still go on, those that were closed do not', () => {
  const partition = partitionOf([
    definitionValue('settings', 'default', 2, { latenessMs: 6 * HOUR, hourRetentionMs: 0 }),
    event('a', 'view', START + 30 * MINUTE),
    event('b', 'view', START + 8 * HOUR, START + 8 * HOUR, keys[1]),
    definitionValue('settings', 'default', 3, { latenessMs: 20 * HOUR, hourRetentionMs: 50 * HOUR }),
    event('c', 'view', START + 2 * HOUR, START + 8 * HOUR, keys[2]),
    event('d', 'view', START + 31 * MINUTE, START + 8 * HOUR, keys[3]),
    event('end', 'view', START + 200 * DAY),
  ]);
  expect(partition.verdicts()).toEqual(['applied', 'applied', 'applied', 'late', 'applied']);
  expect(partition.rowsOf('adjustments')).toEqual([]);
  const hourOf = (hour: number) =>
    partition.rowsOf('funnel_hours').filter((row) => row[2] === START / 1_000 + hour * 3_600);
  expect(hourOf(0).at(-1)![8]).toEqual([1, 0, 0]);
  expect(hourOf(2).at(-1)![8]).toEqual([1, 0, 0]);
});

it('a message is applied once', () => {
  const partition = partitionOf([
    event('a', 'order', START),
    event('b', 'view', START + 30 * HOUR),
    definitionValue('settings', 'default', 2, { latenessMs: 2 * DAY, idMemoryMs: 3 * DAY }),
    event('a', 'order', START, START + 30 * HOUR),
  ]);
  expect(partition.verdicts()).toEqual(['applied', 'applied', 'late']);
});

it('somebody is one visitor a day', () => {
  const partition = partitionOf([
    event('a', 'view', START + 20 * HOUR),
    event('b', 'view', START + 24.5 * HOUR),
    definitionValue('settings', 'default', 2, { latenessMs: 12 * HOUR }),
    event('c', 'view', START + 21 * HOUR, START + 24.5 * HOUR),
    event('end', 'view', START + 40 * DAY),
  ]);
  const days = partition.rowsOf('north_star_days').filter((row) => row[0] === '2024-01-01');
  expect(days.at(-1)![6]).toBe(1);
});

it('a funnel sees whatever is in time', () => {
  const partition = partitionOf(
    [
      event('a', 'view', START),
      event('b', 'order', START + 15 * MINUTE),
      event('c', 'view', START + 40 * MINUTE),
      definitionValue('settings', 'default', 2, { latenessMs: HOUR }),
      event('settled', 'contact', START + 5 * MINUTE, START + 41 * MINUTE),
      event('open', 'contact', START + 32 * MINUTE, START + 41 * MINUTE),
      event('d', 'order', START + 42 * MINUTE),
    ],
    DAY,
  );
  expect(partition.verdicts()).toEqual(['applied', 'applied', 'applied', 'late', 'applied', 'applied']);
  const { behaviours, funnels } = partition.buyer(key!)!;
  expect(funnels[0]!.counted).toBe(windowFunnel({ steps, windowMs: DAY, mode: 'default' }, behaviours));
  expect(funnels[0]!.counted).toBe(3);
});

it('the longer lateness holds for what comes from then on', () => {
  const partition = partitionOf([
    event('a', 'view', START + HOUR),
    definitionValue('settings', 'default', 2, { latenessMs: 2 * HOUR, idMemoryMs: DAY }),
    event('b', 'view', START + 5 * HOUR),
    event('in-time', 'view', START + 3.5 * HOUR, START + 5 * HOUR),
    event('late', 'view', START + 2.9 * HOUR, START + 5 * HOUR),
  ]);
  expect(partition.verdicts()).toEqual(['applied', 'applied', 'applied', 'late']);
});
