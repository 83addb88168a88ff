// Whoever is woken by FlywheelBidsUndefined finds in the log what it is that is not defined.
import { expect, it } from 'vitest';
import type { BidDefinitions } from '../../serve/bids/bid-answer.ts';
import { createUndefinedBids } from '../../serve/bids/undefined-bids.ts';

const nothing: BidDefinitions = { campaign: undefined, account: undefined, score: undefined };
const campaign = { document: { accountId: 'acme', scoreId: 'opportunity' } };
const withCampaign = { ...nothing, campaign } as BidDefinitions;

it('names all that is missing, each at most once a minute', () => {
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
  look('unknownCampaign', 'rare', nothing);
  look('unknownAccount', 'search', withCampaign);
  look('unknownScore', 'search', withCampaign);
  expect(told).toEqual(['campaign/serach', 'campaign/rare', 'account/acme', 'score/opportunity']);
  nowMs += 59_999;
  look('unknownCampaign', 'serach', nothing);
  nowMs += 1;
  for (const each of ['serach', 'serach', ...Array.from({ length: 30 }, (_, index) => `made-up-${index}`)])
    look('unknownCampaign', each, nothing);
  expect(told.slice(4)).toHaveLength(20);
  expect(told.slice(4, 6)).toEqual(['campaign/serach', 'campaign/made-up-0']);
  look('unknownScore', 'search', withCampaign);
  expect(told.at(-1)).toBe('score/opportunity');
});
