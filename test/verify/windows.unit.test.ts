// Windows and adjustments by the stream and by the oracle, over logs in which settings change how long windows are held.
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { decodeEvent } from '../../verify/decode.ts';
import { workOut } from '../../verify/people.ts';
import { walk } from '../../verify/watermark.ts';
import { adjustmentsOf, windowsOf } from '../../verify/windows.ts';
import { buyersOf } from '../e2e/support/mixed-log.ts';
import { createPartition, definitionValue, PARTITION, type Partition } from '../stream/support/partition.ts';
import { logOf } from './support/engine-scope.ts';

const MINUTE_MS = 60_000;
const START_MS = Date.UTC(2024, 3, 1);
const APPEND_MS = START_MS + 400 * 86_400_000;
const USERS = buyersOf(PARTITION, 60, 'w').filter((key) => key.startsWith('u:'));

const begin = [
  definitionValue('behaviours', 'default', 1, {
    rules: ['view', 'order'].map((event) => ({ kind: 'track', event, behaviour: event })),
  }),
  definitionValue('funnel', 'f', 1, { name: 'f', steps: ['view', 'order'], windowMs: 60 * MINUTE_MS }),
];

function visit(index: number, minute: number, agoMinutes: number): string {
  const receivedAt = START_MS + minute * MINUTE_MS;
  const timestamp = Math.max(START_MS, receivedAt - agoMinutes * MINUTE_MS);
  const userId = USERS[index % USERS.length]!.slice(2);
  const record = { kind: 'track', event: 'view', messageId: `m${index}`, userId, timestamp, receivedAt };
  return JSON.stringify({
    ...record,
    properties: { country: index % 2 === 0 ? 'DE' : 'FR' },
    supplied: true,
  });
}

function settings(revision: number, hours: number, latenessMinutes: number): string {
  const latenessMs = latenessMinutes * MINUTE_MS;
  const hourRetentionMs = hours * 60 * MINUTE_MS;
  return definitionValue('settings', 'default', revision, {
    latenessMs,
    hourRetentionMs,
    maxCellsPerWindow: 1,
  });
}

type Counts = Record<string, number>;

function add(counts: Counts, hourMs: number, cell: string, value: number): void {
  counts[`${hourMs} ${cell}`] = (counts[`${hourMs} ${cell}`] ?? 0) + value;
}

/** What ClickHouse has in the end, and what is held: the first step by hour and cell. */
function countsOf({ rows, stored }: Partition): { hours: Counts; adjusted: Counts } {
  const hours: Counts = {};
  const adjusted: Counts = {};
  // The last one has the highest version.
  for (const row of rows.get('funnel_hours') ?? []) {
    const [, , start, country, industry, channel, , , steps] = row as [string, number, number, ...unknown[]];
    hours[`${start * 1_000} ${country}|${industry}|${channel}`] = (steps as number[])[0]!;
  }
  for (const line of stored().windows as string[]) {
    const [, hour] = /^funnel:f:1:h(\d+) /.exec(line) ?? [];
    if (hour === undefined) continue;
    const cells = line.slice(line.indexOf(' ') + 1).matchAll(/([^,=][^=]*)=(-?\d+)[-\d,]*/g);
    for (const [, cell, first] of cells) hours[`${Number(hour) * 60 * MINUTE_MS} ${cell}`] = Number(first);
  }
  for (const row of rows.get('adjustments') ?? []) {
    const [series, , start, , , , , country, industry, channel, , amount] = row as (string | number)[];
    if (series === 'funnel:f')
      add(adjusted, Number(start) * 1_000, `${country}|${industry}|${channel}`, Number(amount));
  }
  return { hours, adjusted };
}

function oracleOf(values: readonly string[]): { hours: Counts; adjusted: Counts } {
  const walked = walk(logOf(values, PARTITION, APPEND_MS), decodeEvent);
  const { counts } = workOut(walked, 1).facts;
  const hours: Counts = {};
  const adjusted: Counts = {};
  for (const { grain, bucket, cells } of windowsOf(counts, walked)) {
    if (grain !== 'h') continue;
    for (const [cell, [first]] of cells) hours[`${bucket * 60 * MINUTE_MS} ${cell}`] = first!;
  }
  for (const { count, startMs } of adjustmentsOf(counts, walked))
    if (count.series === 'funnel:f') add(adjusted, startMs, count.cell, 1);
  return { hours, adjusted };
}

const event = fc.record({ afterMinutes: fc.nat(90), agoMinutes: fc.nat(600) });
const change = fc.record({ hours: fc.constantFrom(0, 1, 30), lateness: fc.constantFrom(10, 300, 1_000) });

it('come to the same, and every step that was counted stands once in a window or an adjustment', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof({ weight: 5, arbitrary: event }, change), { maxLength: 40 }), (all) => {
      let minute = 0;
      const values = [settings(1, 0, 10), ...begin];
      for (const [index, one] of all.entries()) {
        if ('hours' in one) {
          values.push(settings(index + 2, one.hours, one.lateness));
          continue;
        }
        minute += one.afterMinutes;
        values.push(visit(index, minute, one.agoMinutes));
      }
      const partition = createPartition({ sizes: [7, 1, 3], restarts: true }, APPEND_MS);
      partition.run(values);
      const found = countsOf(partition);
      expect(found).toEqual(oracleOf(values));
      const sum = (counts: Counts): number => Object.values(counts).reduce((a, b) => a + b, 0);
      const reached = USERS.filter((key) => (partition.buyer(key)?.funnels[0]?.counted ?? 0) > 0).length;
      expect(sum(found.hours) + sum(found.adjusted)).toBe(reached);
    }),
    { numRuns: 300 },
  );
});

it('come to the same below 0: a past takes a step back in a cell that had no seat when it was counted', () => {
  const [first, early, last] = USERS;
  const visitAt = (key: string, messageId: string, country: string, minute: number): string => {
    const receivedAt = START_MS + minute * MINUTE_MS;
    const about = { kind: 'track', event: 'view', messageId, userId: key.slice(2), properties: { country } };
    return JSON.stringify({ ...about, timestamp: receivedAt, receivedAt, supplied: true });
  };
  const cells = (revision: number, maxCellsPerWindow: number): string =>
    definitionValue('settings', 'default', revision, { maxCellsPerWindow });
  const [behaviours, funnel] = begin;
  const beforeMs = START_MS - 60 * MINUTE_MS;
  const past = {
    kind: 'backfill',
    key: early,
    funnel: 'f',
    revision: 1,
    counts: [[0, beforeMs, 'FR|unknown|direct']],
    level: 1,
    spoken: 1,
    levels: [{ level: 1, links: [] }],
    settled: [],
    settledBeforeMs: 0,
    behaviours: [[beforeMs, 'view', '']],
    link: '',
    merged: false,
    nextPart: 1,
  };
  const values = [
    cells(1, 1),
    behaviours!,
    visitAt(early!, 'm1', 'FR', -60),
    funnel!,
    visitAt(first!, 'm2', 'DE', 0),
    visitAt(early!, 'm3', 'FR', 1),
    cells(2, 500),
    JSON.stringify(past),
    visitAt(last!, 'm4', 'DE', 3_000),
  ];
  const partition = createPartition({ sizes: [1], restarts: true }, APPEND_MS);
  partition.run(values);
  const found = countsOf(partition);
  expect(found).toEqual(oracleOf(values));
  expect(found.hours).toMatchObject({
    [`${START_MS} other||`]: 1,
    [`${START_MS} FR|unknown|direct`]: -1,
    [`${beforeMs} FR|unknown|direct`]: 1,
  });
});
