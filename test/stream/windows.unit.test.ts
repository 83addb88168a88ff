// Windows: what is held when, who gets a seat, what a commit writes, and what ClickHouse gets.
import { describe, expect, it } from 'vitest';
import { readDocument } from '../../domain/definition.ts';
import type { CountEffect } from '../../domain/effect.ts';
import { arrange, type Definitions, type KeptDefinition } from '../../domain/in-force.ts';
import { floorsAt } from '../../domain/time-floors.ts';
import { grainMs, otherCell } from '../../stream/window.ts';
import { createWindows, type Windows } from '../../stream/windows.ts';

const HOUR_MS = grainMs.h;
const START_MS = Date.UTC(2024, 0, 1);
const LATENESS_MS = 600_000;

function definitionsWith(settings: object = {}): Definitions {
  const kept = (type: 'settings' | 'funnel', id: string, document: object): KeptDefinition =>
    ({
      type,
      id,
      revision: 1,
      epoch: 1,
      document: readDocument(type, document),
    }) as unknown as KeptDefinition;
  return arrange([
    kept('settings', 'default', { latenessMs: LATENESS_MS, maxCellsPerWindow: 2, ...settings }),
    kept('funnel', 'f', { name: 'f', steps: ['view', 'contact', 'order'], windowMs: HOUR_MS }),
  ]);
}

function step(timeMs: number, cell = 'DE||', column = 0): CountEffect {
  return { kind: 'count', series: 'funnel:f', revision: 1, timeMs, cell, column, amount: 1 };
}

/** What a store has after the commits so far. */
function committed(windows: Windows, store: Map<string, Record<string, string>>): string[] {
  const { written, added, deleted } = windows.changes();
  for (const { name, fields } of written)
    store.set(name, { ...store.get(name), ...Object.fromEntries(fields) });
  for (const name of deleted) store.delete(name);
  return added;
}

describe('cells', () => {
  it('first come, first seated; the others are counted together, and who has a seat keeps it', () => {
    const windows = createWindows();
    const definitions = definitionsWith();
    for (const cell of ['a', 'b', 'c', 'd', 'a']) windows.count(step(START_MS, cell), definitions, START_MS);
    const store = new Map<string, Record<string, string>>();
    committed(windows, store);
    for (const cells of store.values())
      expect(cells).toEqual({ a: '2,0,0', b: '1,0,0', [otherCell]: '2,0,0' });
    expect(store.size).toBe(2);
  });

  it('a commit writes absolute values of what changed since the last, and names a window once', () => {
    const windows = createWindows();
    const definitions = definitionsWith();
    const store = new Map<string, Record<string, string>>();
    windows.count(step(START_MS, 'a'), definitions, START_MS);
    expect(committed(windows, store)).toHaveLength(2);
    windows.count(step(START_MS, 'a', 2), definitions, START_MS);
    windows.count(step(START_MS, 'b'), definitions, START_MS);
    expect(committed(windows, store)).toEqual([]);
    for (const cells of store.values()) expect(cells).toEqual({ a: '1,0,1', b: '1,0,0' });
    expect(windows.changes()).toEqual({ written: [], added: [], deleted: [] });
  });
});

describe('expiry', () => {
  const definitions = definitionsWith({ minuteRetentionMs: 0, hourRetentionMs: HOUR_MS });
  const hourEndsMs = START_MS + HOUR_MS + HOUR_MS + LATENESS_MS;

  it('an hour is held until its end + retention + lateness, then its last value leaves once', () => {
    const windows = createWindows();
    const store = new Map<string, Record<string, string>>();
    windows.count(step(START_MS), definitions, START_MS);
    committed(windows, store);
    expect(windows.expire(hourEndsMs - 1, definitions, () => 7n)).toEqual([]);
    const closed = windows.expire(hourEndsMs, definitions, () => 8n);
    expect(closed).toEqual([
      { series: 'funnel:f', revision: 1, startMs: START_MS, cell: 'DE||', values: [1, 0, 0], version: 8n },
    ]);
    expect(windows.expire(hourEndsMs, definitions, () => 9n)).toEqual([]);
    expect(windows.flush(9n)).toEqual([]);
    committed(windows, store);
    expect([...store.keys()]).toEqual([]);
  });

  it('a window that was never written needs no deletion', () => {
    const windows = createWindows();
    windows.count(step(START_MS), definitions, START_MS);
    windows.expire(hourEndsMs, definitions, () => 1n);
    expect(windows.changes()).toEqual({ written: [], added: [], deleted: [] });
  });

  it('a count for an hour that is no longer held opens no window', () => {
    const windows = createWindows();
    windows.count(step(START_MS), definitions, hourEndsMs);
    expect(windows.changes().written).toEqual([]);
  });

  it('a shorter retention moves the expiry of windows that are there, also of loaded ones', () => {
    const windows = createWindows();
    windows.count(step(START_MS), definitions, START_MS);
    const store = new Map<string, Record<string, string>>();
    committed(windows, store);
    const loaded = createWindows();
    for (const [name, fields] of store) loaded.load(name, fields);
    const shorter = definitionsWith({ minuteRetentionMs: 0, hourRetentionMs: 0 });
    const atMs = START_MS + HOUR_MS + LATENESS_MS;
    for (const each of [windows, loaded]) {
      expect(each.expire(atMs - 1, shorter, () => 1n)).toEqual([]);
      expect(each.expire(atMs, shorter, () => 1n)).toHaveLength(1);
    }
  });
});

it('a loaded window goes on counting, and what ClickHouse may lack of it is sent again', () => {
  const definitions = definitionsWith();
  const windows = createWindows();
  windows.load(`funnel:f:1:h${START_MS / HOUR_MS}`, { 'DE||': '4,2,1' });
  expect(windows.flush(3n).map(({ values }) => values)).toEqual([[4, 2, 1]]);
  expect(windows.hasUnflushed()).toBe(false);
  windows.count(step(START_MS), definitions, START_MS);
  expect(windows.flush(4n).map(({ values, version }) => [values, version])).toEqual([[[5, 2, 1], 4n]]);
});

it('a window that closes while its values are on their way brings them again, and no more once they have arrived', () => {
  const definitions = definitionsWith();
  const closes = (arrived: boolean) => {
    const windows = createWindows();
    windows.count(step(START_MS), definitions, START_MS);
    expect(windows.flush(3n)).toHaveLength(1);
    if (arrived) windows.flushed([]);
    return windows.expire(START_MS + 1_000 * HOUR_MS, definitions, () => 4n);
  };
  expect(closes(false).map(({ values, version }) => [values, version])).toEqual([[[1, 0, 0], 4n]]);
  expect(closes(true)).toEqual([]);
});

it('a cell that was counted again while its value was on its way is brought once', () => {
  const definitions = definitionsWith();
  const windows = createWindows();
  windows.count(step(START_MS), definitions, START_MS);
  windows.flush(3n);
  windows.count(step(START_MS), definitions, START_MS);
  const closed = windows.expire(START_MS + 1_000 * HOUR_MS, definitions, () => 5n);
  expect(closed.map(({ values }) => values)).toEqual([[2, 0, 0]]);
});

it('a cell whose value was refused waits until it is to be tried again, and leaves with its window', () => {
  const definitions = definitionsWith();
  const windows = createWindows();
  for (const cell of ['a', 'b']) windows.count(step(START_MS, cell), definitions, START_MS);
  const [, refused] = windows.flush(3n);
  // Counted while it was on its way, and again while it waits.
  windows.count(step(START_MS, 'b'), definitions, START_MS);
  windows.flushed([refused!]);
  for (const cell of ['a', 'b']) windows.count(step(START_MS, cell), definitions, START_MS);
  expect(windows.flush(4n).map(({ cell }) => cell)).toEqual(['a']);
  windows.flushed([]);
  expect([windows.hasRefused(), windows.hasUnflushed()]).toEqual([true, true]);
  windows.tryRefusedAgain();
  expect(windows.flush(5n).map(({ cell, values }) => [cell, values[0]])).toEqual([['b', 3]]);
  expect([windows.hasRefused(), windows.hasUnflushed()]).toEqual([false, false]);
  windows.flushed([refused!]);
  const closed = windows.expire(START_MS + 1_000 * HOUR_MS, definitions, () => 6n);
  expect(closed.map(({ cell, values }) => [cell, values[0]])).toEqual([['b', 3]]);
  windows.flushed([refused!]);
  expect([windows.hasRefused(), windows.hasUnflushed()]).toEqual([false, false]);
});

it('a stored window with a foreign name is an error, not a silent loss', () => {
  expect(() => createWindows().load('funnel:f:x:h1', {})).toThrow(/no name of ours/);
});

// A past, or what a link brings, is counted at its own time, however long that is closed.
it('an hour that earlier settings have closed is not opened by a longer retention', () => {
  const windows = createWindows();
  const short = definitionsWith({ hourRetentionMs: 25 * HOUR_MS });
  windows.count(step(START_MS), short, START_MS);
  const closedMs = START_MS + 27 * HOUR_MS;
  const closed = windows.expire(closedMs, short, () => 10n);
  expect(closed.map(({ values }) => values[0])).toEqual([1]);
  const long = definitionsWith({ hourRetentionMs: 50 * HOUR_MS });
  const floors = floorsAt(short.floors, short.settings, closedMs);
  const raised = { ...long, floors };
  expect(windows.count(step(START_MS), raised, closedMs)).toBe(false);
  expect(windows.count(step(START_MS + 3 * HOUR_MS), raised, closedMs)).toBe(true);
  expect(windows.flush(11n).map(({ startMs }) => startMs)).toEqual([START_MS + 3 * HOUR_MS]);
});
