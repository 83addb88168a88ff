// Whoever is woken by FlywheelBidsUndefined finds in the log what it is that is not defined.
import { expect, it } from 'vitest';
import type { BidDefinitions } from '../../serve/bids/bid-answer.ts';
import { createUndefinedBids } from '../../serve/bids/undefined-bids.ts';

const nothing: BidDefinitions = { campaign: undefined, account: undefined, score: undefined };
const campaign = { document: { accountId: 'acme', scoreId: 'opportunity' } };
const withCampaign = { ...nothing, campaign } as BidDefinitions;

it('names what is missing, of each reason at most once a minute', () => {
  const told: unknown[] = [];
  let nowMs = 5;
  const look = createUndefinedBids({
    log: { info() {}, error() {}, warn: (_message, fields) => told.push(fields?.missing) },
    clock: { nowMs: () => 0, monotonicMs: () => nowMs },
  });
  look('bid', 'search', withCampaign);
  look('noLease', 'search', withCampaign);
  expect(told).toEqual([]);
  look('unknownCampaign', 'serach', nothing);
  look('unknownCampaign', 'serach', nothing);
  look('unknownAccount', 'search', withCampaign);
  look('unknownScore', 'search', withCampaign);
  expect(told).toEqual(['campaign/serach', 'account/acme', 'score/opportunity']);
  nowMs += 59_999;
  look('unknownCampaign', 'serach', nothing);
  nowMs += 1;
  look('unknownCampaign', 'other', nothing);
  expect(told.slice(3)).toEqual(['campaign/other']);
});
