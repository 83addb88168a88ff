// Bids that are asked for what is not defined: a metric says that there are any, and this of what, in the log.
import type { Dependencies } from '../dependencies.ts';
import type { AnswerReason, BidDefinitions } from './bid-answer.ts';

/** Whoever misspells an id asks thousands of times a second. */
const PAUSE_MS = 60_000;
/** Names that are told in that time, of each reason: who makes campaigns up has as many as bids. */
const NAMES_MAX = 20;

/** `campaign/…`, `account/…` or `score/…`. */
function missingOf(
  reason: AnswerReason,
  campaignId: string,
  { campaign }: BidDefinitions,
): string | undefined {
  switch (reason) {
    case 'unknownCampaign':
      return `campaign/${campaignId}`;
    case 'unknownAccount':
      return `account/${campaign?.document.accountId}`;
    case 'unknownScore':
      return `score/${campaign?.document.scoreId}`;
    default:
      return undefined;
  }
}

/** Takes what every bid came to, and warns of what is not defined: of each at most once a minute. */
export function createUndefinedBids({ log, clock }: Pick<Dependencies, 'log' | 'clock'>) {
  const told = new Map<AnswerReason, Set<string>>();
  let sinceMs = Number.NEGATIVE_INFINITY;
  return function look(reason: AnswerReason, campaignId: string, definitions: BidDefinitions): void {
    const missing = missingOf(reason, campaignId, definitions);
    if (missing === undefined) return;
    const nowMs = clock.monotonicMs();
    if (nowMs - sinceMs >= PAUSE_MS) {
      told.clear();
      sinceMs = nowMs;
    }
    const names = told.get(reason) ?? new Set();
    if (names.has(missing) || names.size >= NAMES_MAX) return;
    told.set(reason, names.add(missing));
    log.warn('a bid is asked for what is not defined', { missing, campaign: campaignId, reason });
  };
}
