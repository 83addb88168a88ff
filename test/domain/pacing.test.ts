import { describe, expect, it } from 'vitest';
import { leaseGrant } from '../../domain/account/leases.ts';
import { accountSummary } from '../../domain/account/summary.ts';
import { learnHourShares, nextMultiplier, type PacingStep, plannedMicros } from '../../domain/pacing.ts';
import {
  DAY_MS,
  HOUR_MS,
  type Ledger,
  leaseRequest,
  notice,
  openLedger,
  report,
  rowsOf,
  START_MS,
} from './account-ledger.ts';

const MINUTE_MS = 60_000;
const EVEN = learnHourShares([], 7);
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

describe('the plan', () => {
  it('is even before there is traffic', () => {
    expect(new Set(EVEN).size).toBe(1);
    expect(plannedMicros(EVEN, 2_400_000, 90 * MINUTE_MS)).toBe(150_000);
    expect(plannedMicros([], 2_400_000, 90 * MINUTE_MS)).toBe(150_000);
  });

  it('comes to the whole budget at the day’s end, never more', () => {
    const shares = learnHourShares([{ ageDays: 1, traffic: EVEN.map((_, hour) => hour) }], 7);
    expect(plannedMicros(shares, 1_234_567, DAY_MS)).toBe(1_234_567);
    expect(plannedMicros(shares, 1_234_567, DAY_MS + HOUR_MS)).toBe(1_234_567);
    expect(plannedMicros(shares, 1_234_567, -1)).toBe(0);
    let before = 0;
    for (let elapsedMs = 0; elapsedMs <= DAY_MS; elapsedMs += MINUTE_MS) {
      const planned = plannedMicros(shares, 1_234_567, elapsedMs);
      expect(planned).toBeGreaterThanOrEqual(before);
      before = planned;
    }
  });

  it('follows past traffic, young days more than old ones', () => {
    const only = (hour: number): number[] => EVEN.map((_, index) => (index === hour ? 100 : 0));
    const shares = learnHourShares(
      [
        { ageDays: 1, traffic: only(9) },
        { ageDays: 15, traffic: only(20) },
      ],
      7,
    );
    expect(Math.abs(sum(shares) - 1_000_000)).toBeLessThan(24);
    expect(shares[9]! / shares[20]!).toBeGreaterThan(3);
    expect(shares[20]!).toBeGreaterThan(shares[3]! * 3);
    expect(shares[8]).toBe(shares[10]);
    expect(shares[8]!).toBeGreaterThan(shares[7]!);
    expect(learnHourShares([{ ageDays: 1, traffic: EVEN.map(() => 0) }], 7)).toEqual(EVEN);
  });
});

describe('the multiplier', () => {
  const plannedAt = (elapsedMs: number): number => plannedMicros(EVEN, 2_400_000, elapsedMs);
  const elapsedMs = 5 * HOUR_MS;
  const elapsedBeforeMs = elapsedMs - 5 * MINUTE_MS;
  const plannedStep = plannedAt(elapsedMs) - plannedAt(elapsedBeforeMs);
  const step: PacingStep = {
    hourShares: EVEN,
    budgetMicros: 2_400_000,
    spentMicros: plannedAt(elapsedMs),
    spentBeforeMicros: plannedAt(elapsedBeforeMs),
    elapsedMs,
    elapsedBeforeMs,
    gain: 1,
    minMultiplier: 0.05,
    maxMultiplier: 3,
  };

  it('stays where spend is as planned', () => {
    expect(nextMultiplier(800_000, step)).toBe(800_000);
  });

  it('answers rate and gap as documented', () => {
    const spentMicros = plannedAt(elapsedMs) - 50_000;
    const behind = { ...step, spentMicros, spentBeforeMicros: spentMicros - plannedStep / 2 };
    expect(nextMultiplier(800_000, behind) / 800_000).toBeCloseTo(Math.exp(0.3 * (0.5 + 0.5)), 4);
    expect(nextMultiplier(800_000, { ...step, spentMicros: 600_000, spentBeforeMicros: 400_000 })).toBe(
      Math.round(800_000 * Math.exp(-0.6)),
    );
    expect(nextMultiplier(800_000, { ...behind, gain: 0 })).toBe(800_000);
  });

  it.each([0.01, 0.5, 1, 10])(
    'comes back from a day far beyond its plan, though its least may be 0: gain %d',
    (gain) => {
      const free = { ...step, gain, minMultiplier: 0 };
      const spentMicros = 2 * free.budgetMicros;
      const beyond = { ...free, spentMicros, spentBeforeMicros: spentMicros - 2 * plannedStep };
      let low = 1_000_000;
      for (let count = 0; count < 5_000; count += 1) low = nextMultiplier(low, beyond);
      const behind = { ...free, spentMicros: 0, spentBeforeMicros: 0 };
      expect(low).toBeLessThanOrEqual(1_000);
      expect(nextMultiplier(low, behind)).toBeGreaterThan(low);
      // One that an older version let fall to 0.
      expect(nextMultiplier(nextMultiplier(0, behind), behind)).toBeGreaterThan(low);
    },
  );

  it('keeps its limits, and its place without a budget', () => {
    expect(nextMultiplier(2_900_000, { ...step, spentMicros: 0, spentBeforeMicros: 0 })).toBe(3_000_000);
    expect(nextMultiplier(51_000, { ...step, spentMicros: 2_000_000 })).toBe(50_000);
    expect(nextMultiplier(700_000, { ...step, budgetMicros: 0 })).toBe(700_000);
  });
});

describe('steps', () => {
  it('are taken by timer at multiples of the step on days with a record', () => {
    const ledger = openLedger({ dailyBudgetMicros: 240_000 });
    expect(ledger.state.timerMs).toBe(0);
    ledger.passTo(START_MS + 10 * HOUR_MS);
    ledger.send(report({ periodStart: START_MS, asOf: ledger.nowMs + MINUTE_MS, costMicros: 1_000 }));
    expect(ledger.state.pacing).toMatchObject({ steppedMs: START_MS + 10 * HOUR_MS, stepCount: 0 });
    expect(ledger.state.timerMs).toBe(START_MS + 10 * HOUR_MS + 5 * MINUTE_MS);
    ledger.passTo(START_MS + 11 * HOUR_MS);
    expect(ledger.state.pacing).toMatchObject({
      steppedMs: ledger.nowMs,
      stepCount: 12,
      multiplierMillionths: 3_000_000,
    });
    ledger.passTo(START_MS + 30 * HOUR_MS);
    expect(ledger.state.pacing).toMatchObject({ dayMs: START_MS + DAY_MS, stepCount: 0 });
    expect(ledger.state.timerMs).toBe(0);
  });

  it('begin a day at the mean of the last', () => {
    const ledger = openLedger({ dailyBudgetMicros: 240_000 });
    ledger.send(report({ period: 'day', asOf: START_MS + 1 }));
    ledger.passTo(START_MS + DAY_MS - 1);
    const { multiplierMillionths, multiplierSum, stepCount } = ledger.state.pacing;
    expect(multiplierMillionths).toBe(3_000_000);
    expect(stepCount).toBe(287);
    ledger.passTo(START_MS + 50 * HOUR_MS);
    ledger.send(report({ period: 'day', asOf: ledger.nowMs + 1 }));
    expect(ledger.state.pacing).toMatchObject({ dayMs: START_MS + 2 * DAY_MS, stepCount: 0 });
    expect(ledger.state.pacing.multiplierMillionths).toBe(Math.round(multiplierSum / stepCount));
  });

  it('learn from hours that a platform reported, not from its days', () => {
    const ledger = openLedger();
    const periodStart = START_MS + 9 * HOUR_MS;
    ledger.send(report({ period: 'day', asOf: START_MS + 24 * HOUR_MS, impressions: 900, costMicros: 1 }));
    ledger.send(report({ periodStart, asOf: START_MS + 25 * HOUR_MS, impressions: 500, costMicros: 1 }));
    ledger.send(report({ periodStart: START_MS + DAY_MS, asOf: START_MS + 26 * HOUR_MS, costMicros: 1 }));
    ledger.passTo(START_MS + 49 * HOUR_MS);
    ledger.send(notice({ timestamp: ledger.nowMs, costMicros: 1 }));
    const { hourShares } = ledger.state.pacing;
    expect(hourShares.indexOf(Math.max(...hourShares))).toBe(9);
    expect(hourShares[0]).toBe(hourShares[15]);
  });
});

/** A linear congruential generator: the tests' own luck, the same each time. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

interface Market {
  readonly ledger: Ledger;
  readonly random: () => number;
  /** Auctions in each minute of an hour of the day. */
  readonly auctions: (hour: number) => number;
  /** A bid at multiplier 1; prices lie around half of it. */
  readonly baseMicros: number;
}

/** One minute: a process asks for what it wanted to bid in the last, bids in every auction, and each outcome is told. */
function playMinute(market: Market, fromMs: number): void {
  const { ledger, random, auctions, baseMicros } = market;
  ledger.passTo(fromMs);
  const { multiplier } = accountSummary(ledger.state, ledger.definition!, fromMs);
  const count = auctions(Math.floor(((fromMs - START_MS) % DAY_MS) / HOUR_MS));
  const bidMicros = Math.floor(baseMicros * multiplier);
  const request = leaseRequest({ amountMicros: bidMicros * count, timestamp: fromMs });
  ledger.send(request);
  const grant = leaseGrant(ledger.state, request.lease);
  let leftMicros = typeof grant === 'object' ? grant.amountMicros : 0;
  for (let auction = 0; auction < count && bidMicros <= leftMicros; auction += 1) {
    leftMicros -= bidMicros;
    const priceMicros = Math.floor(baseMicros * (0.1 + 0.8 * random()));
    const timestamp = fromMs + Math.floor((auction * MINUTE_MS) / count);
    const won = bidMicros >= priceMicros;
    const about = { lease: request.lease, notice: won ? 'win' : 'loss', timestamp } as const;
    ledger.send(notice({ ...about, costMicros: won ? priceMicros : 0, heldMicros: bidMicros }));
  }
}

function playDay(market: Market, day: number): { spentShare: number; byHour: number[] } {
  const fromMs = START_MS + day * DAY_MS;
  for (let minute = 0; minute < 24 * 60; minute += 1) playMinute(market, fromMs + minute * MINUTE_MS);
  const { ledger } = market;
  const settled = ledger.state.days.find((candidate) => candidate.startMs === fromMs)!.settledMicros;
  const byHour = new Array<number>(24).fill(0);
  for (const row of rowsOf(ledger.effects.splice(0), 'spend')) {
    byHour[Math.floor((Number(row.time) - fromMs) / HOUR_MS)]! += Number(row.cost_micros);
  }
  return {
    spentShare: settled / ledger.definition!.dailyBudgetMicros,
    byHour: byHour.map((cost) => cost / sum(byHour)),
  };
}

const distance = (a: readonly number[], b: readonly number[]): number =>
  sum(a.map((value, index) => Math.abs(value - b[index]!))) / 2;

describe('pacing in a market with ample supply', { timeout: 120_000 }, () => {
  const baseMicros = 1_000;

  it('spends 95 to 100 % of the day’s budget from the first day on', () => {
    for (const plenty of [2, 6]) {
      // Bidding as much as the dearest price in every auction would cost about 8 × 1440 × 500 micros.
      const ledger = openLedger({
        dailyBudgetMicros: Math.floor((8 * 1440 * 500) / plenty),
        leaseShare: 0.25,
      });
      const market: Market = { ledger, random: seeded(plenty), auctions: () => 8, baseMicros };
      for (let day = 0; day < 2; day += 1) {
        const { spentShare, byHour } = playDay(market, day);
        expect(spentShare).toBeGreaterThanOrEqual(0.95);
        expect(spentShare).toBeLessThanOrEqual(1);
        expect(
          distance(
            byHour,
            EVEN.map(() => 1 / 24),
          ),
        ).toBeLessThan(0.06);
      }
    }
  });

  it('follows a skewed curve of traffic after a few days', () => {
    const auctions = (hour: number): number => (hour >= 8 && hour < 20 ? 14 : 3);
    const traffic = EVEN.map((_, hour) => auctions(hour));
    const shares = traffic.map((value) => value / sum(traffic));
    const ledger = openLedger({ dailyBudgetMicros: 8.5 * 1440 * 150, leaseShare: 0.25 });
    const market: Market = { ledger, random: seeded(7), auctions, baseMicros };
    const days = [0, 1, 2, 3, 4].map((day) => playDay(market, day));
    for (const { spentShare } of days) expect(spentShare).toBeLessThanOrEqual(1);
    for (const { spentShare } of days.slice(1)) expect(spentShare).toBeGreaterThanOrEqual(0.95);
    const [first, last] = [days[0]!, days[4]!];
    expect(distance(first.byHour, shares)).toBeGreaterThan(0.15);
    expect(distance(last.byHour, shares)).toBeLessThan(0.08);
  });
});
