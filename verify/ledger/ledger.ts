// The accounts of one partition of `spend`, account by account, with the facts that follow from the log.
import type { SpendTopicRecord } from '../../domain/record.ts';
import type { Walk } from '../watermark.ts';
import { AccountLedger } from './account.ts';
import type { LedgerFacts } from './facts.ts';

export interface Ledger {
  readonly accounts: ReadonlyMap<string, AccountLedger>;
  readonly facts: LedgerFacts;
}

/** Lives through every account of the partition; leases end and pacing takes its steps by the partition's watermark. */
export function keepLedger(walk: Walk<SpendTopicRecord>): Ledger {
  const facts: LedgerFacts = { spend: [], leases: [], grants: [], rejected: new Map() };
  const accounts = new Map<string, AccountLedger>();
  const when = (dueMs: number) => {
    const { offset } = walk.firstReaching(dueMs)!;
    return { offset, epoch: walk.history.at(offset) };
  };
  for (const { offset, appendMs, watermarkMs, record } of walk.steps) {
    if (record === undefined || record.kind === 'clock' || record.kind === 'definition') continue;
    const account = accounts.get(record.account) ?? new AccountLedger(record.account, facts);
    accounts.set(record.account, account);
    account.passTo(watermarkMs, when);
    account.take(record, { offset, appendMs, watermarkMs, epoch: walk.history.at(offset) });
  }
  for (const account of accounts.values()) account.passTo(walk.watermarkMs, when);
  return { accounts, facts };
}
