// The table `campaign_hours` against the oracle's own ledger.
import { byEffects, readAggregates } from './aggregate-rows.ts';
import { HOUR_MS } from './ledger/reports.ts';
import type { Scope } from './scope.ts';
import { addTo, compareGroups, type Grouped, whole } from './table.ts';

/** Settled by campaign and hour; a cell that came to nothing again may stand there as zeros. */
export async function compareCampaignHours(scope: Scope): Promise<void> {
  const expected: Grouped = new Map();
  for (const { walk, ledger } of scope.spend) {
    for (const account of ledger.accounts.values()) {
      for (const { campaign, channel, dayMs, settled } of account.books) {
        for (const [place, [impressions, clicks, costMicros]] of settled) {
          const [hour, country = ''] = place.split('|');
          const second = (dayMs + Number(hour) * HOUR_MS) / 1_000;
          const where = `campaign ${campaign} hour ${second} country ${country} channel ${channel} account ${account.id} partition ${walk.partition}`;
          addTo(expected, where, { impressions, clicks, cost_micros: costMicros, isReached: true });
        }
      }
    }
  }
  const columns = [
    'campaign',
    'account',
    ['hour', 'toUnixTimestamp(hour)'] as const,
    'country',
    'channel',
    'partition',
    whole('impressions'),
    whole('clicks'),
    whole('cost_micros'),
    ['version', 'toString(version)'] as const,
  ];
  const actual: Grouped = new Map();
  const rows = await readAggregates(scope, scope.spend, 'campaign_hours', columns, byEffects);
  for (const { row, hasMovedOn, isReached } of rows) {
    const { campaign, account, hour, country, channel, partition, version: _, ...figures } = row;
    const name = `campaign ${campaign} hour ${hour} country ${country} channel ${channel} account ${account} partition ${partition}`;
    if (hasMovedOn) expected.delete(name);
    else if (!isReached || Object.values(figures).some((figure) => figure !== 0))
      addTo(actual, name, { ...figures, isReached });
  }
  compareGroups(scope.comparison, 'campaign_hours rows', expected, actual);
}
