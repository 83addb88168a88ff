// Times of rows and notices: the account's own where they do not say their offset, and judged as the ledger reads them.
import { describe, expect, it } from 'vitest';
import { takeNotice } from '../../serve/spend-intake/notice.ts';
import { takeReport } from '../../serve/spend-intake/report.ts';
import { openLedger, settledToday } from '../domain/account-ledger.ts';
import { DefinitionsGiven } from './answering.ts';

const west = { name: 'West', currency: 'USD', dailyBudgetMicros: 1, utcOffsetMinutes: -480 };
const definitions = new DefinitionsGiven();
definitions.set('account', 'west', west);
definitions.set('account', 'east', { ...west, utcOffsetMinutes: 480 });
definitions.set('account', 'acc', { ...west, utcOffsetMinutes: 0 });
definitions.set('campaign', 'w', { name: 'W', accountId: 'west', channel: 'search' });
definitions.set('campaign', 'e', { name: 'E', accountId: 'east', channel: 'search' });
definitions.set('campaign', 'c1', { name: 'C', accountId: 'acc', channel: 'search' });

function take(row: Record<string, unknown>, nowMs: number) {
  return takeReport({ campaign: 'w', cost: 100, ...row }, { definitions: definitions.view(), nowMs });
}

const later = Date.parse('2026-01-20T00:00:00Z');

describe('of an account with an offset', () => {
  it('a date is its own day, as start and as asOf: the whole day is counted', () => {
    expect(take({ start: '2026-01-14', asOf: '2026-01-15' }, later)).toMatchObject({
      record: {
        period: 'day',
        periodStart: Date.parse('2026-01-14T08:00:00Z'),
        asOf: Date.parse('2026-01-15T08:00:00Z'),
      },
    });
  });

  it('its own midnight is no future east of Greenwich', () => {
    const nowMs = Date.parse('2026-01-15T16:00:00Z');
    const row = { campaign: 'e', start: '2026-01-15', asOf: '2026-01-16' };
    expect(take(row, nowMs)).toMatchObject({ taken: true, record: { asOf: nowMs } });
    expect(take({ ...row, asOf: '2026-01-16T00:00:00Z' }, nowMs)).toMatchObject({ reason: 'future' });
  });

  it.each([
    ['2026-01-15 09:00:00', '2026-01-15T17:00:00Z'],
    ['2026-01-15T09:00', '2026-01-15T17:00:00Z'],
    ['2026-01-15 23:00:00.000', '2026-01-16T07:00:00Z'],
    ['2026-01-15T09:00:00Z', '2026-01-15T09:00:00Z'],
    ['2026-01-15 09:00:00 +0100', '2026-01-15T08:00:00Z'],
    ['2026-01-15T09:00-05', '2026-01-15T14:00:00Z'],
  ])('an hour that does not say its offset is its own: %s', (given, start) => {
    const record = { period: 'hour', periodStart: Date.parse(start), asOf: Date.parse(start) };
    expect(take({ start: given, asOf: given, cost: 0 }, later)).toMatchObject({ record });
  });

  it('so are a receipt and the time of a notice', () => {
    const receivedAt = '2026-01-15 10:00:00';
    const supplied = { supplied: true, receivedAt: Date.parse('2026-01-15T18:00:00Z') };
    expect(take({ start: '2026-01-14', receivedAt }, later)).toMatchObject({ record: supplied });
    const notice = {
      notice: 'win',
      campaign: 'w',
      bid: 'b',
      cost: 1,
      timestamp: '2026-01-15 09:30',
      receivedAt,
    };
    expect(takeNotice(notice, { definitions: definitions.view(), nowMs: later })).toMatchObject({
      record: { ...supplied, timestamp: Date.parse('2026-01-15T17:30:00Z') },
    });
  });
});

describe('numbers written as text', () => {
  const midnightMs = Date.parse('2026-01-14T08:00:00Z');

  it('are milliseconds, as CSV has them', () => {
    const row = {
      start: ` ${midnightMs} `,
      period: 'day',
      asOf: '1768500000000',
      receivedAt: '1768500000001',
    };
    expect(take(row, later)).toMatchObject({
      record: { periodStart: midnightMs, asOf: 1_768_500_000_000, receivedAt: 1_768_500_000_001 },
    });
    const notice = { notice: 'click', campaign: 'w', bid: 'b', timestamp: '1768500000000' };
    expect(takeNotice(notice, { definitions: definitions.view(), nowMs: later })).toMatchObject({
      record: { timestamp: 1_768_500_000_000 },
    });
  });

  it.each([
    ['1768500000', 'absurd_time', 'send milliseconds'],
    ['20260114', 'invalid', 'neither ISO 8601'],
    ['202601140000', 'absurd_time', 'between 1990 and 2100'],
  ])('are not taken for another: %s', (start, reason, said) => {
    expect(take({ start }, later)).toMatchObject({ reason, detail: expect.stringContaining(said) });
  });
});

describe('figures as of the beginning of their period', () => {
  const day = { start: '2026-03-02', asOf: '2026-03-02' };
  const atNoon = { start: '2026-03-02T12:00:00Z', asOf: '2026-03-02T12:00:00Z' };
  const nowMs = Date.UTC(2026, 2, 4);

  it.each(['w', 'c1', 'e'])('are refused, for nothing of it was counted: campaign %s', (campaign) => {
    for (const row of [day, { ...day, period: 'day', revision: 7 }, atNoon, { ...atNoon, revision: 7 }]) {
      const refused = {
        taken: false,
        reason: 'future',
        detail: expect.stringContaining('nothing of it'),
      };
      expect(take({ campaign, ...row }, nowMs)).toMatchObject(refused);
      expect(take({ campaign, ...row, cost: 0, clicks: 1 }, nowMs)).toMatchObject(refused);
      expect(take({ campaign, ...row, cost: 0 }, nowMs)).toMatchObject({ taken: true });
    }
  });

  it('are not settled beside the notices that they count', () => {
    const definition = { definitions: definitions.view(), nowMs };
    const notice = { notice: 'win', campaign: 'c1', bid: 'b', cost: 100, timestamp: '2026-03-02T12:00:00Z' };
    const ledger = openLedger();
    for (const outcome of [takeNotice(notice, definition), take({ campaign: 'c1', ...day }, nowMs)])
      if (outcome.taken) ledger.send(outcome.record);
    expect(settledToday(ledger)).toBe(100_000_000);
  });

  it('are taken by what they were counted up to, whatever their revision', () => {
    const row = { campaign: 'c1', start: '2026-03-02T12:00:00Z', revision: 1 };
    const beginMs = Date.parse(row.start);
    expect(take({ ...row, cost: 0 }, beginMs + 200)).toMatchObject({ record: { asOf: beginMs } });
    expect(take(row, beginMs + 200)).toMatchObject({ reason: 'future' });
    expect(take(row, beginMs + 1_000)).toMatchObject({ record: { asOf: beginMs + 1 } });
    expect(take({ ...row, cost: 0 }, beginMs - 1)).toMatchObject({ reason: 'future' });
  });
});

describe('figures as of a time ahead of their receipt', () => {
  const noonMs = Date.UTC(2026, 2, 2, 12);
  const row = { campaign: 'c1', start: '2026-03-02T11:00:00Z', asOf: '2026-03-02T12:02:00Z' };

  it('are as of the receipt, and none of a period that begins behind it', () => {
    expect(take(row, noonMs)).toMatchObject({ record: { asOf: noonMs } });
    const next = { campaign: 'c1', start: '2026-03-02T13:00:00Z', asOf: '2026-03-02T13:01:00Z' };
    expect(take(next, Date.UTC(2026, 2, 2, 12, 59))).toMatchObject({ taken: false, reason: 'future' });
  });

  const revisions = [
    { revision: 2, cost: 2 },
    { revision: 1, cost: 1 },
  ];
  const ways = [
    ['ahead', row.asOf, 0],
    ['now', undefined, 0],
    ['in the second of the receipt', '2026-03-02T12:00:00Z', 500],
    ['of before', '2026-03-02T11:59:58Z', 0],
  ] as const;
  it.each(ways)('keep the higher revision, whichever comes first: %s', (_name, asOf, ms) => {
    for (const order of [revisions, revisions.toReversed()]) {
      const ledger = openLedger();
      for (const revision of order) {
        const outcome = take({ ...row, asOf, ...revision }, noonMs + ms);
        if (!outcome.taken) throw new Error(outcome.detail);
        expect(outcome.record.asOf).toBeLessThanOrEqual(noonMs + ms);
        ledger.send(outcome.record);
      }
      expect(settledToday(ledger)).toBe(2_000_000);
    }
  });
});
