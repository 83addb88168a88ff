// What an account's state is compared with: planted wrong, each of its parts is found. An account that is paced by another
// multiplier bids other prices; one that remembers no notice settles its repeat again.
import { describe, expect, it } from 'vitest';
import type { AccountState } from '../../domain/account.ts';
import { accountPartition } from '../../platform/keys.ts';
import { Comparison } from '../../verify/compare.ts';
import { decodeSpend } from '../../verify/decode.ts';
import { keepLedger } from '../../verify/ledger/ledger.ts';
import type { Scope } from '../../verify/scope.ts';
import { compareAccounts } from '../../verify/spend-states.ts';
import { walk } from '../../verify/watermark.ts';
import {
  accountDefinition,
  at,
  leaseRequest,
  notice,
  openLedger,
  report,
  type SpendRecord,
} from '../domain/account-ledger.ts';
import { type Body, definition, logOf } from './support/synthetic-log.ts';

const DAY_HOURS = 24;
const own = { utcOffsetMinutes: 120, noticeHorizonMs: 1_200_000 };
/** Midnight of the account is at 22 hours UTC. */
const hour = (hours: number, minutes = 0): number => at(hours - 2, minutes);

const win = (bid: string, timestamp: number, costMicros: number, more: Parameters<typeof notice>[0] = {}) =>
  notice({ notice: 'win', bid, timestamp, costMicros, ...more });

/** Two days and a morning: notices with a lease and without, a report over them, a day that is told of afterwards. */
const records: readonly SpendRecord[] = [
  ...Array.from({ length: 40 }, (_none, index) => win(`a${index}`, hour(9, index * 9), 9_000 + index)),
  report({ period: 'hour', periodStart: hour(10), asOf: hour(11), impressions: 70, costMicros: 90_000 }),
  ...Array.from({ length: 20 }, (_none, index) => win(`b${index}`, hour(DAY_HOURS + 8, index * 31), 45_000)),
  leaseRequest({ lease: 'held', amountMicros: 90_000, timestamp: hour(2 * DAY_HOURS + 8) }),
  win('c1', hour(2 * DAY_HOURS + 8, 3), 10_000, { lease: 'held' }),
  notice({
    notice: 'loss',
    bid: 'c2',
    timestamp: hour(2 * DAY_HOURS + 8, 4),
    costMicros: 7_000,
    lease: 'held',
  }),
  leaseRequest({
    lease: 'next',
    amountMicros: 0,
    returns: [{ lease: 'held', amountMicros: 20_000 }],
    timestamp: hour(2 * DAY_HOURS + 8, 5),
  }),
  ...[1, 2, 3].map((index) => win(`d${index}`, hour(2 * DAY_HOURS + 8, 5 * index + 1), 100_000)),
];

/** As soon as it is told. */
function appendedAt(record: SpendRecord): number {
  return record.kind === 'report' ? record.asOf : record.timestamp;
}

/** The kinds in which the engine's state, changed, differs from what the oracle makes of the same records. */
function differing(change: (state: AccountState) => void): string[] {
  const engine = openLedger(own);
  for (const record of records) expect(engine.send(record, appendedAt(record)).verdict).not.toBe('rejected');
  const { currency, ...given } = accountDefinition(own);
  const definitions = [
    definition('account', 'acc', { ...given, currency }),
    definition('campaign', 'c1', engine.campaigns.c1 as unknown as Body),
  ];
  const log = logOf(accountPartition('acc'), [...definitions, ...(records as unknown as Body[])]);
  const appended = log.records.map((record) => {
    const sent = records[record.offset - definitions.length];
    return { ...record, appendMs: sent === undefined ? 0 : appendedAt(sent) };
  });
  const walked = walk({ ...log, records: appended }, decodeSpend);
  expect(
    walked.steps.flatMap(({ offset, reason }) => (reason === undefined ? [] : [offset, reason])),
  ).toEqual([]);
  change(engine.state);
  const comparison = new Comparison();
  const stored = {
    accounts: new Map([['acc', engine.state]]),
    timers: new Map([['acc', engine.state.timerMs]]),
  };
  compareAccounts({
    comparison,
    spend: [{ stored, walk: walked, ledger: keepLedger(walked) }],
  } as unknown as Scope);
  for (const kind of ['pacing', 'notice memory']) expect(comparison.compared(kind)).toBe(1);
  return comparison.kinds.filter(({ differences }) => differences > 0).map(({ kind }) => kind);
}

describe('an account', () => {
  it('of the same log is found to be the same, and was paced', () => {
    expect(
      differing(({ pacing, memory, leases }) => {
        expect(pacing.stepCount).toBeGreaterThan(2);
        expect([1_000_000, 3_000_000]).not.toContain(pacing.multiplierMillionths);
        expect(new Set(pacing.hourShares).size).toBeGreaterThan(3);
        expect([memory.current.length, memory.previous.length]).toEqual([3, 20]);
        expect([leases[0]?.seen.length, leases[0]?.lost.length]).toEqual([2, 1]);
        expect([leases[0]?.isReturned, leases[0]?.freedMicros]).toEqual([true, 27_000]);
      }),
    ).toEqual([]);
  });

  const plants: Record<string, readonly [change: (state: AccountState) => void, kind: string]> = {
    'another multiplier': [({ pacing }) => (pacing.multiplierMillionths = 1_000_000), 'pacing'],
    'a multiplier that is a millionth off': [({ pacing }) => (pacing.multiplierMillionths += 1), 'pacing'],
    'no plan': [({ pacing }) => pacing.hourShares.fill(0), 'pacing'],
    'another sum of steps': [({ pacing }) => (pacing.multiplierSum -= 1), 'pacing'],
    'another step': [({ pacing }) => (pacing.steppedMs -= 300_000), 'pacing'],
    'what was spent at the step': [({ pacing }) => (pacing.steppedMicros += 1), 'pacing'],
    'a day that was not begun': [({ pacing }) => (pacing.activeDayMs = 0), 'pacing'],
    'no notice remembered': [({ memory }) => (memory.current = []), 'notice memory'],
    'one notice forgotten': [({ memory }) => memory.current.splice(1, 1), 'notice memory'],
    'a notice that nobody sent': [({ memory }) => memory.previous.push(1), 'notice memory'],
    'another epoch': [({ memory }) => (memory.epochMs += 1), 'notice memory'],
    'a notice of a lease forgotten': [({ leases }) => leases[0]!.seen.pop(), 'leases held'],
    'a lost bid forgotten': [({ leases }) => leases[0]!.lost.pop(), 'leases held'],
    'a rest that is free again twice': [({ leases }) => delete leases[0]!.isReturned, 'leases held'],
    'a lease whose life began at another time': [({ leases }) => (leases[0]!.grantedMs! += 1), 'leases held'],
    'auctions of a day': [({ days }) => (days.at(-1)!.auctions[8]! += 1), 'settled days'],
  };
  it.each(Object.entries(plants))('with %s is found', (_name, [change, kind]) => {
    expect(differing((state) => void change(state))).toEqual([kind]);
  });
});
