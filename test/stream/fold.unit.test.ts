// What must hold of any log, tried on thousands of small ones: cuts change nothing, levels are ClickHouse's,
// counts add up to the levels, timers are set for the future.
import { array, assert, constantFrom, integer, oneof, property, record } from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FunnelMode } from '../../domain/funnel.ts';
import { windowFunnel } from '../../domain/funnel.ts';
import { columns } from '../../stream/rows.ts';
import { buyersOf } from '../e2e/support/mixed-log.ts';
import {
  type Cuts,
  createPartition,
  definitionValue,
  PARTITION,
  type Partition,
} from './support/partition.ts';

const RUNS = 150;
const MINUTE_MS = 60_000;
const START_MS = Date.UTC(2024, 3, 1, 22);
const APPEND_MS = START_MS + 400 * 86_400_000;
const LATENESS_MINUTES = 10;
const NAMES = ['view', 'contact', 'inquiry', 'order', 'fulfil', 'other'];
const BUYERS = buyersOf(PARTITION, 3, 'b');
const MODES: FunnelMode[] = ['default', 'strict_order', 'strict_increase', 'strict_order+strict_increase'];

const settings = {
  latenessMs: LATENESS_MINUTES * MINUTE_MS,
  maxCellsPerWindow: 2,
  minuteRetentionMs: 5 * MINUTE_MS,
  hourRetentionMs: 30 * MINUTE_MS,
  dayRetentionMs: 60 * MINUTE_MS,
  timersPerCommit: 1,
  triggerTtlMs: 90 * MINUTE_MS,
  maxPendingTriggers: 3,
};
const lifecycle = { retainedAfterMs: 20 * MINUTE_MS, churnedAfterMs: 45 * MINUTE_MS };
const opportunity = { subject: ['category'], closeAfterMs: 50 * MINUTE_MS, qualifiedAt: 0.4 };
const funnel = (mode: FunnelMode, windowMinutes: number) => ({
  name: mode,
  steps: ['view', 'contact', 'order'],
  windowMs: windowMinutes * MINUTE_MS,
  mode,
});

/** The definitions that every log begins with. */
function definitions(own: object): string[] {
  return [
    definitionValue('settings', 'default', 1, { ...settings, ...own }),
    definitionValue('behaviours', 'default', 1, {
      rules: NAMES.slice(0, 5).map((event) => ({ kind: 'track', event, behaviour: event })),
    }),
    definitionValue('lifecycle', 'default', 1, lifecycle),
    definitionValue('opportunity', 'default', 1, opportunity),
    definitionValue('score', 'one', 1, {
      name: 'one',
      horizonMs: MINUTE_MS,
      halfLifeMs: 7 * MINUTE_MS,
      intercept: 0,
      engagement: {},
    }),
    definitionValue('trigger', 'stages', 1, {
      name: 's',
      on: 'transition',
      to: ['new', 'mature', 'churned'],
    }),
    definitionValue('trigger', 'found', 1, { name: 'f', on: 'opportunity', to: ['opened', 'qualified'] }),
    ...MODES.map((mode) => definitionValue('funnel', mode.replace('+', '-'), 1, funnel(mode, 30))),
  ];
}

interface Happening {
  readonly buyer: string;
  readonly name: string;
  /** How far the marketplace's clock has gone on since the one before. */
  readonly stepMinutes: number;
  /** How late it arrives. */
  readonly delayMinutes: number;
  readonly country: string;
  readonly repeatsId: boolean;
}
const happening = record<Happening>({
  buyer: constantFrom(...BUYERS),
  name: constantFrom(...NAMES),
  stepMinutes: constantFrom(0, 0, 1, 2, 5, 12, 70),
  delayMinutes: constantFrom(0, 0, 0, 1, 3, 9, 10, 11),
  country: constantFrom('DE', 'FR', 'BR'),
  repeatsId: integer({ min: 0, max: 9 }).map((number) => number === 0),
});

function valuesOf(happenings: readonly Happening[]): string[] {
  let nowMs = START_MS;
  return happenings.map((one, index) => {
    nowMs += one.stepMinutes * MINUTE_MS;
    const timestamp = nowMs - one.delayMinutes * MINUTE_MS;
    const who = one.buyer.startsWith('u:')
      ? { userId: one.buyer.slice(2) }
      : { anonymousId: one.buyer.slice(2) };
    const messageId = `m${one.repeatsId ? Math.max(0, index - 1) : index}`;
    const properties = { country: one.country, category: one.country, quantity: index * 50 };
    const times = { timestamp, receivedAt: nowMs, supplied: true };
    return JSON.stringify({ kind: 'track', event: one.name, messageId, ...who, properties, ...times });
  });
}

const clock = (time: number): string => JSON.stringify({ kind: 'clock', time, supplied: true });
const whole: Cuts = { sizes: [10_000], restarts: false };

function appliedOf(partition: Partition): { key: string; timeMs: number; behaviour: string }[] {
  const at = (name: string): number => columns.events.indexOf(name);
  return (partition.rows.get('events') ?? [])
    .filter((row) => row[at('verdict')] === 'applied' && row[at('behaviour')] !== '')
    .map((row) => ({
      key: row[at('key')] as string,
      timeMs: row[at('time')] as number,
      behaviour: row[at('behaviour')] as string,
    }));
}

/**
 * A table as ClickHouse has it in the end: an aggregate is the last row of its cell, whatever came before it. Windows that close
 * together close in any order, so that nothing is said of the order of cells nor of their versions.
 */
function tableOf({ rows }: Partition, table: string): unknown {
  const made = rows.get(table);
  if (table !== 'funnel_hours' && table !== 'north_star_days') return made;
  const values = columns[table].indexOf('partition') + 1;
  return new Map(made?.map((row) => [row.slice(0, values).join(' '), row.slice(values, -1)]));
}

/** Something that changes what is in force, or moves the watermark by itself. */
const change = oneof(
  constantFrom(
    definitionValue('settings', 'default', 2, { ...settings, latenessMs: 4 * MINUTE_MS }),
    definitionValue('settings', 'default', 3, { ...settings, hourRetentionMs: 0, timersPerCommit: 3 }),
    definitionValue('lifecycle', 'default', 2, { ...lifecycle, churnedAfterMs: MINUTE_MS }),
    definitionValue('opportunity', 'default', 2, { ...opportunity, closeAfterMs: MINUTE_MS }),
    definitionValue('funnel', 'strict_order', 2, funnel('strict_order', 10)),
    definitionValue('funnel', 'default', 2, funnel('default', 10)),
    definitionValue('funnel', 'late', 1, funnel('strict_increase', 200)),
  ),
  integer({ min: 0, max: 300 }).map((minutes) => clock(START_MS + minutes * MINUTE_MS)),
  constantFrom('{"kind":', '{"kind":"track"}'),
  record({ offset: integer({ min: 12, max: 40 }), ordinal: integer({ min: 0, max: 8 }) }).map(
    ({ offset, ordinal }) =>
      JSON.stringify({
        kind: 'receipt',
        messageId: `r${offset}-${ordinal}`,
        key: BUYERS[0],
        trigger: `${PARTITION}-${offset}-${ordinal}`,
        timestamp: START_MS,
      }),
  ),
);

describe('a partition', { timeout: 60_000 }, () => {
  it('comes to the same state, rows and records wherever it is cut and taken over', () => {
    const cut = record<Cuts>({
      sizes: array(integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 }),
      restarts: constantFrom(true, false),
    });
    const caps = constantFrom(
      {},
      { maxIdsPerBuyer: 10, maxBehavioursPerBuyer: 10, maxOpportunitiesPerBuyer: 1 },
    );
    const logs = array(oneof({ weight: 8, arbitrary: happening }, { weight: 2, arbitrary: change }), {
      minLength: 5,
      maxLength: 60,
    });
    assert(
      property(logs, cut, caps, (entries, cuts, own) => {
        const happenings = entries.filter((entry): entry is Happening => typeof entry !== 'string');
        const values = valuesOf(happenings);
        let next = 0;
        const log = entries.map((entry) => (typeof entry === 'string' ? entry : values[next++]!));
        const all = [...definitions(own), ...log];
        const one = createPartition(whole, APPEND_MS);
        one.run(all);
        const other = createPartition(cuts, APPEND_MS);
        other.run(all);
        expect(other.stored()).toEqual(one.stored());
        expect(other.sent).toEqual(one.sent);
        for (const table of new Set([...one.rows.keys(), ...other.rows.keys()]))
          expect(tableOf(other, table), table).toEqual(tableOf(one, table));
      }),
      { numRuns: RUNS },
    );
  });

  it('brings each buyer to the level of windowFunnel over what was applied, in all modes, and counts each step once', () => {
    assert(
      property(array(happening, { minLength: 1, maxLength: 50 }), (happenings) => {
        const partition = createPartition({ sizes: [3], restarts: false }, APPEND_MS);
        const hours = { hourRetentionMs: 700 * 86_400_000, maxCellsPerWindow: 100 };
        partition.run(definitions(hours));
        const counted = new Map<string, number>();
        for (const value of valuesOf(happenings)) {
          partition.run([value]);
          for (const key of BUYERS) {
            for (const { id, counted: steps } of partition.buyer(key)?.funnels ?? []) {
              expect(steps).toBeGreaterThanOrEqual(counted.get(`${key} ${id}`) ?? 0);
              counted.set(`${key} ${id}`, steps);
            }
          }
        }
        partition.run([clock(partition.head.watermarkMs + 11 * MINUTE_MS)]);
        const applied = appliedOf(partition);
        for (const mode of MODES) {
          const id = mode.replace('+', '-');
          const rule = funnel(mode, 30);
          const levels = BUYERS.map((key) =>
            windowFunnel(
              rule,
              applied.filter((one) => one.key === key),
            ),
          );
          const own = BUYERS.map(
            (key) => partition.buyer(key)?.funnels.find((candidate) => candidate.id === id)?.counted ?? 0,
          );
          expect(own, mode).toEqual(levels);
          expect(hourTotals(partition, id), mode).toEqual(
            [1, 2, 3].map((step) => levels.filter((level) => level >= step).length),
          );
        }
      }),
      { numRuns: RUNS },
    );
  });

  it('sets timers only for later than its watermark, as long as absence lasts longer than lateness', () => {
    assert(
      property(array(happening, { minLength: 1, maxLength: 50 }), (happenings) => {
        const partition = createPartition({ sizes: [4], restarts: true }, APPEND_MS);
        partition.run([...definitions({}), ...valuesOf(happenings)]);
        for (const { dueMs, watermarkMs } of partition.armed) expect(dueMs).toBeGreaterThan(watermarkMs);
      }),
      { numRuns: RUNS },
    );
  });
});

/** A funnel's counts by step over all held hours and cells. */
function hourTotals(partition: Partition, id: string): number[] {
  const totals = [0, 0, 0];
  for (const line of partition.stored().windows as string[]) {
    const [name = '', cells = ''] = [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)];
    if (!new RegExp(`^funnel:${id}:1:h\\d+$`).test(name)) continue;
    for (const [, values = ''] of cells.matchAll(/=([\d,]+?)(?=,[A-Z]|$)/g))
      values.split(',').forEach((value, step) => {
        totals[step] = (totals[step] ?? 0) + Number(value);
      });
  }
  return totals;
}
