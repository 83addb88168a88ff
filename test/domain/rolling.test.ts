// Rolling sums: which windows count, and how partitions at different watermarks add up.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { settings } from '../../domain/definition.ts';
import {
  coveredBuckets,
  dimensionOf,
  isHeld,
  rollingWindows,
  sumPartitions,
  wasHeld,
} from '../../domain/rolling.ts';

const W = Date.UTC(2026, 0, 15, 12, 30, 20);

describe('coveredBuckets', () => {
  it('holds exactly the windows whose end lies after watermark − window', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('5m' as const, '1h' as const, '24h' as const),
        fc.integer({ min: W, max: W + 86_400_000 }),
        (window, watermarkMs) => {
          const { windowMs, grainMs } = rollingWindows[window];
          const { first, last } = coveredBuckets(window, watermarkMs);
          expect((first + 1) * grainMs).toBeGreaterThan(watermarkMs - windowMs);
          expect(first * grainMs).toBeLessThanOrEqual(watermarkMs - windowMs);
          expect(last * grainMs).toBeLessThanOrEqual(watermarkMs);
          expect((last + 1) * grainMs).toBeGreaterThan(watermarkMs);
        },
      ),
    );
  });
});

it('a window is held as long as its minutes or hours are, lateness included', () => {
  const own = { latenessMs: 60_000, minuteRetentionMs: 240_000, hourRetentionMs: 86_400_000 };
  const held = (change: object) =>
    (['5m', '1h', '24h'] as const).filter((window) => isHeld(window, { ...own, ...change }));
  expect(held({})).toEqual(['5m', '24h']);
  expect(held({ minuteRetentionMs: 239_999 })).toEqual(['24h']);
  expect(held({ minuteRetentionMs: 3_540_000, hourRetentionMs: 3_600_000 })).toEqual(['5m', '1h']);
});

it('a window was held if it was by all settings that were in force in it', () => {
  const long = settings.parse({});
  const short = { ...long, hourRetentionMs: 3_600_000 };
  const revisions = [
    { atMs: 0, settings: long },
    { atMs: W - 50_000_000, settings: short },
    { atMs: W, settings: long },
  ];
  const held = (asOfMs: number, count = 3) => wasHeld('24h', revisions.slice(0, count), asOfMs);
  expect([held(W), held(W + 86_399_999), held(W + 86_400_000)]).toEqual([false, false, true]);
  expect([held(W, 1), held(W, 2), held(W + 86_400_000, 2)]).toEqual([true, false, false]);
  expect(wasHeld('5m', revisions, W)).toBe(true);
});

describe('sumPartitions', () => {
  const partitions = [
    {
      watermarkMs: W,
      isReading: true,
      cells: [['DE|toys|search', [3, 1]] as const, ['FR|toys|direct', [5, 0]] as const],
    },
    {
      watermarkMs: W - 1_000,
      isReading: false,
      cells: [['DE|cars|direct', [1, 1]] as const, ['other||', [2]] as const],
    },
    { watermarkMs: 0, isReading: false, cells: [] },
  ];

  it('adds in total and by one dimension, the largest first', () => {
    const sum = sumPartitions(partitions, 2, 1_000, 'country');
    expect(sum).toEqual({
      asOfMs: W - 1_000,
      spreadMs: 1_000,
      incomplete: false,
      partitions: 2,
      totals: [11, 2],
      segments: [
        { value: 'FR', counts: [5, 0] },
        { value: 'DE', counts: [4, 2] },
        { value: 'other', counts: [2, 0] },
      ],
    });
    expect(sumPartitions(partitions, 2, 1_000, 'channel').segments).toEqual([
      { value: 'direct', counts: [6, 1] },
      { value: 'search', counts: [3, 1] },
      { value: 'other', counts: [2, 0] },
    ]);
    expect(sumPartitions(partitions, 2, 999, null).incomplete).toBe(true);
  });

  it('is incomplete while one that stands at its beginning has yet to read its log', () => {
    const begunAnew = { watermarkMs: 0, isReading: true, cells: [] };
    expect(sumPartitions([...partitions, begunAnew], 2, 1_000, null)).toMatchObject({
      incomplete: true,
      partitions: 2,
      totals: [11, 2],
    });
  });

  it('is as of never without records', () => {
    expect(sumPartitions([], 2, 0, 'country')).toMatchObject({
      asOfMs: null,
      incomplete: false,
      totals: [0, 0],
    });
  });
});

it('dimensionOf takes the seatless as other, and an empty value as it is', () => {
  expect(dimensionOf('other||', 'industry')).toBe('other');
  expect(dimensionOf('DE||search', 'industry')).toBe('');
});
