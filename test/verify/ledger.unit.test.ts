// The oracle's ledger, worked out by hand: reports over notices, cells within cells, leases within the budget.
import { describe, expect, it } from 'vitest';
import { accountPartition } from '../../platform/keys.ts';
import { openHistory } from '../../verify/in-force.ts';
import { keepLedger } from '../../verify/ledger/ledger.ts';
import { bookReports, type Report } from '../../verify/ledger/reports.ts';
import {
  type Body,
  clock,
  DAY_MS,
  definition,
  HOUR_MS,
  MINUTE_MS,
  NOON_MS,
  walkSpend,
} from './support/synthetic-log.ts';

const PARTITION = accountPartition('acme');
const MIDNIGHT_MS = NOON_MS - 12 * HOUR_MS;

const definitions = [
  definition('account', 'acme', {
    name: '',
    currency: 'USD',
    dailyBudgetMicros: 1_000,
    totalBudgetMicros: null,
    utcOffsetMinutes: 0,
    leaseTtlMs: 60_000,
    leaseShare: 0.5,
    bidLifeMs: 0,
    noticeHorizonMs: 0,
  }),
  definition('campaign', 'c', { name: '', accountId: 'acme', channel: 'search' }),
];

const common = { account: 'acme', campaign: 'c', channel: 'search', currency: 'USD', supplied: true };

function notice(bid: string, minutes: number, costMicros: number, more: Body = {}): Body {
  const timestamp = NOON_MS + minutes * MINUTE_MS;
  const times = { timestamp, receivedAt: timestamp };
  return {
    kind: 'notice',
    messageId: bid,
    notice: 'win',
    country: 'DE',
    bid,
    costMicros,
    ...common,
    ...times,
    ...more,
  };
}

function hourReport(asOfMinutes: number, costMicros: number, more: Body = {}): Body {
  const asOf = NOON_MS + asOfMinutes * MINUTE_MS;
  const figures = { impressions: 0, clicks: 0, costMicros };
  const period = { period: 'hour', periodStart: NOON_MS, asOf, receivedAt: asOf };
  return {
    kind: 'report',
    messageId: `r${asOfMinutes}`,
    country: '',
    ...figures,
    ...period,
    ...common,
    ...more,
  };
}

function request(lease: string, amountMicros: number, more: Body = {}): Body {
  return {
    kind: 'leaseRequest',
    lease,
    account: 'acme',
    process: 'p',
    amountMicros,
    timestamp: NOON_MS,
    ...more,
  };
}

function kept(...records: readonly Body[]) {
  const ledger = keepLedger(walkSpend(PARTITION, [...definitions, ...records]));
  const account = ledger.accounts.get('acme')!;
  return { ...ledger, account, verdicts: ledger.facts.spend.map(({ verdict }) => verdict) };
}

describe('notices and reports', () => {
  it('settle each notice once', () => {
    const { account, verdicts } = kept(notice('1', 0, 10), notice('2', 1, 20), notice('1', 0, 10));
    expect(account.settledMicros).toBe(30);
    expect(verdicts).toEqual(['applied', 'applied', 'duplicate']);
  });

  it('let a report replace the notices up to its asOf, minute by minute', () => {
    const { account } = kept(
      notice('1', 0, 10),
      notice('2', 5, 20),
      notice('3', 5.5, 40),
      hourReport(5.2, 100),
    );
    // The fifth minute is only partly counted: it stays beside the report.
    expect(account.settledMicros).toBe(160);
  });

  it('let a later report replace an earlier one, and nothing else', () => {
    const { account, verdicts } = kept(
      hourReport(10, 100),
      hourReport(20, 90),
      hourReport(10, 100),
      hourReport(20, 90),
    );
    expect(account.settledMicros).toBe(90);
    expect(verdicts).toEqual(['applied', 'applied', 'late', 'duplicate']);
  });

  it('settle nothing for a notice that a report has counted already', () => {
    const { account } = kept(hourReport(10, 100), notice('1', 5, 10), notice('2', 11, 7));
    expect(account.settledMicros).toBe(107);
  });

  it('name what cannot be taken', () => {
    const { facts } = kept(
      notice('1', 0, 1, { campaign: 'other' }),
      notice('2', 0, 1, { currency: 'EUR' }),
      hourReport(10, 1, { periodStart: NOON_MS + 1 }),
      hourReport(-1, 1),
    );
    expect([...facts.rejected.values()]).toEqual(['unknownCampaign', 'currency', 'periodStart', 'asOf']);
  });
});

describe('what was withdrawn', () => {
  const withdrawn = (type: 'account' | 'campaign', id: string): Body => ({
    ...definitions.find((record) => record.type === type && record.id === id)!,
    revision: 2,
    document: null,
  });

  it('settles what was spent for it, grants nothing more, hears what is given back, and counts what it settled when it is back', () => {
    const back = definitions.map((record) => ({ ...record, revision: 3 }));
    const { account, facts, verdicts } = kept(
      request('a', 500),
      withdrawn('campaign', 'c'),
      notice('1', 1, 300, { lease: 'a', heldMicros: 300 }),
      withdrawn('account', 'acme'),
      notice('2', 2, 100, { lease: 'a', heldMicros: 100 }),
      hourReport(3, 600),
      request('b', 500, { returns: [{ lease: 'a', amountMicros: 100 }] }),
      ...back,
      request('c', 500),
    );
    expect(verdicts).toEqual(['applied', 'applied', 'applied']);
    // The lease was asked for on the day after the report's.
    expect(account.settledMicros).toBe(400 + 600);
    expect([...facts.rejected.values()]).toEqual([]);
    expect(facts.leases.map(({ lease, status, amountMicros }) => [lease, status, amountMicros])).toEqual([
      ['a', 'granted', 500],
      ['a', 'returned', 100],
      ['b', 'refused', 0],
      ['c', 'granted', 300],
    ]);
  });
});

describe('cells within cells', () => {
  const cell = (country: string, hour: number | undefined, asOfHour: number, costMicros: number): Report => ({
    country,
    hour,
    asOfMs: MIDNIGHT_MS + asOfHour * HOUR_MS,
    figures: [0, 0, costMicros],
  });
  const cost = (reports: Report[]) =>
    Object.fromEntries(
      [...bookReports(reports, MIDNIGHT_MS)].map(([place, [, , micros]]) => [place, micros]),
    );

  it('book of an hour of all countries what its countries do not show', () => {
    expect(cost([cell('', 3, 4, 100), cell('DE', 3, 4, 30)])).toEqual({ '3|': 70, '3|DE': 30 });
  });

  it('take a finer figure as even: what came after the wider asOf is on top', () => {
    // The country's hour was counted to its end, the whole hour to its half: 15 of 30 lie in both.
    expect(cost([cell('', 3, 3.5, 100), cell('DE', 3, 4, 30)])).toEqual({ '3|': 85, '3|DE': 30 });
  });

  it('let a day be the floor of its hours, and be silent when all of them have newer word', () => {
    expect(cost([cell('', undefined, 2, 100), cell('', 0, 3, 30)])).toEqual({ '0|': 100 });
    expect(cost([cell('', undefined, 2, 100), cell('', 0, 3, 30), cell('', 1, 3, 20)])).toEqual({
      '0|': 30,
      '1|': 20,
    });
  });

  it('count the same money by hour and by country once', () => {
    expect(cost([cell('', 5, 6, 80), cell('DE', undefined, 24, 100)])).toEqual({ '5|': 80, '0|DE': 20 });
  });
});

describe('leases', () => {
  it('take a share of what is free and stay within the budget', () => {
    const { facts, account } = kept(request('a', 900), request('b', 100), request('a', 900), request('c', 0));
    expect(facts.leases.map(({ lease, status, amountMicros }) => [lease, status, amountMicros])).toEqual([
      ['a', 'granted', 500],
      ['b', 'granted', 100],
      ['c', 'refused', 0],
    ]);
    expect(facts.grants.map(({ committedTodayMicros }) => committedTodayMicros)).toEqual([500, 600]);
    expect(account.leases).toHaveLength(2);
  });

  it('settle by wins, free by losses, and know a contradiction', () => {
    const lease = { lease: 'a' };
    const { account } = kept(
      request('a', 400),
      notice('1', 0, 100, lease),
      notice('2', 0, 50, { ...lease, notice: 'loss' }),
      notice('2', 1, 50, lease),
      notice('1', 1, 100, { ...lease, notice: 'loss' }),
    );
    expect(account.leases).toMatchObject([{ settledMicros: 150, freedMicros: 0 }]);
    expect(account.beyond).toMatchObject({ contradicted: 2, contradictedMicros: 50 });
  });

  it('end when the process voids them', () => {
    const { facts } = kept(request('a', 400), request('b', 400, { voids: ['a'] }));
    expect(facts.leases.map(({ lease, status, amountMicros }) => [lease, status, amountMicros])).toEqual([
      ['a', 'granted', 400],
      ['a', 'voided', 400],
      ['b', 'granted', 400],
    ]);
  });

  it('end at their horizon, by the watermark; a win after that is a late win', () => {
    const grantedDay = 400 * 24 * 60;
    const { facts, account } = kept(
      request('a', 400),
      // A lease lives from the append time on: a minute, and five more for its notices.
      clock(grantedDay + 5),
      notice('1', grantedDay + 5, 10, { lease: 'a', timestamp: NOON_MS + 400 * DAY_MS }),
    );
    expect(facts.leases.map(({ status }) => status)).toEqual(['granted']);
    expect(account.beyond.lateWins).toBe(0);
    account.passTo(NOON_MS + 400 * DAY_MS + 6 * MINUTE_MS + 1, () => ({
      offset: 9,
      epoch: openHistory().at(0),
    }));
    expect(facts.leases.at(-1)).toMatchObject({ status: 'freed', amountMicros: 390, offset: 9 });
  });
});
