// What one impression is worth to a campaign, and what is bid for it.
import { countryMeant, UNKNOWN } from './attributes.ts';

export const bidReasons = [
  'bid',
  /** The campaign is paused. */
  'paused',
  /** The campaign is for some countries, and the buyer's is not known. */
  'countryUnknown',
  /** The campaign is for other countries. */
  'countryExcluded',
  /** The process holds no lease that is still good. */
  'noLease',
  /** The lease has nothing left, or less than the least bid. */
  'leaseExhausted',
  /** Probability, value or multiplier come to nothing. */
  'zeroValue',
  /** The price is below the least that is taken. */
  'belowMinimum',
] as const;
export type BidReason = (typeof bidReasons)[number];

export interface BidInput {
  /** Of the campaign's goal, in [0, 1]. */
  readonly probability: number;
  readonly valueMicros: number;
  /** The account's pacing multiplier. */
  readonly multiplier: number;
  /** The campaign's own ceiling; 0 for none. */
  readonly maxBidMicros: number;
  /** The least that is taken: the exchange's floor, at least 1. */
  readonly minimumMicros?: number;
  readonly status?: 'active' | 'paused';
  /** '' if it is not known. */
  readonly country?: string;
  /** The campaign's countries, `ZZ` for buyers whose country is not known; none means all. */
  readonly countries?: readonly string[];
}

export interface BidPrice {
  /** 0 unless the reason is `bid`. */
  readonly bidMicros: number;
  readonly reason: BidReason;
  /** probability × value × multiplier, before any ceiling. */
  readonly worthMicros: number;
}

/**
 * The price in whole micros, rounded down, never above the campaign's ceiling or what the lease holds.
 * @param leaseLeftMicros what the lease still holds; null without a lease
 */
export function bidPrice(input: BidInput, leaseLeftMicros: number | null): BidPrice {
  const { probability, valueMicros, multiplier, maxBidMicros, countries = [] } = input;
  const worth = Math.floor(probability * valueMicros * multiplier);
  const worthMicros = Number.isFinite(worth) && worth > 0 ? worth : 0;
  const none = (reason: BidReason): BidPrice => ({ bidMicros: 0, reason, worthMicros });
  const minimumMicros = Math.max(1, input.minimumMicros ?? 1);
  if (input.status === 'paused') return none('paused');
  const country = countryMeant(input.country || UNKNOWN.country);
  if (countries.length > 0 && !countries.some((named) => countryMeant(named) === country)) {
    return none(country === UNKNOWN.country ? 'countryUnknown' : 'countryExcluded');
  }
  if (worthMicros === 0) return none('zeroValue');
  const wantedMicros = maxBidMicros > 0 ? Math.min(worthMicros, maxBidMicros) : worthMicros;
  if (wantedMicros < minimumMicros) return none('belowMinimum');
  if (leaseLeftMicros === null) return none('noLease');
  if (leaseLeftMicros < minimumMicros) return none('leaseExhausted');
  return { bidMicros: Math.min(wantedMicros, leaseLeftMicros), reason: 'bid', worthMicros };
}
