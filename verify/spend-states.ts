// Accounts in Redis and the tables `spend` and `leases`, against the oracle's own ledger.
import type { AccountState } from '../domain/account.ts';
import type { Fields } from './compare.ts';
import { idHash } from './id-hash.ts';
import type { AccountLedger } from './ledger/account.ts';
import { channelOf } from './ledger/account.ts';
import type { SpendFact } from './ledger/facts.ts';
import { NOTICES_KEPT_MAX, outstandingMicros } from './ledger/leases.ts';
import { type Scope, type SpendScope, writtenBy } from './scope.ts';
import { addTo, compareGroups, type Grouped, ms, readTable, whole } from './table.ts';

export function compareAccounts(scope: Scope): void {
  const { comparison } = scope;
  comparison.expectKind(
    'accounts',
    'settled days',
    'pacing',
    'notice memory',
    'leases held',
    'grants',
    'account timers',
  );
  for (const { stored, ledger } of scope.spend) {
    for (const [id, account] of ledger.accounts) {
      if (account.currency === '') continue;
      const state = stored.accounts.get(id);
      if (state === undefined) comparison.differ('accounts', `account ${id}`, 'a state', 'missing');
      else compareAccount(scope, account, state, stored.timers.get(id));
    }
    for (const id of stored.accounts.keys()) {
      const isKnown = ledger.accounts.get(id)?.currency !== '' && ledger.accounts.has(id);
      if (!isKnown) comparison.differ('accounts', `account ${id}`, 'no such account', 'a state');
    }
    compareGrants(scope, ledger.facts.grants);
  }
}

function compareAccount(
  scope: Scope,
  account: AccountLedger,
  state: AccountState,
  setMs: number | undefined,
): void {
  const { comparison } = scope;
  const where = `account ${account.id}`;
  const { closedReportedOverspendMicros: _, ...counters } = state.counters;
  comparison.fields(
    'accounts',
    where,
    {
      currency: account.currency,
      utcOffsetMinutes: account.utcOffsetMinutes,
      settledMicros: account.settledMicros,
      outstandingMicros: outstandingMicros(account.leases),
      refusals: account.refusals,
      ...account.beyond,
    },
    {
      currency: state.currency,
      utcOffsetMinutes: state.utcOffsetMinutes,
      settledMicros: state.settledMicros,
      outstandingMicros: state.leases.reduce(
        (sum, lease) => sum + Math.max(0, lease.amountMicros - lease.settledMicros - lease.freedMicros),
        0,
      ),
      refusals: state.refusals,
      ...counters,
    },
  );
  compareDays(scope, account, state);
  compareLeases(scope, account, state);
  comparison.fields('pacing', where, account.pacing.state, { ...state.pacing });
  const { epochMs, current, previous } = account.taken.memory;
  comparison.fields(
    'notice memory',
    where,
    { epochMs, current: 'as taken', previous: 'as taken' },
    {
      epochMs: state.memory.epochMs,
      current: remembered(current, state.memory.current),
      previous: remembered(previous, state.memory.previous),
    },
  );
  const dueMs = Math.min(...account.leases.map(({ horizonMs }) => horizonMs + 1));
  if (!Number.isFinite(dueMs)) return;
  comparison.counted('account timers');
  if (setMs === undefined || setMs > dueMs) {
    comparison.differ('account timers', `timer ${account.id}`, `at or before ${dueMs}`, setMs ?? 'none');
  }
}

/** What is remembered by its hash alone is that of the names that were taken, and no other's: a repeat settles once more, or nothing ever. */
function remembered(names: Iterable<string>, hashes: readonly number[]): string {
  const expected = new Set([...names].map(idHash));
  const actual = new Set(hashes);
  const lacking = [...expected].filter((hash) => !actual.has(hash)).length;
  const surplus = [...actual].filter((hash) => !expected.has(hash)).length;
  return lacking + surplus === 0 ? 'as taken' : `lacks ${lacking} of ${expected.size}, has ${surplus} others`;
}

/** Days that are over for good are kept as one sum a campaign. */
function compareDays({ comparison }: Scope, account: AccountLedger, state: AccountState): void {
  const closed = new Map(state.closed.map(({ campaign, settledMicros }) => [campaign, settledMicros]));
  const open = new Map<string, AccountState['days'][number]['books'][number]>(
    state.days.flatMap(({ startMs, books }) =>
      books.map((book) => [`${startMs} ${book.campaign} ${book.channel}`, book] as const),
    ),
  );
  const heldDays = new Set(state.days.map(({ startMs }) => startMs));
  for (const { dayMs, campaign, channel, settledMicros, clearedMicros } of account.books) {
    if (!heldDays.has(dayMs)) {
      closed.set(campaign, (closed.get(campaign) ?? 0) - settledMicros);
      continue;
    }
    const name = `${dayMs} ${campaign} ${channel}`;
    const actual = open.get(name);
    comparison.fields(
      'settled days',
      `account ${account.id} day ${name}`,
      { settledMicros, clearedMicros },
      actual && { ...actual },
    );
    open.delete(name);
  }
  for (const [name, book] of open) {
    comparison.differ('settled days', `account ${account.id} day ${name}`, 'none', book.settledMicros);
  }
  for (const [campaign, difference] of closed) {
    comparison.equal('settled days', `account ${account.id} closed ${campaign}: difference`, 0, difference);
  }
  for (const { startMs, settledMicros, auctions } of state.days) {
    const where = `account ${account.id} day ${startMs}`;
    comparison.fields(
      'settled days',
      where,
      { settledMicros: account.settledOn(startMs), auctions: account.auctions.get(startMs) ?? [] },
      { settledMicros, auctions },
    );
  }
}

function compareLeases({ comparison }: Scope, account: AccountLedger, state: AccountState): void {
  const held = new Map(state.leases.map((lease) => [lease.id, lease]));
  for (const {
    id,
    process,
    dayMs,
    amountMicros,
    settledMicros,
    freedMicros,
    grantedMs,
    untilMs,
    horizonMs,
    isReturned,
    seen,
    lost,
  } of account.leases) {
    const figures = { process, dayMs, amountMicros, settledMicros, freedMicros, untilMs, horizonMs };
    const actual = held.get(id);
    // A lease that an older version granted does not say it.
    const granted = actual?.grantedMs === undefined ? {} : { grantedMs };
    // Of what came beyond the cap nothing is known, so that one bid may have lost twice.
    const lostHeld = seen.size < NOTICES_KEPT_MAX ? lostOf(lost) : actual?.lost;
    comparison.fields(
      'leases held',
      `account ${account.id} lease ${id}`,
      { ...figures, ...granted, isReturned, seen: 'as taken', lost: lostHeld },
      actual && { ...actual, isReturned: actual.isReturned ?? false, seen: remembered(seen, actual.seen) },
    );
    held.delete(id);
  }
  for (const [id, lease] of held) {
    comparison.differ('leases held', `account ${account.id} lease ${id}`, 'not held', lease.amountMicros);
  }
}

/** What each lost bid gave back, by its hash. */
function lostOf(lost: ReadonlyMap<string, number>): (readonly [bid: number, freedMicros: number])[] {
  return [...lost].map(([bid, freed]) => [idHash(bid), freed] as const).sort(([a], [b]) => a - b);
}

/** The guarantee: with each grant, settled + outstanding stays within the budget in force. */
function compareGrants({ comparison }: Scope, grants: SpendScope['ledger']['facts']['grants']): void {
  for (const grant of grants) {
    comparison.counted('grants');
    const { committedTodayMicros, dailyBudgetMicros, committedTotalMicros, totalBudgetMicros } = grant;
    const isWithin =
      committedTodayMicros <= dailyBudgetMicros && committedTotalMicros <= (totalBudgetMicros ?? Infinity);
    if (!isWithin)
      comparison.differ('grants', `account ${grant.account} lease ${grant.lease}`, 'within budget', grant);
  }
}

export async function compareSpendRows(scope: Scope): Promise<void> {
  const expected: Grouped = new Map();
  for (const { walk, ledger } of scope.spend) {
    for (const fact of ledger.facts.spend) {
      addTo(expected, `spend ${walk.partition} offset ${fact.offset}`, spendRowOf(fact));
    }
  }
  const columns = [
    'account',
    ms('time'),
    'kind',
    'verdict',
    'message_id',
    'campaign',
    'channel',
    'country',
    'period',
    ms('as_of'),
    'bid',
    'lease',
    whole('impressions'),
    whole('clicks'),
    whole('cost_micros'),
    'currency',
    'partition',
    whole('offset'),
  ];
  const actual: Grouped = new Map();
  await readTable(scope.clickhouse, { table: 'spend', columns, where: writtenBy(scope.spend) }, (row) => {
    const { partition, offset, ...rest } = row;
    addTo(actual, `spend ${partition} offset ${offset}`, rest);
  });
  compareGroups(scope.comparison, 'spend rows', expected, actual);
}

function spendRowOf({ record, verdict }: SpendFact): Fields {
  const { account, messageId, campaign, country, currency } = record;
  const common = {
    account,
    verdict,
    message_id: messageId,
    campaign,
    channel: channelOf(record),
    country,
    currency,
  };
  if (record.kind === 'report') {
    const { period, impressions, clicks, costMicros } = record;
    const report = { kind: 'report', time: record.periodStart, period, bid: '', lease: '' };
    const asOf = Math.min(record.asOf, record.receivedAt);
    return { ...common, ...report, as_of: asOf, impressions, clicks, cost_micros: costMicros };
  }
  return {
    ...common,
    kind: record.notice,
    time: record.timestamp,
    period: '',
    as_of: record.timestamp,
    bid: record.bid,
    lease: record.lease ?? '',
    impressions: record.notice === 'impression' ? 1 : 0,
    clicks: record.notice === 'click' ? 1 : 0,
    cost_micros: record.notice === 'loss' ? 0 : record.costMicros,
  };
}

export async function compareLeaseRows(scope: Scope): Promise<void> {
  const expected: Grouped = new Map();
  for (const { walk, ledger } of scope.spend) {
    for (const { offset, timeMs, amountMicros, untilMs, ...rest } of ledger.facts.leases) {
      const row = { ...rest, time: timeMs, amount_micros: amountMicros, until: untilMs };
      addTo(expected, `leases ${walk.partition} offset ${offset}`, row);
    }
  }
  const columns = [
    'account',
    ms('time'),
    'lease',
    'process',
    'status',
    whole('amount_micros'),
    ms('until'),
    'partition',
    whole('offset'),
  ];
  const actual: Grouped = new Map();
  await readTable(scope.clickhouse, { table: 'leases', columns, where: writtenBy(scope.spend) }, (row) => {
    const { partition, offset, ...rest } = row;
    addTo(actual, `leases ${partition} offset ${offset}`, rest);
  });
  compareGroups(scope.comparison, 'leases rows', expected, actual);
}
