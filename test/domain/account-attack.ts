// Everything that may come to an account, drawn at random: requests, notices and reports of any age, repeats,
// changed budgets, and time that passes.
import fc from 'fast-check';
import type { NoticeRecord } from '../../domain/spend-record.ts';
import { checkGrant } from './account-checks.ts';
import {
  accountDefinition,
  DAY_MS,
  HOUR_MS,
  type Ledger,
  leaseRequest,
  notice,
  openLedger,
  report,
  type SpendRecord,
  START_MS,
} from './account-ledger.ts';

const DAILY_MICROS = 10_000;

interface Place {
  readonly campaign: string;
  readonly channel: string;
  readonly country: string;
  readonly currency: string;
}

export type Step =
  | { act: 'request'; process: number; amount: number; voids: boolean; returned: number | null }
  | {
      act: 'notice';
      kind: NoticeRecord['notice'];
      lease: number;
      bid: number;
      cost: number;
      held: number | null;
      ageMs: number;
      place: Place;
    }
  | { act: 'report'; period: 'hour' | 'day'; ageMs: number; asOfMs: number; cost: number; place: Place }
  | { act: 'budget'; daily: number; total: number | null; stepMs: number }
  | { act: 'withdraw'; isWithdrawn: boolean }
  | { act: 'currency'; currency: string }
  | { act: 'pass'; byMs: number }
  | { act: 'repeat'; index: number };

const act = <Name extends string>(name: Name) => fc.constant(name);
const mostly = <Value>(usual: Value, ...others: Value[]) =>
  fc.oneof({ weight: 12, arbitrary: fc.constant(usual) }, fc.constantFrom(...others));

const place: fc.Arbitrary<Place> = fc.record({
  campaign: mostly('c1', 'c2', 'foreign', 'unknown'),
  channel: mostly('search', 'a|b'),
  country: fc.constantFrom('', 'DE', 'US'),
  currency: mostly('USD', 'EUR'),
});

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    act: act('request'),
    process: fc.nat(2),
    amount: fc.nat(DAILY_MICROS),
    voids: fc.boolean(),
    returned: fc.option(fc.nat(DAILY_MICROS)),
  }),
  fc.record({
    act: act('notice'),
    kind: fc.constantFrom('win', 'loss', 'impression', 'click'),
    lease: fc.nat(12),
    bid: fc.nat(5),
    cost: fc.oneof(fc.nat(3_000), fc.constant(0)),
    held: fc.option(fc.nat(3_000)),
    ageMs: fc.oneof(fc.nat(60_000), fc.nat(3 * DAY_MS)),
    place,
  }),
  fc.record({
    act: act('report'),
    period: fc.constantFrom('hour', 'day'),
    ageMs: fc.oneof(fc.nat(HOUR_MS), fc.nat(2 * DAY_MS)),
    asOfMs: fc.nat(DAY_MS),
    cost: fc.nat(6_000),
    place,
  }),
  fc.record({
    act: act('budget'),
    daily: fc.nat(2 * DAILY_MICROS),
    total: fc.option(fc.nat(40_000)),
    stepMs: fc.constantFrom(6 * HOUR_MS, 6 * HOUR_MS, HOUR_MS, 7 * 60_000),
  }),
  fc.record({
    act: act('pass'),
    byMs: fc.oneof(fc.nat(120_000), fc.nat(2 * HOUR_MS), fc.nat(DAY_MS), fc.constant(36 * DAY_MS)),
  }),
  fc.record({ act: act('withdraw'), isWithdrawn: mostly(false, true) }),
  fc.record({ act: act('currency'), currency: mostly('USD', 'EUR') }),
  fc.record({ act: act('repeat'), index: fc.nat(100) }),
);

/** What comes to one account, in order. */
export const attack: fc.Arbitrary<Step[]> = fc.array(step, { maxLength: 80, size: 'max' });

/** Few pacing steps: they are not what is attacked. */
export function openAttacked(): Ledger {
  const pacing = { ...accountDefinition().pacing, stepMs: 6 * HOUR_MS };
  return openLedger({ dailyBudgetMicros: DAILY_MICROS, noticeHorizonMs: 1_200_000, pacing });
}

/** So near to what an account can hold that much of what comes is too much. */
export function openNearlyFull(): Ledger {
  const ledger = openAttacked();
  const costMicros = Number.MAX_SAFE_INTEGER - 2 * DAILY_MICROS;
  ledger.send(notice({ campaign: 'c2', channel: 'before', costMicros }));
  return ledger;
}

function noticeOf(ledger: Ledger, one: Extract<Step, { act: 'notice' }>, leaseId: string | undefined) {
  return notice({
    ...one.place,
    notice: one.kind,
    bid: `b${one.bid}`,
    costMicros: one.cost,
    timestamp: Math.max(START_MS, ledger.nowMs - one.ageMs),
    ...(leaseId === undefined ? {} : { lease: leaseId }),
    ...(one.held === null ? {} : { heldMicros: one.held }),
  });
}

function reportOf(ledger: Ledger, { period, ageMs, asOfMs, cost, place }: Extract<Step, { act: 'report' }>) {
  const startedMs = Math.max(START_MS, ledger.nowMs - ageMs);
  const periodStart = startedMs - ((startedMs - START_MS) % (period === 'day' ? DAY_MS : HOUR_MS));
  const asOf = Math.min(ledger.nowMs, periodStart + asOfMs);
  const figures = { costMicros: cost, impressions: cost % 97, clicks: cost % 7 };
  return report({ ...place, period, periodStart, asOf, ...figures });
}

/** Carries one step out; `sent` are the records so far. Every grant is checked. */
export function perform(ledger: Ledger, one: Step, sent: SpendRecord[]): void {
  const leaseIds = sent.flatMap((record) => (record.kind === 'leaseRequest' ? [record.lease] : []));
  const deliver = (record: SpendRecord): void => {
    sent.push(record);
    ledger.send(record);
  };
  switch (one.act) {
    case 'request': {
      const voids = one.voids ? leaseIds.slice(-2) : [];
      const { returned } = one;
      const returns =
        returned === null ? [] : leaseIds.slice(-5).map((lease) => ({ lease, amountMicros: returned }));
      const request = leaseRequest({ process: `p${one.process}`, amountMicros: one.amount, voids, returns });
      deliver(request);
      checkGrant(ledger, request.lease);
      return;
    }
    case 'notice':
      deliver(noticeOf(ledger, one, leaseIds.at(-1 - one.lease)));
      return;
    case 'report':
      deliver(reportOf(ledger, one));
      return;
    case 'budget':
      ledger.definition = {
        ...ledger.definition!,
        dailyBudgetMicros: one.daily,
        totalBudgetMicros: one.total,
        pacing: { ...ledger.definition!.pacing, stepMs: one.stepMs },
      };
      return;
    case 'withdraw':
      ledger.isWithdrawn = one.isWithdrawn;
      return;
    case 'currency':
      ledger.definition = { ...ledger.definition!, currency: one.currency };
      return;
    case 'pass':
      ledger.passTo(ledger.nowMs + one.byMs);
      return;
    case 'repeat': {
      const record = sent[one.index];
      if (record !== undefined) ledger.send(record);
    }
  }
}
