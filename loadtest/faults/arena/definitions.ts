// The definitions of an arena: the project's own, a receiver that stands in for the team's, and an account so small that
// what is bid for meets its budget.
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const OWN = fileURLToPath(new URL('../../../definitions', import.meta.url));

export const RECEIVER = 'stand-in';
export const TIGHT_ACCOUNT = 'tight';
export const TIGHT_CAMPAIGN = 'tight-search';

/** Campaigns that the exchange asks bids for: the exchange alone spends of their accounts. */
export const AUCTIONED = [
  { campaign: TIGHT_CAMPAIGN, account: TIGHT_ACCOUNT },
  { campaign: 'search-machinery', account: 'search-portfolio' },
  { campaign: 'social-return', account: 'social-portfolio' },
] as const;

/** What the platform reports spend of by itself. */
export const REPORTED = { campaign: 'mail-return', channel: 'email', currency: 'USD' } as const;

/** A fault counts only if so much of the account's budget is taken (spent.ts), */
export const TIGHT_TAKEN_MICROS = 18_000_000;
/** and so much of that cleared. Each `serve` that is killed may take a quarter of what is free with it. */
export const TIGHT_CLEARED_MICROS = { afterKills: 5_000_000, else: 10_000_000 } as const;

const tight = {
  name: 'An account that is soon spent',
  currency: 'USD',
  dailyBudgetMicros: 20_000_000,
  utcOffsetMinutes: 0,
  leaseTtlMs: 5_000,
  bidLifeMs: 5_000,
  noticeHorizonMs: 60_000,
};

const tightSearch = {
  name: 'Search, of the account that is soon spent',
  accountId: TIGHT_ACCOUNT,
  channel: 'search',
  // Small beside the budget, so that its last tenth can be bid for.
  valueMicros: 20_000_000,
  maxBidMicros: 2_000_000,
  scoreId: 'opportunity',
  countries: [],
};

/** Writes them below `dir` and answers the folder. */
export function writeDefinitions(
  dir: string,
  receiverUrl: string,
  secretName: string,
  others: Readonly<Record<string, unknown>>,
): string {
  const folder = path.join(dir, 'definitions');
  // The built project has them beside the sources.
  cpSync(OWN, folder, { recursive: true });
  const receiver = {
    name: 'A receiver that stands in for the CRM of a team',
    url: receiverUrl,
    triggers: ['qualified-opportunity', 'lost-buyer', 'matured-buyer'],
    secret: secretName,
    timeoutMs: 2_000,
    retryAfterMs: Array.from({ length: 10 }, () => 500),
    concurrency: 8,
  };
  const documents = {
    [`receiver/${RECEIVER}`]: receiver,
    [`account/${TIGHT_ACCOUNT}`]: tight,
    [`campaign/${TIGHT_CAMPAIGN}`]: tightSearch,
    ...others,
  };
  for (const [name, document] of Object.entries(documents)) {
    const file = path.join(folder, `${name}.json`);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, JSON.stringify(document));
  }
  return folder;
}
