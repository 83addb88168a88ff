import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BidInput, bidPrice, bidReasons } from '../../domain/bid.ts';

type Bid = BidInput & { readonly leaseLeftMicros: number | null };
const priceOf = ({ leaseLeftMicros, ...terms }: Bid) => bidPrice(terms, leaseLeftMicros);

const input: Bid = {
  probability: 0.02,
  valueMicros: 5_000_000,
  multiplier: 1.5,
  maxBidMicros: 0,
  leaseLeftMicros: 1_000_000,
};

describe('bidPrice', () => {
  it('bids probability × value × multiplier', () => {
    expect(priceOf(input)).toEqual({ bidMicros: 150_000, reason: 'bid', worthMicros: 150_000 });
  });

  it('stays below the campaign’s ceiling and within the lease', () => {
    expect(priceOf({ ...input, maxBidMicros: 90_000 })).toMatchObject({
      bidMicros: 90_000,
      worthMicros: 150_000,
    });
    expect(priceOf({ ...input, leaseLeftMicros: 70_000 })).toMatchObject({
      bidMicros: 70_000,
      reason: 'bid',
    });
  });

  const none: [BidInput['status'] | string, Partial<Bid>][] = [
    ['paused', { status: 'paused', leaseLeftMicros: null }],
    ['countryExcluded', { countries: ['DE', 'US'], country: 'FR' }],
    ['countryUnknown', { countries: ['DE'] }],
    ['zeroValue', { valueMicros: 0 }],
    ['zeroValue', { probability: 0 }],
    ['zeroValue', { probability: Number.NaN }],
    ['zeroValue', { multiplier: 0 }],
    ['belowMinimum', { minimumMicros: 150_001 }],
    ['belowMinimum', { minimumMicros: 100, maxBidMicros: 99 }],
    ['noLease', { leaseLeftMicros: null }],
    ['leaseExhausted', { leaseLeftMicros: 0 }],
    ['leaseExhausted', { leaseLeftMicros: 99, minimumMicros: 100 }],
  ];
  it.each(none)('says %s', (reason, change) => {
    expect(priceOf({ ...input, ...change })).toMatchObject({ bidMicros: 0, reason });
  });

  it('takes a country that is called UK for GB, whoever calls it so', () => {
    for (const [country, named] of [
      ['UK', 'GB'],
      ['GB', 'UK'],
    ] as const)
      expect(priceOf({ ...input, countries: [named], country }).reason).toBe('bid');
  });

  it('takes a country that the campaign names', () => {
    expect(priceOf({ ...input, countries: ['DE', 'US'], country: 'US' }).reason).toBe('bid');
  });

  it.each([undefined, '', 'ZZ'])(
    'takes a country that is not known (%s) where the campaign names ZZ',
    (country) => {
      const where = country === undefined ? {} : { country };
      expect(priceOf({ ...input, ...where, countries: ['US', 'ZZ'] }).reason).toBe('bid');
      expect(priceOf({ ...input, ...where, countries: ['US'] }).reason).toBe('countryUnknown');
    },
  );

  it('is a whole number, never above lease, ceiling or worth, never below the least bid', () => {
    const money = fc.nat(10_000_000);
    const drawn = fc.record({
      probability: fc.double({ min: 0, max: 1, noNaN: true }),
      valueMicros: money,
      multiplier: fc.double({ min: 0, max: 100, noNaN: true }),
      maxBidMicros: money,
      leaseLeftMicros: fc.option(money),
      minimumMicros: fc.nat(100_000),
    });
    fc.assert(
      fc.property(drawn, (bid) => {
        const { bidMicros, reason, worthMicros } = priceOf(bid);
        expect(bidReasons).toContain(reason);
        expect(Number.isSafeInteger(bidMicros)).toBe(true);
        expect(bidMicros > 0).toBe(reason === 'bid');
        if (reason !== 'bid') return;
        expect(bidMicros).toBeLessThanOrEqual(Math.min(worthMicros, bid.leaseLeftMicros!));
        if (bid.maxBidMicros > 0) expect(bidMicros).toBeLessThanOrEqual(bid.maxBidMicros);
        expect(bidMicros).toBeGreaterThanOrEqual(bid.minimumMicros);
      }),
      { numRuns: 3_000 },
    );
  });
});
