import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { settledCells } from '../../domain/account/book.ts';
import { bookReports, countedBefore, judgeCell, withCell } from '../../domain/account/cells.ts';
import { placeIn, rememberHash, rememberNotice } from '../../domain/account/notices.ts';
import {
  type AccountDay,
  type Book,
  DAY_MS,
  dayStartOf,
  HOUR_MS,
  type ReportCell,
  WHOLE_DAY,
} from '../../domain/account.ts';

const DAY = Date.UTC(2026, 0, 5);

function takeAll(cells: readonly ReportCell[]): ReportCell[] {
  let held: ReportCell[] = [];
  for (const cell of cells) if (judgeCell(held, cell) === 'applied') held = withCell(held, cell);
  return held;
}

/** `hour|country` → cost. */
function costs(cells: readonly ReportCell[]): Record<string, number> {
  const booked = bookReports(takeAll(cells), DAY).filter((cell) => cell.figures[2] !== 0);
  return Object.fromEntries(booked.map((cell) => [`${cell.hour}|${cell.country}`, cell.figures[2]]));
}

const total = (cells: readonly ReportCell[]): number =>
  bookReports(takeAll(cells), DAY).reduce((sum, cell) => sum + cell.figures[2], 0);

const hours = (count: number): number => DAY + count * HOUR_MS;
const cost = (country: string, hour: number, asOfHours: number, costMicros: number): ReportCell => [
  country,
  hour,
  hours(asOfHours),
  0,
  0,
  costMicros,
];

/** The rules of docs/decisions/spend.md again: the whole set at once, exact fractions, no cell order relied upon. */
function definedCosts(arrivals: readonly ReportCell[]): Map<string, bigint> {
  const has = (k: ReportCell, x: ReportCell) =>
    (k[0] === '' || k[0] === x[0]) && (k[1] === -1 || k[1] === x[1]);
  const held = arrivals.filter((x) => !arrivals.some((k) => k !== x && has(k, x) && k[2] >= x[2]));
  const before = (x: ReportCell, value: bigint, timeMs: number): bigint => {
    const start = x[1] === -1 ? DAY : hours(x[1]);
    const length = BigInt(Math.min(start + (x[1] === -1 ? DAY_MS : HOUR_MS), x[2]) - start);
    let overlap = BigInt(timeMs - start);
    if (overlap > length) overlap = length;
    return overlap <= 0n ? 0n : (value * overlap) / length;
  };
  const silent = (wide: ReportCell): boolean => {
    const begun = [...Array(24).keys()].filter((hour) => hours(hour) < wide[2]);
    const newer = (hour: number) =>
      held.some(
        (x) => x[1] === hour && x[2] > wide[2] && (x[0] === '' || (wide[0] !== '' && x[0] === wide[0])),
      );
    return wide[1] === -1 && begun.length > 0 && begun.every(newer);
  };
  const speaking = held.filter((cell) => !silent(cell));
  const figures: { cell: ReportCell; hour: number; value: bigint }[] = [];
  const put = (cell: ReportCell, value: bigint) => figures.push({ cell, hour: Math.max(0, cell[1]), value });
  const rest = (wide: ReportCell, parts: readonly { cell: ReportCell; value: bigint }[]): bigint => {
    let left = BigInt(wide[5]);
    for (const part of parts) left -= before(part.cell, part.value, wide[2]);
    return left < 0n ? 0n : left;
  };
  for (const cell of speaking) if (cell[0] !== '' && cell[1] !== -1) put(cell, BigInt(cell[5]));
  const fine = [...figures];
  const inside = (wide: ReportCell) => fine.filter((part) => has(wide, part.cell));
  for (const cell of speaking) if (cell[0] === '' && cell[1] !== -1) put(cell, rest(cell, inside(cell)));
  const countryDays = speaking.filter((cell) => cell[0] !== '' && cell[1] === -1);
  countryDays.sort((a, b) => (a[0] < b[0] ? -1 : 1));
  const latestMs = Math.max(0, ...countryDays.map((cell) => cell[2]));
  let shared = figures
    .slice(fine.length)
    .reduce((sum, part) => sum + before(part.cell, part.value, latestMs), 0n);
  for (const cell of countryDays) {
    const lacking = rest(cell, inside(cell));
    let taken = lacking;
    if (shared < taken) taken = shared;
    shared -= taken;
    put(cell, lacking - taken);
  }
  const day = speaking.find((cell) => cell[0] === '' && cell[1] === -1);
  if (day !== undefined) put(day, rest(day, [...figures]));
  const booked = new Map<string, bigint>();
  for (const { cell, hour, value } of figures) {
    const key = `${hour}|${cell[0]}`;
    if (value !== 0n) booked.set(key, (booked.get(key) ?? 0n) + value);
  }
  return booked;
}

const place = fc.tuple(fc.constantFrom('', 'DE', 'US'), fc.constantFrom(WHOLE_DAY, 0, 1, 2, 23));

/** Reports with distinct `asOf`, none before its period. */
const arrivals = (amount: fc.Arbitrary<number>) =>
  fc
    .uniqueArray(fc.tuple(place, fc.integer({ min: 0, max: 30 * 12 }), amount), {
      maxLength: 14,
      selector: ([, fiveMinutes]) => fiveMinutes,
    })
    .map((drawn) =>
      drawn.map(([[country, hour], fiveMinutes, value]): ReportCell => {
        const startMs = hour === WHOLE_DAY ? DAY : hours(hour);
        return [country, hour, startMs + fiveMinutes * 300_000 + fiveMinutes, value, value, value];
      }),
    )
    .filter((cells) => new Set(cells.map((cell) => cell[2])).size === cells.length);

describe('reports in force', { timeout: 120_000 }, () => {
  it('keeps the latest revision of a cell', () => {
    expect(costs([cost('DE', 3, 4, 100), cost('DE', 3, 5, 90)])).toEqual({ '3|DE': 90 });
    expect(costs([cost('DE', 3, 5, 90), cost('DE', 3, 4, 100)])).toEqual({ '3|DE': 90 });
  });

  it('lets the later in the log win where `asOf` is the same, and knows a repeat', () => {
    expect(costs([cost('DE', 3, 4, 100), cost('DE', 3, 4, 90)])).toEqual({ '3|DE': 90 });
    expect(judgeCell([cost('DE', 3, 4, 100)], cost('DE', 3, 4, 100))).toBe('duplicate');
    expect(judgeCell([cost('DE', 3, 5, 100)], cost('DE', 3, 4, 100))).toBe('late');
  });

  it('lets a day replace its hours and all countries replace each', () => {
    expect(costs([cost('DE', 3, 4, 100), cost('US', 5, 6, 50), cost('', WHOLE_DAY, 7, 140)])).toEqual({
      '0|': 140,
    });
    expect(costs([cost('DE', 3, 4, 100), cost('US', 3, 4, 50), cost('', 3, 4, 140)])).toEqual({ '3|': 140 });
    expect(judgeCell([cost('', WHOLE_DAY, 7, 140)], cost('DE', 3, 7, 100))).toBe('late');
  });

  it('keeps a wide report as a floor under newer and finer ones', () => {
    expect(costs([cost('', WHOLE_DAY, 24, 140), cost('', 3, 25, 100)])).toEqual({ '0|': 40, '3|': 100 });
    expect(costs([cost('', WHOLE_DAY, 24, 140), cost('', 3, 25, 100), cost('DE', 4, 25, 60)])).toEqual({
      '3|': 100,
      '4|DE': 60,
    });
  });

  it('lets newer hours that cover the whole day undercut it', () => {
    const day = cost('', WHOLE_DAY, 2, 140);
    expect(total([day, cost('', 0, 3, 10)])).toBe(140);
    expect(total([day, cost('', 0, 3, 10), cost('', 1, 3, 20)])).toBe(30);
  });

  it('adds what happened after the wide report was counted', () => {
    expect(total([cost('', WHOLE_DAY, 12, 140), cost('', 13, 14, 20)])).toBe(160);
    expect(total([cost('', WHOLE_DAY, 11.5, 140), cost('', 11, 12, 20)])).toBe(150);
  });

  it('counts once what comes by hour and, crossing it, by country', () => {
    const byHour = [cost('', 0, 24, 60), cost('', 5, 24, 40)];
    const byCountry = [cost('DE', WHOLE_DAY, 25, 70), cost('US', WHOLE_DAY, 25, 35)];
    expect(total([...byHour, ...byCountry])).toBe(105);
    expect(total([...byHour, cost('DE', WHOLE_DAY, 5, 70)])).toBe(60 + 40 + 10);
  });

  it('holds the largest money without losing a micro', () => {
    const value = 9_000_000_000_000_000;
    expect(countedBefore(cost('', WHOLE_DAY, 23.7, value), value, hours(11.3), DAY)).toBe(
      Number((BigInt(value) * BigInt(11.3 * HOUR_MS)) / BigInt(23.7 * HOUR_MS)),
    );
  });

  it('comes to what the rules say, in whatever order the reports came', () => {
    fc.assert(
      fc.property(
        arrivals(fc.integer({ min: 0, max: 10_000 })),
        fc.infiniteStream(fc.nat()),
        (cells, order) => {
          const ranks = new Map(cells.map((cell) => [cell, order.next().value as number]));
          const shuffled = [...cells].sort((a, b) => ranks.get(a)! - ranks.get(b)!);
          const expected = Object.fromEntries(
            [...definedCosts(cells)].map(([key, value]) => [key, Number(value)]),
          );
          expect(costs(cells)).toEqual(expected);
          expect(takeAll(shuffled)).toEqual(takeAll(cells));
        },
      ),
      { numRuns: 4_000 },
    );
  });

  it('is never below a report that stands, nor above the sum of them', () => {
    fc.assert(
      fc.property(arrivals(fc.integer({ min: 0, max: 10_000 })), (cells) => {
        const held = takeAll(cells);
        const settled = total(cells);
        expect(settled).toBeLessThanOrEqual(held.reduce((sum, cell) => sum + cell[5], 0));
        // A day counted up to 03:00 may have fallen silent: hours 0 to 2 can be newer.
        const standing = held.filter((cell) => cell[1] !== WHOLE_DAY || cell[2] > hours(3));
        for (const cell of standing) expect(settled).toBeGreaterThanOrEqual(cell[5]);
      }),
      { numRuns: 2_000 },
    );
  });

  it('grows by no more than a new report’s own figure and twice what was settled', () => {
    // Only where that could be too much is it worked out whether an account can hold a report.
    fc.assert(
      fc.property(arrivals(fc.integer({ min: 0, max: 10_000 })), (cells) => {
        const last = cells.at(-1);
        fc.pre(last !== undefined);
        expect(total(cells)).toBeLessThanOrEqual(3 * total(cells.slice(0, -1)) + last[5]);
      }),
      { numRuns: 4_000 },
    );
  });

  it('gives no money back because a finer report came for the first time', () => {
    const complete = arrivals(fc.integer({ min: 0, max: 10_000 })).map((cells) =>
      cells.map(
        ([country, hour, asOfMs, ...figures]): ReportCell => [country, hour, asOfMs + DAY_MS, ...figures],
      ),
    );
    const sum = (cells: readonly ReportCell[]) =>
      bookReports(cells, DAY).reduce((settled, cell) => settled + cell.figures[2], 0);
    fc.assert(
      fc.property(complete, place, fc.nat(10_000), (cells, [country, hour], value) => {
        fc.pre(hour !== WHOLE_DAY);
        const held = takeAll(cells);
        const after = withCell(held, [country, hour, hours(100), 0, 0, value]);
        // Else it is a revision, or replaces what it contains.
        fc.pre(after.length === held.length + 1);
        expect(sum(after)).toBeGreaterThanOrEqual(sum(held));
      }),
      { numRuns: 4_000 },
    );
  });
});

describe('days', () => {
  it('begin at midnight of the account', () => {
    expect(dayStartOf(DAY, 0)).toBe(DAY);
    expect(dayStartOf(DAY - 1, 0)).toBe(DAY - DAY_MS);
    expect(dayStartOf(DAY, 330)).toBe(DAY - 330 * 60_000);
    expect(dayStartOf(DAY + 19 * HOUR_MS, 330)).toBe(DAY + DAY_MS - 330 * 60_000);
    expect(dayStartOf(DAY, -480)).toBe(DAY - DAY_MS + 480 * 60_000);
  });

  it('are the sum of their hours, countries and books', () => {
    const book: Book = {
      campaign: 'c',
      channel: 's',
      cells: takeAll([cost('', WHOLE_DAY, 5, 100), cost('DE', 6, 8, 7)]),
      notices: [
        [9 * 60, 'DE', hours(9), 1, 0, 5],
        [9 * 60 + 3, 'DE', hours(9.05), 1, 1, 6],
      ],
      clearedMicros: 0,
      settledMicros: 118,
    };
    const day: AccountDay = { startMs: DAY, settledMicros: 118, auctions: [], books: [book] };
    const cells = settledCells(book, day.startMs);
    expect(cells).toEqual([
      { hour: 0, country: '', figures: [0, 0, 100] },
      { hour: 6, country: 'DE', figures: [0, 0, 7] },
      { hour: 9, country: 'DE', figures: [2, 1, 11] },
    ]);
  });
});

describe('memory of notices', () => {
  it('keeps hashes ascending and knows them again', () => {
    const hashes: number[] = [];
    for (const hash of [5, 1, 9, 5, 0]) rememberHash(hashes, hash);
    expect(hashes).toEqual([0, 1, 5, 9]);
    expect(placeIn(hashes, 6)).toBe(3);
  });

  it('knows a repeat for at least the time of memory, and forgets once two epochs had others, or in two weeks', () => {
    const memory = { epochMs: 0, current: [], previous: [] };
    expect(rememberNotice(memory, 42, DAY + HOUR_MS, DAY_MS)).toBe('added');
    expect(rememberNotice(memory, 42, DAY + DAY_MS, DAY_MS)).toBe('known');
    expect(rememberNotice(memory, 42, DAY + 2 * DAY_MS - 1, DAY_MS)).toBe('known');
    expect(rememberNotice(memory, 7, DAY + 2 * DAY_MS, DAY_MS)).toBe('added');
    expect(rememberNotice(memory, 42, DAY + 2 * DAY_MS, DAY_MS)).toBe('added');
    expect(rememberNotice(memory, 42, DAY + 16 * DAY_MS, DAY_MS)).toBe('known');
    expect(rememberNotice(memory, 42, DAY + 31 * DAY_MS, DAY_MS)).toBe('added');
  });
});
