// Bidders who keep to their leases, an exchange that tells every bid in the end, a platform that reports the truth:
// then no day costs more than its budget, and the ledger settles what it cost to the micro.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { leaseGrant } from '../../domain/account/leases.ts';
import { checkGrant, checkSums } from './account-checks.ts';
import {
  accountDefinition,
  DAY_MS,
  HOUR_MS,
  type Ledger,
  leaseRequest,
  notice,
  openLedger,
  report,
  START_MS,
} from './account-ledger.ts';

const DAILY_MICROS = 10_000;
/** Within the account's bid life and notice horizon. */
const LONGEST_SILENCE_MS = 55 * 60_000;

interface Bid {
  readonly lease: string;
  readonly bid: string;
  readonly timeMs: number;
  readonly priceMicros: number;
  /** What it cost if it won; undefined if it lost. */
  readonly costMicros: number | undefined;
}

interface HeldLease {
  readonly id: string;
  readonly untilMs: number;
  leftMicros: number;
}

interface Market {
  readonly ledger: Ledger;
  readonly bids: Bid[];
  /** Bids whose end the ledger has not been told. */
  untold: Bid[];
  readonly held: (HeldLease | undefined)[];
  /** What bidders let go of, each rest as it was said: it is said with every request from then on. */
  readonly returned: { readonly process: string; readonly lease: string; readonly amountMicros: number }[];
  readonly reports: Reporting;
  /** Whether notices say what their bids had set aside. */
  readonly tellsHeld: boolean;
}

/** One platform reports always the same cells, so that every report says the truth about all that it contains. */
interface Reporting {
  readonly country: string;
  readonly period: 'hour' | 'day';
}

type Move =
  | { act: 'ask'; bidder: number; amount: number }
  | { act: 'bid'; bidder: number; price: number; wins: boolean; discount: number }
  | { act: 'tell'; index: number; again: boolean }
  | { act: 'report' }
  | { act: 'pass'; byMs: number };

const act = <Name extends string>(name: Name) => fc.constant(name);
const bidder = fc.nat(2);
const reporting: fc.Arbitrary<Reporting> = fc.record({
  country: fc.constantFrom('', 'DE'),
  period: fc.constantFrom('hour', 'day'),
});
const bid = fc.record({
  act: act('bid'),
  bidder,
  price: fc.integer({ min: 1, max: 900 }),
  wins: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, fc.constant(false)),
  discount: fc.nat(100),
});
const pass = fc.record({ act: act('pass'), byMs: fc.oneof(fc.nat(20_000), fc.nat(50 * 60_000)) });
const move: fc.Arbitrary<Move> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ act: act('ask'), bidder, amount: fc.nat(8_000) }) },
  { weight: 14, arbitrary: bid },
  { weight: 8, arbitrary: fc.record({ act: act('tell'), index: fc.nat(20), again: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ act: act('report') }) },
  { weight: 1, arbitrary: pass },
);

function tell(market: Market, { costMicros, priceMicros, lease, bid, timeMs }: Bid): void {
  const outcome = costMicros === undefined ? 'loss' : 'win';
  const money = market.tellsHeld
    ? { costMicros: costMicros ?? 0, heldMicros: priceMicros }
    : { costMicros: costMicros ?? priceMicros };
  market.ledger.send(notice({ notice: outcome, lease, bid, timestamp: timeMs, ...money }));
}

function truth({ bids }: Market, fromMs: number, toMs: number): number {
  const counted = bids.filter((bid) => bid.timeMs >= fromMs && bid.timeMs < toMs);
  return counted.reduce((sum, bid) => sum + (bid.costMicros ?? 0), 0);
}

function ask(market: Market, bidder: number, amountMicros: number): void {
  const { ledger } = market;
  const process = `p${bidder}`;
  const before = market.held[bidder];
  market.held[bidder] = undefined;
  if (before !== undefined)
    market.returned.push({ process, lease: before.id, amountMicros: before.leftMicros });
  const own = market.returned.filter((rest) => rest.process === process);
  const returns = own.slice(-16).map(({ lease, amountMicros: rest }) => ({ lease, amountMicros: rest }));
  const request = leaseRequest({ process, amountMicros, returns });
  ledger.send(request);
  checkGrant(ledger, request.lease);
  const grant = leaseGrant(ledger.state, request.lease);
  if (typeof grant !== 'object') return;
  market.held[bidder] = { id: request.lease, leftMicros: grant.amountMicros, untilMs: grant.untilMs };
}

function place(market: Market, { bidder, price, wins, discount }: Extract<Move, { act: 'bid' }>): void {
  const lease = market.held[bidder];
  const { nowMs } = market.ledger;
  if (lease === undefined || nowMs >= lease.untilMs || lease.leftMicros < price) return;
  lease.leftMicros -= price;
  const costMicros = wins ? Math.max(0, price - discount) : undefined;
  const placed = {
    lease: lease.id,
    bid: `x${market.bids.length}`,
    timeMs: nowMs,
    priceMicros: price,
    costMicros,
  };
  market.bids.push(placed);
  market.untold.push(placed);
}

function perform(market: Market, one: Move): void {
  const { ledger, untold, bids } = market;
  switch (one.act) {
    case 'ask':
      ask(market, one.bidder, one.amount);
      return;
    case 'bid':
      place(market, one);
      return;
    case 'tell': {
      const [next] = untold.splice(one.index % Math.max(1, untold.length), 1);
      if (next !== undefined) tell(market, next);
      const known = bids.find((candidate) => !untold.includes(candidate));
      const isHeld = ledger.state.leases.some((lease) => lease.id === known?.lease);
      if (one.again && known !== undefined && isHeld) tell(market, known);
      return;
    }
    case 'report': {
      const { period } = market.reports;
      const asOf = ledger.nowMs;
      const periodStart = asOf - ((asOf - START_MS) % (period === 'day' ? DAY_MS : HOUR_MS));
      const costMicros = truth(market, periodStart, asOf + 1);
      ledger.send(report({ ...market.reports, periodStart, asOf, costMicros }));
      // What is won from here on is later than what the report has counted.
      ledger.passTo(asOf + 1);
      return;
    }
    case 'pass': {
      const toMs = ledger.nowMs + one.byMs;
      const [old, young]: Bid[][] = [[], []];
      for (const bid of untold) (toMs - bid.timeMs > LONGEST_SILENCE_MS ? old : young)!.push(bid);
      market.untold = young!;
      for (const bid of old!) tell(market, bid);
      ledger.passTo(toMs);
    }
  }
}

function play(moves: readonly Move[], reports: Reporting, tellsHeld: boolean): Market {
  const pacing = { ...accountDefinition().pacing, stepMs: 6 * HOUR_MS };
  const ledger = openLedger({ dailyBudgetMicros: DAILY_MICROS, leaseShare: 0.5, pacing });
  const market: Market = { ledger, bids: [], untold: [], held: [], returned: [], reports, tellsHeld };
  for (const one of moves) perform(market, one);
  for (const bid of market.untold.splice(0)) tell(market, bid);
  return market;
}

describe('bidders who keep to their leases', () => {
  const moves = fc.array(move, { minLength: 20, maxLength: 250, size: 'max' });

  it('never spend more than the budget of a day, and settle exactly what they cost', {
    timeout: 120_000,
  }, () => {
    fc.assert(
      fc.property(moves, reporting, fc.boolean(), (list, reports, tellsHeld) => {
        const market = play(list, reports, tellsHeld);
        const { state } = market.ledger;
        expect(state.counters).toMatchObject({ lateWins: 0, contradicted: 0, leaseOverspendMicros: 0 });
        for (const day of state.days) {
          const costMicros = truth(market, day.startMs, day.startMs + DAY_MS);
          expect(day.settledMicros).toBe(costMicros);
          expect(costMicros).toBeLessThanOrEqual(DAILY_MICROS);
        }
        expect(state.settledMicros).toBe(truth(market, START_MS, Number.MAX_SAFE_INTEGER));
        checkSums(market.ledger);
      }),
      { numRuns: 800 },
    );
  });

  it('come as close to the budget as they like', () => {
    const bidders = [0, 1, 2];
    const round: Move[] = bidders.flatMap((bidder) => [
      { act: 'ask', bidder, amount: 8_000 } as const,
      ...new Array<Move>(80).fill({ act: 'bid', bidder, price: 100, wins: true, discount: 0 }),
    ]);
    const market = play([...round, ...round, ...round], { country: '', period: 'day' }, true);
    const costMicros = truth(market, START_MS, START_MS + DAY_MS);
    expect(costMicros).toBeGreaterThan(DAILY_MICROS * 0.95);
    expect(costMicros).toBeLessThanOrEqual(DAILY_MICROS);
  });
});
