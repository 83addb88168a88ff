// Accounts and campaigns for a data set that brings spend but no budgets.
import type { FeedDefinition } from '../feed.ts';

/** An account and what one of its days came to, on average. */
export interface SeenAccount {
  readonly id: string;
  readonly name: string;
  readonly currency: string;
  readonly meanDayMicros: number;
}

export interface SeenCampaign {
  readonly id: string;
  readonly name: string;
  readonly accountId: string;
  readonly channel: string;
}

/** Up to two digits, so that the budget is a round figure at or above the mean. */
function roundedUp(micros: number): number {
  if (micros <= 0) return 1_000_000;
  const unit = 10 ** (Math.floor(Math.log10(micros)) - 1);
  return Math.ceil(micros / unit) * unit;
}

/** The files name no budgets: a round figure at the mean of a day's spend stands in, so that days go above and below. */
export function spendDefinitions(
  accounts: Iterable<SeenAccount>,
  campaigns: Iterable<SeenCampaign>,
): FeedDefinition[] {
  const definitions: FeedDefinition[] = [];
  for (const { id, name, currency, meanDayMicros } of accounts) {
    const document = { name, currency, dailyBudgetMicros: roundedUp(meanDayMicros) };
    definitions.push({ type: 'account', id, document });
  }
  for (const { id, name, accountId, channel } of campaigns) {
    definitions.push({ type: 'campaign', id, document: { name, accountId, channel } });
  }
  return definitions;
}
