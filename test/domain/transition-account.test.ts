import { describe, expect, it } from 'vitest';
import { leaseGrant } from '../../domain/account/leases.ts';
import { accountSummary, campaignSettled } from '../../domain/account/summary.ts';
import {
  aggregatesOf,
  at,
  DAY_MS,
  HOUR_MS,
  leaseRequest,
  notice,
  openLedger,
  report,
  rowsOf,
  START_MS,
  settledToday,
} from './account-ledger.ts';

describe('what is rejected', () => {
  const cases = [
    ['unknownAccount', report({ account: 'nobody' })],
    ['unknownAccount', leaseRequest({ account: 'nobody' })],
    ['unknownCampaign', notice({ campaign: 'nothing' })],
    ['foreignCampaign', report({ campaign: 'foreign' })],
    ['currency', report({ currency: 'EUR' })],
    ['periodStart', report({ periodStart: START_MS + 1_800_000 })],
    ['periodStart', report({ period: 'day', periodStart: at(1) })],
    ['asOf', report({ periodStart: at(2), asOf: at(1) })],
    ['asOf', report({ periodStart: at(2), asOf: at(3), receivedAt: at(1) })],
  ] as const;
  it.each(cases)('%s', (reason, record) => {
    const ledger = openLedger();
    const before = JSON.stringify(ledger.state);
    expect(ledger.send(record)).toMatchObject({ verdict: 'rejected', reason });
    expect(JSON.stringify(ledger.state)).toBe(before);
    expect(ledger.effects).toEqual([]);
  });

  it('what the account could not hold exactly', () => {
    const ledger = openLedger();
    const costMicros = 9_000_000_000_000_000;
    expect(ledger.send(notice({ costMicros })).verdict).toBe('applied');
    expect(ledger.send(notice({ costMicros }))).toMatchObject({ verdict: 'rejected', reason: 'overflow' });
  });

  it('no win of a lease, however near the account is to what it can hold', () => {
    const dailyBudgetMicros = 1_000;
    const ledger = openLedger({ dailyBudgetMicros, leaseShare: 1 });
    ledger.send(notice({ costMicros: Number.MAX_SAFE_INTEGER - 300, timestamp: START_MS }));
    ledger.passTo(at(24));
    for (let bid = 0; bid < 3; bid += 1) {
      const request = leaseRequest({ amountMicros: 600 });
      ledger.send(request);
      const grant = leaseGrant(ledger.state, request.lease);
      const costMicros = typeof grant === 'string' ? 0 : grant.amountMicros;
      expect(costMicros).toBe([300, 0, 0][bid]);
      const [lease, timestamp] = [request.lease, ledger.nowMs];
      expect(ledger.send(notice({ lease, timestamp, costMicros })).verdict).toBe('applied');
      ledger.passTo(ledger.nowMs + 2 * HOUR_MS);
    }
    expect(settledToday(ledger)).toBe(300);
  });

  it('no report for what it corrects, nor where it settles nothing', () => {
    const ledger = openLedger();
    const most = Number.MAX_SAFE_INTEGER;
    const verdicts = [
      report({ period: 'day', asOf: at(1), costMicros: most - 10 }),
      report({ period: 'day', asOf: at(2), costMicros: most - 5 }),
      report({ period: 'day', asOf: at(2), costMicros: most - 5 }),
      report({ period: 'day', asOf: at(1), costMicros: most }),
      report({ campaign: 'c2', asOf: at(3), costMicros: 6 }),
      report({ period: 'day', asOf: at(3), costMicros: 700 }),
      report({ campaign: 'c2', asOf: at(3), costMicros: most - 700 }),
    ].map((record) => {
      const outcome = ledger.send(record);
      return outcome.verdict === 'rejected' ? outcome.reason : outcome.verdict;
    });
    expect(verdicts).toEqual([
      ...['applied', 'applied', 'duplicate', 'late', 'overflow', 'applied', 'applied'],
    ]);
    expect(settledToday(ledger)).toBe(most);
  });

  it('no loss for what it would have cost', () => {
    const ledger = openLedger();
    ledger.send(notice({ costMicros: Number.MAX_SAFE_INTEGER - 300 }));
    expect(ledger.send(notice({ notice: 'loss', costMicros: 301 })).verdict).toBe('applied');
  });

  it('a campaign with more channels on a day than are kept', () => {
    const ledger = openLedger();
    for (let channel = 0; channel < 50; channel += 1) {
      expect(ledger.send(report({ channel: `c${channel}`, costMicros: 1 })).verdict).toBe('applied');
    }
    expect(ledger.send(report({ channel: 'one more' }))).toMatchObject({
      verdict: 'rejected',
      reason: 'channels',
    });
    expect(ledger.send(report({ channel: 'c7', costMicros: 2, asOf: at(2) })).verdict).toBe('applied');
  });

  it('a currency other than the one the account began with', () => {
    const ledger = openLedger();
    ledger.send(report({ costMicros: 1 }));
    ledger.definition = { ...ledger.definition!, currency: 'EUR' };
    expect(ledger.send(report({ costMicros: 1, currency: 'EUR' }))).toMatchObject({ reason: 'currency' });
    expect(ledger.send(report({ costMicros: 1, asOf: at(2) })).verdict).toBe('applied');
  });
});

describe('reports and notices', () => {
  it('settle notices until a report replaces them', () => {
    const ledger = openLedger();
    ledger.send(notice({ timestamp: at(1, 5), costMicros: 30 }));
    ledger.send(notice({ notice: 'impression', timestamp: at(1, 6) }));
    ledger.send(notice({ timestamp: at(1, 20), costMicros: 12 }));
    expect(settledToday(ledger)).toBe(42);
    ledger.send(report({ periodStart: at(1), asOf: at(1, 15), costMicros: 31, impressions: 2, clicks: 1 }));
    expect(settledToday(ledger)).toBe(31 + 12);
    expect(aggregatesOf(ledger.effects)).toEqual(
      new Map([
        [`campaign:c1@${at(1)}@|search|acc`, [2, 1, 31]],
        [`campaign:c1@${at(1)}@DE|search|acc`, [0, 0, 12]],
      ]),
    );
    ledger.send(report({ periodStart: at(1), asOf: at(2), costMicros: 44 }));
    expect(settledToday(ledger)).toBe(44);
    expect(aggregatesOf(ledger.effects).size).toBe(1);
  });

  it('counts a notice that comes after its report only if the report had not counted so far', () => {
    const ledger = openLedger();
    ledger.send(report({ periodStart: at(1), asOf: at(1, 30), costMicros: 31 }));
    expect(ledger.send(notice({ timestamp: at(1, 29, 59), costMicros: 5 })).verdict).toBe('applied');
    expect(settledToday(ledger)).toBe(31);
    ledger.send(notice({ timestamp: at(1, 30, 1), costMicros: 5 }));
    expect(settledToday(ledger)).toBe(36);
  });

  it('replaces a notice of the same minute if it is the latest there', () => {
    const ledger = openLedger();
    ledger.send(notice({ timestamp: at(1, 15, 10), costMicros: 5 }));
    ledger.send(report({ periodStart: at(1), asOf: at(1, 15, 11), costMicros: 5 }));
    expect(settledToday(ledger)).toBe(5);
    ledger.send(notice({ timestamp: at(1, 15, 20), costMicros: 7 }));
    expect(settledToday(ledger)).toBe(12);
  });

  it('keeps other countries and channels beside a country’s report', () => {
    const ledger = openLedger();
    ledger.send(notice({ timestamp: at(1), costMicros: 5, country: 'DE' }));
    ledger.send(notice({ timestamp: at(1), costMicros: 6, country: 'US' }));
    ledger.send(notice({ timestamp: at(1), costMicros: 7, country: '' }));
    ledger.send(notice({ timestamp: at(1), costMicros: 8, country: 'DE', channel: 'video' }));
    ledger.send(report({ periodStart: START_MS, period: 'day', country: 'DE', asOf: at(2), costMicros: 50 }));
    expect(settledToday(ledger)).toBe(50 + 6 + 7 + 8);
  });

  it('says what each record came to, one row each', () => {
    const ledger = openLedger();
    const win = notice({ timestamp: at(1), costMicros: 5 });
    const verdicts = [
      ledger.send(win),
      ledger.send({ ...win, messageId: 'again' }),
      ledger.send(notice({ timestamp: at(2) })),
      ledger.send(notice({ timestamp: at(1, 40), costMicros: 3 })),
      ledger.send(report({ periodStart: at(1), asOf: at(1, 50), costMicros: 9 })),
      ledger.send(report({ periodStart: at(1), asOf: at(1, 50), costMicros: 9 })),
      ledger.send(report({ periodStart: at(1), asOf: at(1, 49), costMicros: 8 })),
    ].map((outcome) => outcome.verdict);
    expect(verdicts).toEqual(['applied', 'duplicate', 'applied', 'late', 'applied', 'duplicate', 'late']);
    const rows = rowsOf(ledger.effects, 'spend');
    expect(rows.map((row) => row.verdict)).toEqual(verdicts);
    expect(rows[4]).toEqual({
      account: 'acc',
      time: at(1),
      kind: 'report',
      verdict: 'applied',
      message_id: expect.any(String),
      campaign: 'c1',
      channel: 'search',
      country: '',
      period: 'hour',
      as_of: at(1, 50),
      bid: '',
      lease: '',
      impressions: 0,
      clicks: 0,
      cost_micros: 9,
      currency: 'USD',
    });
    expect(settledToday(ledger)).toBe(9);
  });

  it('settles a late notice all the same', () => {
    const ledger = openLedger();
    ledger.passTo(at(9));
    expect(ledger.send(notice({ timestamp: at(1), costMicros: 5 })).verdict).toBe('late');
    expect(settledToday(ledger)).toBe(5);
  });

  it('does not let a report claim to have counted the future', () => {
    const ledger = openLedger();
    ledger.send(report({ periodStart: at(1), asOf: at(90_000), receivedAt: at(2), costMicros: 9 }));
    expect(ledger.send(report({ periodStart: at(1), asOf: at(3), costMicros: 10 })).verdict).toBe('applied');
    expect(settledToday(ledger)).toBe(10);
  });

  it('keeps the sums of closed days and takes nothing more for them', () => {
    const ledger = openLedger({ totalBudgetMicros: 1_000 });
    ledger.send(report({ period: 'day', asOf: at(24), costMicros: 500 }));
    ledger.send(report({ campaign: 'c2', period: 'day', asOf: at(24), costMicros: 100 }));
    ledger.passTo(at(24 * 36));
    expect(ledger.send(report({ period: 'day', asOf: at(25), costMicros: 510 })).verdict).toBe('late');
    expect(ledger.send(notice({ timestamp: at(25), costMicros: 1 })).verdict).toBe('late');
    expect(ledger.state.days.map((day) => day.startMs)).toEqual([at(24)]);
    expect(ledger.state.closed).toEqual([
      { campaign: 'c1', settledMicros: 500 },
      { campaign: 'c2', settledMicros: 100 },
    ]);
    expect(ledger.state.counters).toMatchObject({ closedRecords: 1, closedRecordMicros: 510 });
    const summary = accountSummary(ledger.state, ledger.definition!, ledger.nowMs);
    expect(summary).toMatchObject({ settledTodayMicros: 0, settledTotalMicros: 601, freeMicros: 399 });
    expect(campaignSettled(ledger.state, 'c1', ledger.nowMs).settledTotalMicros).toBe(501);
  });

  it('folds minutes of long ago into hours without changing a sum', () => {
    const ledger = openLedger();
    for (let minute = 0; minute < 90; minute += 1)
      ledger.send(notice({ timestamp: at(1, minute), costMicros: 1 }));
    expect(ledger.state.days[0]!.books[0]!.notices.length).toBe(90);
    ledger.send(notice({ timestamp: at(14, 30), costMicros: 1 }));
    expect(ledger.state.days[0]!.books[0]!.notices.length).toBe(1 + 30 + 1);
    expect(settledToday(ledger)).toBe(91);
    ledger.send(report({ periodStart: at(1), asOf: at(1, 30), costMicros: 30 }));
    expect(settledToday(ledger)).toBe(91 + 30);
    ledger.send(report({ periodStart: at(1), asOf: at(2), costMicros: 60 }));
    expect(settledToday(ledger)).toBe(91);
  });

  it('has hours and days of the account’s own', () => {
    const ledger = openLedger({ utcOffsetMinutes: 330 });
    const dayStart = START_MS + DAY_MS - 330 * 60_000;
    expect(ledger.send(report({ periodStart: at(20), asOf: at(21) })).verdict).toBe('rejected');
    expect(
      ledger.send(report({ periodStart: dayStart, period: 'day', asOf: at(21), costMicros: 30 })).verdict,
    ).toBe('applied');
    expect(
      ledger.send(report({ periodStart: dayStart + HOUR_MS, asOf: at(22), costMicros: 5 })).verdict,
    ).toBe('applied');
    expect([...aggregatesOf(ledger.effects).keys()]).toEqual([
      `campaign:c1@${dayStart}@|search|acc`,
      `campaign:c1@${dayStart + HOUR_MS}@|search|acc`,
    ]);
  });
});

describe('leases', () => {
  const definition = { dailyBudgetMicros: 1_000, leaseShare: 0.5, leaseTtlMs: 60_000 };

  it('grants a share of what is free until nothing is', () => {
    const ledger = openLedger(definition);
    const amounts = [600, 100, 600, 600].map((amountMicros) => {
      const request = leaseRequest({ amountMicros });
      expect(ledger.send(request).verdict).toBe('control');
      return leaseGrant(ledger.state, request.lease);
    });
    const untilMs = START_MS + 60_000;
    expect(amounts).toEqual([
      { amountMicros: 500, untilMs },
      { amountMicros: 100, untilMs },
      { amountMicros: 200, untilMs },
      { amountMicros: 100, untilMs },
    ]);
    ledger.definition = { ...ledger.definition!, dailyBudgetMicros: 900 };
    const refused = leaseRequest();
    ledger.send(refused);
    expect(leaseGrant(ledger.state, refused.lease)).toBe('refused');
    expect(leaseGrant(ledger.state, 'never asked')).toBe('pending');
    expect(ledger.send(refused).verdict).toBe('duplicate');
    expect(rowsOf(ledger.effects, 'leases').map((row) => [row.status, row.amount_micros])).toEqual([
      ['granted', 500],
      ['granted', 100],
      ['granted', 200],
      ['granted', 100],
      ['refused', 0],
    ]);
  });

  it('heeds the total budget too', () => {
    const ledger = openLedger({ ...definition, totalBudgetMicros: 700 });
    ledger.send(report({ period: 'day', asOf: at(1), costMicros: 400 }));
    ledger.passTo(at(25));
    const request = leaseRequest({ amountMicros: 900 });
    ledger.send(request);
    expect(leaseGrant(ledger.state, request.lease)).toMatchObject({ amountMicros: 150 });
  });

  it('counts from the append time where that is ahead, and ends with the account’s day', () => {
    const ledger = openLedger(definition);
    ledger.send(leaseRequest({ lease: 'a' }), at(2));
    expect(leaseGrant(ledger.state, 'a')).toMatchObject({ untilMs: at(2, 1) });
    ledger.passTo(at(23, 59, 30));
    ledger.send(leaseRequest({ lease: 'b' }), at(2));
    expect(leaseGrant(ledger.state, 'b')).toMatchObject({ untilMs: at(24) });
  });

  it('settles a win, to the day of its lease', () => {
    const ledger = openLedger(definition);
    ledger.passTo(at(23, 59, 30));
    ledger.send(leaseRequest({ lease: 'a', amountMicros: 200 }));
    ledger.send(notice({ lease: 'a', costMicros: 80, timestamp: at(24, 0, 10) }));
    expect(ledger.state.days.map((day) => [day.startMs, day.settledMicros])).toEqual([[START_MS, 80]]);
    const summary = accountSummary(ledger.state, ledger.definition!, ledger.nowMs);
    expect(summary).toMatchObject({
      settledTodayMicros: 0,
      outstandingMicros: 0,
      outstandingTotalMicros: 120,
    });
    expect(aggregatesOf(ledger.effects)).toEqual(
      new Map([[`campaign:c1@${at(23)}@DE|search|acc`, [0, 0, 80]]]),
    );
  });

  it('frees by loss, takes it back by a contradicting win', () => {
    const ledger = openLedger(definition);
    ledger.send(leaseRequest({ lease: 'a', amountMicros: 200 }));
    ledger.send(notice({ lease: 'a', notice: 'loss', bid: 'x', costMicros: 80 }));
    const summary = () => accountSummary(ledger.state, ledger.definition!, ledger.nowMs);
    expect(summary()).toMatchObject({ settledTodayMicros: 0, outstandingMicros: 120, freeMicros: 880 });
    expect(ledger.send(notice({ lease: 'a', notice: 'loss', bid: 'x', costMicros: 80 })).verdict).toBe(
      'duplicate',
    );
    ledger.send(notice({ lease: 'a', bid: 'x', costMicros: 70 }));
    expect(summary()).toMatchObject({ settledTodayMicros: 70, outstandingMicros: 130, freeMicros: 800 });
    expect(summary().counters).toMatchObject({ contradicted: 1, contradictedMicros: 70 });
    ledger.send(notice({ lease: 'a', bid: 'y', costMicros: 10 }));
    ledger.send(notice({ lease: 'a', notice: 'loss', bid: 'y', costMicros: 10 }));
    expect(summary()).toMatchObject({ settledTodayMicros: 80, outstandingMicros: 120 });
    expect(summary().counters).toMatchObject({ contradicted: 2, leaseOverspendMicros: 0 });
  });

  it('frees no more than is outstanding', () => {
    const ledger = openLedger(definition);
    ledger.send(leaseRequest({ lease: 'a', amountMicros: 200 }));
    ledger.send(notice({ lease: 'a', notice: 'loss', bid: 'x', costMicros: 150 }));
    ledger.send(notice({ lease: 'a', notice: 'loss', bid: 'y', costMicros: 150 }));
    ledger.send(notice({ lease: 'a', bid: 'x', costMicros: 10 }));
    const summary = accountSummary(ledger.state, ledger.definition!, ledger.nowMs);
    expect(summary.outstandingMicros).toBe(140);
  });

  it('frees what a win did not cost of what its bid had set aside', () => {
    const ledger = openLedger(definition);
    ledger.send(leaseRequest({ lease: 'a', amountMicros: 200 }));
    const outstanding = () =>
      accountSummary(ledger.state, ledger.definition!, ledger.nowMs).outstandingMicros;
    ledger.send(notice({ lease: 'a', bid: 'x', costMicros: 30, heldMicros: 80 }));
    expect(outstanding()).toBe(120);
    ledger.send(notice({ lease: 'a', notice: 'loss', bid: 'y', costMicros: 0, heldMicros: 20 }));
    expect(outstanding()).toBe(100);
    ledger.send(notice({ lease: 'a', bid: 'y', costMicros: 15, heldMicros: 20 }));
    expect(outstanding()).toBe(100);
    ledger.send(notice({ lease: 'a', bid: 'z', costMicros: 10, heldMicros: 1_000 }));
    expect(outstanding()).toBe(0);
    expect(settledToday(ledger)).toBe(55);
  });

  it('takes a kind of notice once a bid', () => {
    const ledger = openLedger(definition);
    ledger.send(leaseRequest({ lease: 'a', amountMicros: 200 }));
    const kinds = ['win', 'impression', 'click', 'win', 'click'] as const;
    const verdicts = kinds.map(
      (kind) => ledger.send(notice({ lease: 'a', bid: 'x', notice: kind, costMicros: 5 })).verdict,
    );
    expect(verdicts).toEqual(['applied', 'applied', 'applied', 'duplicate', 'duplicate']);
    expect(settledToday(ledger)).toBe(15);
  });

  it('returns what is outstanding after the horizon, and counts later wins', () => {
    const ledger = openLedger({ ...definition, bidLifeMs: 30_000, noticeHorizonMs: 600_000 });
    ledger.send(leaseRequest({ lease: 'a', amountMicros: 200 }));
    ledger.send(notice({ lease: 'a', costMicros: 80 }));
    const horizonMs = START_MS + 60_000 + 30_000 + 600_000 + 300_000;
    ledger.passTo(horizonMs);
    expect(ledger.state.leases.length).toBe(1);
    ledger.passTo(horizonMs + 1);
    expect(ledger.state.leases).toEqual([]);
    expect(rowsOf(ledger.effects, 'leases').at(-1)).toEqual({
      account: 'acc',
      time: horizonMs + 1,
      lease: 'a',
      process: 'p1',
      status: 'freed',
      amount_micros: 120,
      until: START_MS + 60_000,
    });
    const win = notice({ lease: 'a', costMicros: 20, timestamp: START_MS });
    expect(ledger.send(win).verdict).toBe('late');
    expect(ledger.send(win).verdict).toBe('duplicate');
    expect(settledToday(ledger)).toBe(100);
    expect(ledger.state.counters).toMatchObject({ lateWins: 1, lateWinMicros: 20 });
  });

  it('settles what comes of an account that was withdrawn, and grants it nothing more', () => {
    const ledger = openLedger(definition);
    ledger.send(leaseRequest({ lease: 'a', amountMicros: 200 }));
    ledger.isWithdrawn = true;
    expect(ledger.send(notice({ lease: 'a', costMicros: 80, heldMicros: 100 })).verdict).toBe('applied');
    expect(ledger.send(report({ campaign: 'c2', asOf: at(1), costMicros: 30 })).verdict).toBe('applied');
    expect(settledToday(ledger)).toBe(110);
    expect(ledger.send(leaseRequest({ lease: 'b' })).verdict).toBe('control');
    expect(leaseGrant(ledger.state, 'b')).toBe('refused');
    ledger.isWithdrawn = false;
    ledger.send(leaseRequest({ lease: 'c', amountMicros: 1_000 }));
    const { dailyBudgetMicros } = ledger.definition!;
    const summary = accountSummary(ledger.state, ledger.definition!, ledger.nowMs);
    expect(summary.settledTodayMicros + summary.outstandingMicros).toBeLessThanOrEqual(dailyBudgetMicros);
  });

  it('hears what is given back of an account that was withdrawn', () => {
    const ledger = openLedger(definition);
    ledger.isWithdrawn = true;
    // It never had a record: nothing can be given back, and its currency is not settled by this.
    expect(ledger.send(leaseRequest())).toMatchObject({ verdict: 'rejected', reason: 'unknownAccount' });
    ledger.isWithdrawn = false;
    for (const lease of ['used', 'unused']) ledger.send(leaseRequest({ lease, amountMicros: 200 }));
    ledger.isWithdrawn = true;
    ledger.definition = { ...ledger.definition!, currency: 'EUR' };
    const returns = [{ lease: 'used', amountMicros: 150 }];
    ledger.send(leaseRequest({ lease: 'back', amountMicros: 500, voids: ['unused'], returns }));
    const summary = accountSummary(ledger.state, ledger.definition, ledger.nowMs);
    expect(summary.outstandingMicros).toBe(50);
    expect(
      rowsOf(ledger.effects, 'leases')
        .slice(2)
        .map(({ lease, status, amount_micros }) => [lease, status, amount_micros]),
    ).toEqual([
      ['unused', 'voided', 200],
      ['used', 'returned', 150],
      ['back', 'refused', 0],
    ]);
  });

  it('hears what is given back where the definition names another currency, and grants nothing in it', () => {
    const ledger = openLedger(definition);
    for (const lease of ['used', 'unused']) ledger.send(leaseRequest({ lease, amountMicros: 200 }));
    ledger.send(notice({ lease: 'used', costMicros: 30, heldMicros: 50 }));
    ledger.definition = { ...ledger.definition!, currency: 'EUR' };
    const back = {
      amountMicros: 500,
      voids: ['unused'],
      returns: [{ lease: 'used', amountMicros: 150 }],
    };
    expect(ledger.send(leaseRequest({ lease: 'back', ...back })).verdict).toBe('control');
    // Said again it gives nothing back a second time.
    expect(ledger.send(leaseRequest({ lease: 'again', ...back })).verdict).toBe('control');
    for (const lease of ['back', 'again']) expect(leaseGrant(ledger.state, lease)).toBe('refused');
    expect(
      rowsOf(ledger.effects, 'leases')
        .slice(2)
        .map(({ lease, status, amount_micros }) => [lease, status, amount_micros]),
    ).toEqual([
      ['unused', 'voided', 200],
      ['used', 'returned', 150],
      ['back', 'refused', 0],
      ['again', 'refused', 0],
    ]);
    const summary = accountSummary(ledger.state, ledger.definition, ledger.nowMs);
    expect(summary).toMatchObject({ settledTodayMicros: 30, outstandingMicros: 0 });
  });

  it('voids what the same process names, and only that', () => {
    const ledger = openLedger(definition);
    ledger.send(leaseRequest({ lease: 'used', amountMicros: 100 }));
    ledger.send(leaseRequest({ lease: 'unanswered', amountMicros: 100 }));
    ledger.send(leaseRequest({ lease: 'other', amountMicros: 100, process: 'p2' }));
    ledger.send(
      leaseRequest({ lease: 'next', amountMicros: 100, voids: ['unanswered', 'other', 'unknown'] }),
    );
    expect(ledger.state.leases.map((lease) => lease.id)).toEqual(['used', 'other', 'next']);
    expect(rowsOf(ledger.effects, 'leases').slice(-2)).toMatchObject([
      { lease: 'unanswered', status: 'voided', amount_micros: 100 },
      { lease: 'next', status: 'granted' },
    ]);
  });

  it('frees once what a process returns of its own leases; what was bid stays outstanding', () => {
    const ledger = openLedger(definition);
    ledger.send(leaseRequest({ lease: 'a', amountMicros: 200 }));
    ledger.send(leaseRequest({ lease: 'other', amountMicros: 100, process: 'p2' }));
    const returns = [
      { lease: 'a', amountMicros: 150 },
      { lease: 'other', amountMicros: 100 },
      { lease: 'unknown', amountMicros: 100 },
    ];
    const outstanding = () =>
      accountSummary(ledger.state, ledger.definition!, ledger.nowMs).outstandingMicros;
    const request = leaseRequest({ lease: 'b', amountMicros: 0, returns });
    ledger.send(request);
    expect(outstanding()).toBe(150);
    expect(rowsOf(ledger.effects, 'leases').at(-2)).toMatchObject({
      lease: 'a',
      status: 'returned',
      amount_micros: 150,
    });
    // The request comes again, as itself and within the next one: a retry, or a process that does not know it arrived.
    ledger.send(request);
    ledger.send(leaseRequest({ lease: 'c', amountMicros: 0, returns }));
    expect(outstanding()).toBe(150);
    ledger.send(notice({ lease: 'a', bid: 'x', costMicros: 20, heldMicros: 30 }));
    ledger.send(notice({ lease: 'a', notice: 'loss', bid: 'y', costMicros: 0, heldMicros: 20 }));
    expect(outstanding()).toBe(100);
    expect(ledger.state.counters.leaseOverspendMicros).toBe(0);
    expect(settledToday(ledger)).toBe(20);
  });

  it('frees of what is returned no more than is outstanding', () => {
    const ledger = openLedger(definition);
    ledger.send(leaseRequest({ lease: 'a', amountMicros: 200 }));
    ledger.send(notice({ lease: 'a', costMicros: 80 }));
    ledger.send(leaseRequest({ lease: 'b', amountMicros: 0, returns: [{ lease: 'a', amountMicros: 200 }] }));
    const summary = accountSummary(ledger.state, ledger.definition!, ledger.nowMs);
    expect(summary).toMatchObject({ outstandingMicros: 0, settledTodayMicros: 80, freeMicros: 920 });
  });

  it('shows what a platform reported above what it had cleared, and a budget overshot', () => {
    const ledger = openLedger({ ...definition, dailyBudgetMicros: 150 });
    ledger.send(leaseRequest({ lease: 'a', amountMicros: 200 }));
    ledger.send(notice({ lease: 'a', costMicros: 70, timestamp: at(1) }));
    ledger.send(report({ periodStart: at(1), asOf: at(2), costMicros: 90 }));
    ledger.send(report({ campaign: 'c2', periodStart: at(1), asOf: at(2), costMicros: 100 }));
    const summary = accountSummary(ledger.state, ledger.definition!, ledger.nowMs);
    expect(summary).toMatchObject({ reportedOverspendMicros: 20, overshootTodayMicros: 40, freeMicros: 0 });
  });

  it('counts a cost beyond its lease', () => {
    const ledger = openLedger(definition);
    ledger.send(leaseRequest({ lease: 'a', amountMicros: 50 }));
    ledger.send(notice({ lease: 'a', costMicros: 70 }));
    expect(ledger.state.counters.leaseOverspendMicros).toBe(20);
    expect(settledToday(ledger)).toBe(70);
  });
});
