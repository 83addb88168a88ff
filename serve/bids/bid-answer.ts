// One bid: what it is worth, from which lease it comes, and everything that explains it.
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { UNKNOWN } from '../../domain/attributes.ts';
import { type BidInput, type BidPrice, bidPrice, bidReasons } from '../../domain/bid.ts';
import { newBuyer } from '../../domain/buyer.ts';
import type {
  AccountDefinition,
  CampaignDefinition,
  InForce,
  ScoreDefinition,
} from '../../domain/definition.ts';
import { byCodeInForce } from '../../domain/history.ts';
import { limitMultiplier } from '../../domain/pacing.ts';
import { type ScoredBuyer, scoreOf } from '../../domain/score.ts';
import { countryOfCode } from '../../platform/iso-codes.ts';
import { buyerKeyText, isoOrNull, isoTime } from '../answer.ts';
import { factor } from '../buyers/buyer-answer.ts';
import type { NoticedBid, NoticeKind } from '../notice-address.ts';
import type { BuyerReading } from '../state.ts';
import type { AccountLeases } from './account-leases.ts';
import type { HeldLease } from './lease.ts';

const MILLION = 1_000_000;
const attribute = z.string().min(1).max(64);
const definitionId = z.string().min(1).max(128);

/** Nothing else: a misspelt `floorMicros` would bid below the floor. */
export const bidRequest = z.strictObject({
  campaignId: definitionId.meta({ examples: ['search-machinery'] }),
  buyerKey: buyerKeyText.optional().meta({
    description:
      'A buyer: `u:<userId>`, `a:<anonymousId>`, or a user id alone. Of a kind alone (`u:`) nobody is known, as if it were absent.',
    examples: ['u:buyer-123'],
  }),
  country: z
    .string()
    .regex(/^[A-Z]{2}$/)
    .optional()
    .meta({ description: 'ISO 3166-1 alpha-2; the buyer’s own if absent.', examples: ['US'] }),
  industry: attribute.optional(),
  level: attribute.optional(),
  channel: z.string().min(1).max(64).optional().meta({ description: 'The campaign’s own if absent.' }),
  bidId: z
    .string()
    .min(1)
    .max(240)
    .optional()
    .meta({ description: 'Made up if absent; unique, or its notices are one.' }),
  floorMicros: z.int().min(0).optional().meta({ description: 'The least that is taken.' }),
  priceUnits: z
    .union([z.literal(1), z.literal(1_000)])
    .optional()
    .meta({ description: 'A price added to the notice addresses is for so many impressions; 1 if absent.' }),
});
export type BidRequest = z.infer<typeof bidRequest>;

const version = z.object({ id: z.string(), revision: z.int(), hash: z.string() });
export const answerReasons = [...bidReasons, 'unknownCampaign', 'unknownAccount', 'unknownScore'] as const;
export type AnswerReason = (typeof answerReasons)[number];

export const bidAnswer = z.object({
  bidId: z.string(),
  campaignId: z.string(),
  accountId: z.string().nullable(),
  bidMicros: z.int().meta({ description: 'For one impression; 0 unless the reason is `bid`.' }),
  currency: z.string().nullable(),
  reason: z.enum(answerReasons),
  worthMicros: z.int().meta({ description: 'probability × value × multiplier, before any ceiling.' }),
  validMs: z.int().meta({ description: 'How long the bid may be used.' }),
  lease: z.string().nullable(),
  notices: z
    .object({ impression: z.string(), click: z.string(), win: z.string(), loss: z.string() })
    .nullable()
    .meta({ description: 'Signed addresses to call when it happens; `?price=` may be added to win.' }),
  inputs: z
    .object({
      probability: z.number(),
      logit: z.number(),
      factors: z.array(factor),
      scoreAsOf: isoTime.nullable().meta({ description: 'The watermark that the buyer was scored at.' }),
      buyerKey: z
        .string()
        .nullable()
        .meta({ description: 'Who was scored: for a visitor who is linked, its person.' }),
      buyerKnown: z.boolean(),
      country: z.string(),
      valueMicros: z.int(),
      maxBidMicros: z.int(),
      multiplier: z.number(),
      accountAsOf: isoTime.nullable().meta({ description: 'The watermark of the multiplier.' }),
      floorMicros: z.int(),
      leaseLeftMicros: z.int().nullable().meta({ description: 'What the lease held before this bid.' }),
    })
    .nullable(),
  versions: z.object({
    campaign: version.nullable(),
    account: version.nullable(),
    score: version.nullable(),
  }),
});
export type BidAnswer = z.infer<typeof bidAnswer>;

/** The definitions that a bid stands on; those that are not in force are missing. */
export interface BidDefinitions {
  readonly campaign: InForce<CampaignDefinition> | undefined;
  readonly account: InForce<AccountDefinition> | undefined;
  readonly score: InForce<ScoreDefinition> | undefined;
}

/** What bids need beside the request. `sign` makes the addresses of its notices, the request's own host in front. */
export interface BidContext {
  readonly leases: AccountLeases | null;
  readonly reading: BuyerReading | null;
  sign(bid: NoticedBid): Record<NoticeKind, string>;
}

function versionOf(definition: InForce | undefined): z.infer<typeof version> | null {
  return definition === undefined
    ? null
    : { id: definition.id, revision: definition.revision, hash: definition.hash };
}

function versionsOf(definitions: BidDefinitions): BidAnswer['versions'] {
  return {
    campaign: versionOf(definitions.campaign),
    account: versionOf(definitions.account),
    score: versionOf(definitions.score),
  };
}

function missing(
  request: BidRequest,
  bidId: string,
  definitions: BidDefinitions,
  reason: AnswerReason,
): BidAnswer {
  return {
    bidId,
    campaignId: request.campaignId,
    accountId: definitions.campaign?.document.accountId ?? null,
    bidMicros: 0,
    currency: definitions.account?.document.currency ?? null,
    reason,
    worthMicros: 0,
    validMs: 0,
    lease: null,
    notices: null,
    inputs: null,
    versions: versionsOf(definitions),
  };
}

/** What a bid stands on where nothing is known. */
const NOBODY: ScoredBuyer = newBuyer('');

/** The buyer as the state knows it; what the request says of it goes over that. */
function scoredBuyer(request: BidRequest, reading: BuyerReading | null): ScoredBuyer {
  const known = reading?.buyer ?? NOBODY;
  const said = (name: 'country' | 'industry' | 'level') => {
    const value = request[name];
    return value === undefined ? known[name] : { value, timeMs: 0, messageId: '' };
  };
  return {
    engagement: known.engagement,
    country: byCodeInForce(said('country')),
    industry: said('industry'),
    level: said('level'),
  };
}

/** The least that a lease must hold for a bid with this floor. */
export function leastOf(floorMicros: number | undefined): number {
  return Math.max(1, floorMicros ?? 0);
}

/** A price and the lease it comes from. */
interface Placed {
  readonly price: BidPrice;
  readonly lease: HeldLease | null;
  readonly leaseLeftMicros: number | null;
}

/** Prices the bid from the lease that fits, and sets the price aside: without a pause in between. */
function placeBid(terms: BidInput, leases: AccountLeases): Placed {
  const wanted = bidPrice(terms, Number.MAX_SAFE_INTEGER);
  if (wanted.reason !== 'bid') return { price: wanted, lease: null, leaseLeftMicros: null };
  const leastMicros = leastOf(terms.minimumMicros);
  leases.want(wanted.bidMicros, leastMicros);
  const lease = leases.leaseFor(wanted.bidMicros);
  const leaseLeftMicros = lease?.leftMicros ?? null;
  const price = bidPrice(terms, leaseLeftMicros);
  if (lease === undefined || price.reason !== 'bid') {
    leases.lack(leastMicros);
    return { price, lease: null, leaseLeftMicros };
  }
  leases.reserve(lease, price.bidMicros);
  return { price, lease, leaseLeftMicros };
}

function multiplierOf(account: AccountDefinition, leases: AccountLeases): number {
  const { minMultiplier, maxMultiplier } = account.pacing;
  const millionths = leases.reading?.state?.pacing.multiplierMillionths ?? MILLION;
  return limitMultiplier(millionths, minMultiplier, maxMultiplier) / MILLION;
}

/** What this bid would set aside if there were a lease: 0 where nothing would be bid. Tells a keeper what to ask for. */
export function wantedMicros(
  request: BidRequest,
  { campaign, account, score }: BidDefinitions,
  leases: AccountLeases,
  reading: BuyerReading | null,
): number {
  if (campaign === undefined || account === undefined || score === undefined) return 0;
  const buyer = scoredBuyer(request, reading);
  const { probability } = scoreOf(score.document, buyer, reading?.watermarkMs ?? 0);
  const terms = termsOf(
    request,
    campaign.document,
    buyer,
    probability,
    multiplierOf(account.document, leases),
  );
  return bidPrice(terms, Number.MAX_SAFE_INTEGER).bidMicros;
}

/** What a bid is priced by, but for the lease. Written out: a spread costs more than all of the pricing. */
function termsOf(
  request: BidRequest,
  { valueMicros, maxBidMicros, status, countries }: CampaignDefinition,
  buyer: ScoredBuyer,
  probability: number,
  multiplier: number,
) {
  const country = buyer.country?.value ?? '';
  const minimumMicros = request.floorMicros ?? 0;
  return { probability, multiplier, valueMicros, maxBidMicros, status, countries, country, minimumMicros };
}

/** Answers one bid request, with 0 and the reason where nothing is bid. */
export function answerBid(request: BidRequest, definitions: BidDefinitions, context: BidContext): BidAnswer {
  const bidId = request.bidId?.toWellFormed() ?? randomUUID();
  const { campaign, account, score } = definitions;
  if (campaign === undefined) return missing(request, bidId, definitions, 'unknownCampaign');
  if (account === undefined || context.leases === null)
    return missing(request, bidId, definitions, 'unknownAccount');
  if (score === undefined) return missing(request, bidId, definitions, 'unknownScore');
  const { leases, reading } = context;
  const buyer = scoredBuyer(request, reading);
  const scored = scoreOf(score.document, buyer, reading?.watermarkMs ?? 0);
  const multiplier = multiplierOf(account.document, leases);
  const terms = termsOf(request, campaign.document, buyer, scored.probability, multiplier);
  const { country } = terms;
  const { price, lease, leaseLeftMicros } = placeBid(terms, leases);
  const inputs = {
    probability: scored.probability,
    logit: scored.logit,
    factors: [...scored.factors],
    scoreAsOf: isoOrNull(reading?.watermarkMs ?? 0),
    buyerKey: reading?.key ?? null,
    buyerKnown: reading !== null && reading.buyer !== null,
    country,
    valueMicros: terms.valueMicros,
    maxBidMicros: terms.maxBidMicros,
    multiplier,
    accountAsOf: isoOrNull(leases.reading?.watermarkMs ?? 0),
    floorMicros: terms.minimumMicros,
    leaseLeftMicros,
  };
  return {
    bidId,
    campaignId: campaign.id,
    accountId: account.id,
    bidMicros: price.bidMicros,
    currency: account.document.currency,
    reason: price.reason,
    worthMicros: price.worthMicros,
    validMs: lease === null ? 0 : leases.bidLifeMs(lease),
    lease: lease?.id ?? null,
    notices:
      lease === null
        ? null
        : context.sign({
            account: account.id,
            campaign: campaign.id,
            channel: request.channel?.toWellFormed() ?? campaign.document.channel,
            // As a platform's row must say it, so that the row counts what the bid's notices do.
            country: countryOfCode(country) ?? UNKNOWN.country,
            bid: bidId,
            lease: lease.id,
            currency: account.document.currency,
            bidMicros: price.bidMicros,
            priceUnits: request.priceUnits ?? 1,
          }),
    inputs,
    versions: versionsOf(definitions),
  };
}
