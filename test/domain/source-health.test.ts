// When a source is quiet by its own rhythm, and when what it sends has changed its shape.
import { describe, expect, it } from 'vitest';
import { type ActiveHour, quietOf } from '../../domain/source-health/quiet.ts';
import { type PropertyCount, shapeChangesOf } from '../../domain/source-health/shape.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** A Monday. */
const START_MS = Date.UTC(2026, 0, 5);

/** A small generator, so that the same events come every time (Park and Miller, 1988). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

function hoursOf(times: readonly number[]): ActiveHour[] {
  const hours = new Map<number, number[]>();
  for (const time of times) {
    const startMs = Math.floor(time / HOUR_MS) * HOUR_MS;
    hours.set(startMs, [...(hours.get(startMs) ?? []), time]);
  }
  return [...hours]
    .sort((a, b) => a[0] - b[0])
    .map(([startMs, own]) => ({
      startMs,
      events: own.length,
      minutes: new Set(own.map((time) => Math.floor(time / MINUTE_MS))).size,
      firstMs: Math.min(...own),
      lastMs: Math.max(...own),
      appendedMs: Math.max(...own),
    }));
}

/** Arrivals at random, `perHour` as the hour says. */
function arrivals(days: number, perHour: (hourMs: number) => number, seed = 7): number[] {
  const random = randomOf(seed);
  const times: number[] = [];
  for (let hourMs = START_MS; hourMs < START_MS + days * DAY_MS; hourMs += HOUR_MS) {
    const rate = perHour(hourMs);
    if (rate === 0) continue;
    const pause = (): number => (-Math.log(1 - random()) * HOUR_MS) / rate;
    for (let at = hourMs + pause(); at < hourMs + HOUR_MS; at += pause()) times.push(Math.floor(at));
  }
  return times;
}

const workingHours = (rate: number) => (hourMs: number) => {
  const at = new Date(hourMs);
  const weekend = at.getUTCDay() === 0 || at.getUTCDay() === 6;
  return weekend || at.getUTCHours() < 8 || at.getUTCHours() >= 18 ? 0 : rate;
};
const statusAt = (hours: ActiveHour[], nowMs: number) => quietOf(hours, nowMs).status;

describe('quiet', () => {
  it('a busy source: within minutes', () => {
    const hours = hoursOf(arrivals(21, () => 120));
    const lastMs = hours.at(-1)!.lastMs;
    expect(statusAt(hours, lastMs + 2 * MINUTE_MS)).toBe('lively');
    expect(statusAt(hours, lastMs + 10 * MINUTE_MS)).toBe('quiet');
  });

  it('a source that has stopped for good: for three weeks, of the 28 days that are looked at', () => {
    const hours = hoursOf(arrivals(40, () => 120));
    const lastMs = hours.at(-1)!.lastMs;
    const statusOn = (days: number) => {
      const nowMs = lastMs + days * DAY_MS;
      return statusAt(
        hours.filter(({ startMs }) => startMs >= nowMs - 28 * DAY_MS),
        nowMs,
      );
    };
    expect([1, 20.9, 21.1, 30].map(statusOn)).toEqual(['quiet', 'quiet', 'unknown', 'unknown']);
  });

  it('not a source whose history is being fed in, until that stops', () => {
    const hours = hoursOf(arrivals(21, () => 120));
    const nowMs = hours.at(-1)!.lastMs + 2 * DAY_MS;
    const fed = hours.map((hour, index) => ({ ...hour, appendedMs: nowMs - hours.length + index }));
    expect(statusAt(hours, nowMs)).toBe('quiet');
    expect(statusAt(fed, nowMs)).toBe('lively');
    expect(statusAt(fed, nowMs + 10 * MINUTE_MS)).toBe('quiet');
  });

  it('a source with office hours is not quiet at night or over a weekend, and is in a silent morning', () => {
    const times = arrivals(28, workingHours(60));
    const hours = hoursOf(times);
    const mondayMs = START_MS + 28 * DAY_MS;
    expect(new Date(hours.at(-1)!.lastMs).getUTCDay()).toBe(5);
    expect(statusAt(hours, mondayMs - DAY_MS)).toBe('lively');
    expect(statusAt(hours, mondayMs + 7.5 * HOUR_MS)).toBe('lively');
    expect(statusAt(hours, mondayMs + 10 * HOUR_MS)).toBe('quiet');
  });

  it('a nightly import: not all day long, but when its hour has passed', () => {
    const times = Array.from({ length: 28 }, (_, day) => {
      const from = START_MS + day * DAY_MS + 3 * HOUR_MS + (5 + (day % 4)) * MINUTE_MS;
      return Array.from({ length: 300 }, (_, index) => from + index * 600);
    }).flat();
    const hours = hoursOf(times);
    const nextMs = START_MS + 28 * DAY_MS;
    expect(statusAt(hours, nextMs + 2 * HOUR_MS)).toBe('lively');
    expect(statusAt(hours, nextMs + 3 * HOUR_MS + 8 * MINUTE_MS)).toBe('lively');
    expect(statusAt(hours, nextMs + 5 * HOUR_MS)).toBe('quiet');
  });

  it.each([3, 11, 19, 27])('random arrivals alone raise no alarm in a week (seed %i)', (seed) => {
    const times = arrivals(21, workingHours(12), seed);
    let alarms = 0;
    for (let nowMs = START_MS + 14 * DAY_MS; nowMs < START_MS + 21 * DAY_MS; nowMs += 20 * MINUTE_MS) {
      const hours = hoursOf(times.filter((time) => time <= nowMs));
      if (statusAt(hours, nowMs) === 'quiet') alarms += 1;
    }
    expect(alarms).toBe(0);
  });

  it('an outage in the past does not make the next one pass', () => {
    const outage = (time: number): boolean => time > START_MS + 10 * DAY_MS && time < START_MS + 12 * DAY_MS;
    const hours = hoursOf(arrivals(28, () => 120).filter((time) => !outage(time)));
    expect(statusAt(hours, hours.at(-1)!.lastMs + 30 * MINUTE_MS)).toBe('quiet');
  });

  it('has no opinion of a source without a rhythm', () => {
    expect(quietOf([], START_MS)).toMatchObject({ status: 'unknown', lastMs: 0 });
    const few = hoursOf(arrivals(28, () => 0.1));
    expect(statusAt(few, START_MS + 60 * DAY_MS)).toBe('unknown');
    const young = hoursOf(arrivals(3, () => 50));
    expect(statusAt(young, START_MS + 60 * DAY_MS)).toBe('unknown');
  });
});

const counts = (event: string, events: number, properties: Record<string, number>): PropertyCount[] => [
  { kind: 'track', event, path: '', type: '', count: events },
  ...Object.entries(properties).map(([name, count]) => {
    const [path, type] = name.split(' ') as [string, string];
    return { kind: 'track', event, path, type, count };
  }),
];
const past = [
  ...counts('Viewed', 1_000, {
    'properties.sku string': 990,
    'properties.price number': 980,
    'properties.note string': 300,
  }),
  ...counts('Rare', 40, { 'properties.a string': 40 }),
];
const changesIn = (newest: PropertyCount[]) =>
  shapeChangesOf(past, newest).map(({ change, event, path }) => `${change} ${event} ${path}`.trim());
const usual = { 'properties.sku string': 99, 'properties.price number': 98 };

describe('shape', () => {
  it('as before: nothing', () => {
    expect(changesIn(counts('Viewed', 100, { ...usual, 'properties.note string': 10 }))).toEqual([]);
  });

  it('what nearly always was there is gone; what came and went is not', () => {
    const newest = counts('Viewed', 100, { 'properties.price number': 100 });
    expect(changesIn(newest)).toEqual(['property_gone Viewed properties.sku']);
    expect(shapeChangesOf(past, newest)[0]).toMatchObject({
      before: 0.99,
      now: 0,
      detail: '99 % of the events had properties.sku, of the newest 0 % have it',
    });
  });

  it('another type', () => {
    const newest = counts('Viewed', 100, {
      'properties.sku string': 100,
      'properties.price string': 60,
      'properties.price number': 40,
    });
    expect(changesIn(newest)).toEqual(['type_changed Viewed properties.price']);
    const few = counts('Viewed', 100, { ...usual, 'properties.price string': 5 });
    expect(changesIn(few)).toEqual([]);
  });

  it('a new property and a new name, but no slips', () => {
    const newest = [
      ...counts('Viewed', 100, { ...usual, 'properties.colour string': 7, 'properties.slip string': 4 }),
      ...counts('Bought', 5, { 'properties.sku string': 5 }),
      ...counts('Typo', 4, {}),
    ];
    expect(changesIn(newest)).toEqual(['property_new Viewed properties.colour', 'event_new Bought']);
  });

  it('says nothing where the past or the newest are too few', () => {
    expect(changesIn(counts('Rare', 100, { 'properties.b string': 100 }))).toEqual([]);
    expect(changesIn(counts('Viewed', 19, {}))).toEqual([]);
    expect(shapeChangesOf([], counts('Viewed', 100, usual))).toEqual([]);
  });
});
