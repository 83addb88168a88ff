// The ledger against the oracle's, which was written from docs/decisions/spend.md alone: on anything that may come,
// both say the same of every record, hold the same money in the same places, remember the same notices and pace alike.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { settledCells } from '../../domain/account/book.ts';
import { leaseGrant, outstandingMicros } from '../../domain/account/leases.ts';
import { rememberNotice } from '../../domain/account/notices.ts';
import { newAccount } from '../../domain/account.ts';
import { settings as settingsSchema } from '../../domain/definition.ts';
import { idHash } from '../../verify/id-hash.ts';
import type { Epoch } from '../../verify/in-force.ts';
import { AccountLedger } from '../../verify/ledger/account.ts';
import type { LedgerFacts } from '../../verify/ledger/facts.ts';
import { outstandingMicros as outstandingByOracle } from '../../verify/ledger/leases.ts';
import { TakenNotices } from '../../verify/ledger/taken.ts';
import { attack, openAttacked, openNearlyFull, perform } from './account-attack.ts';
import {
  DAY_MS,
  HOUR_MS,
  type Ledger,
  type Met,
  rowsOf,
  type SpendRecord,
  START_MS,
} from './account-ledger.ts';

function epochOf(
  ledger: Ledger,
  { definition, isWithdrawn }: Pick<Met, 'definition' | 'isWithdrawn'>,
): Epoch {
  const standing = <Document>(id: string, document: Document) => ({
    id,
    revision: 1,
    hash: '',
    document,
    sinceOffset: 0,
  });
  return {
    sinceOffset: 0,
    all: [],
    settings: settingsSchema.parse({}),
    behaviourRules: [],
    funnels: [],
    lifecycle: undefined,
    opportunity: undefined,
    triggers: [],
    halfLivesMs: [],
    accounts: definition === undefined || isWithdrawn ? [] : [standing('acc', definition)],
    paidBy: new Map(definition === undefined ? [] : [['acc', definition]]),
    spentFor: new Map(Object.entries(ledger.campaigns)),
  } as unknown as Epoch;
}

/** The same records, lived through by the oracle. */
function judgeAgain(ledger: Ledger): { account: AccountLedger; facts: LedgerFacts } {
  const facts: LedgerFacts = { spend: [], leases: [], grants: [], rejected: new Map() };
  const account = new AccountLedger('acc', facts);
  const passed = [...ledger.passed];
  const passBefore = (offset: number): void => {
    for (; passed[0]?.index === offset; passed.shift()) {
      const epoch = epochOf(ledger, passed[0]);
      account.passTo(passed[0].toMs, () => ({ offset, epoch }));
    }
  };
  ledger.met.forEach((met, offset) => {
    passBefore(offset);
    const { nowMs: watermarkMs, appendMs } = met;
    account.take(met.record, { offset, appendMs, watermarkMs, epoch: epochOf(ledger, met) });
  });
  passBefore(ledger.met.length);
  return { account, facts };
}

function placesOf(ledger: Ledger): Record<string, readonly number[]> {
  const places: Record<string, readonly number[]> = {};
  for (const { startMs, books } of ledger.state.days) {
    for (const book of books) {
      for (const { hour, country, figures } of settledCells(book, startMs)) {
        places[`${book.campaign}/${book.channel}/${startMs}/${hour}|${country}`] = figures;
      }
    }
  }
  return places;
}

function placesByOracle(
  account: AccountLedger,
  openDays: ReadonlySet<number>,
): Record<string, readonly number[]> {
  const places: Record<string, readonly number[]> = {};
  for (const book of account.books) {
    if (!openDays.has(book.dayMs)) continue;
    for (const [place, figures] of book.settled) {
      places[`${book.campaign}/${book.channel}/${book.dayMs}/${place}`] = figures;
    }
  }
  return places;
}

/** Hashes of what each remembers, ascending. */
function memoryByOracle({ taken, leases }: Pick<AccountLedger, 'taken' | 'leases'>) {
  const hashed = (names: Iterable<string>): number[] => [...names].map(idHash).sort((a, b) => a - b);
  const { epochMs, current, previous } = taken.memory;
  const held = leases.map(({ seen }) => hashed(seen));
  return { epochMs, current: hashed(current), previous: hashed(previous), leases: held };
}

describe('the oracle’s memory of notices', () => {
  it('and ours know a repeat of what was just taken when `idMemoryMs` has become shorter', () => {
    const takeBoth = (all: readonly [name: string, atMs: number, idMemoryMs: number][]): string[] => {
      const { memory } = newAccount('acc');
      const taken = new TakenNotices();
      return all.map(([name, atMs, idMemoryMs]) => {
        const ours = rememberNotice(memory, idHash(name), atMs, idMemoryMs);
        expect(taken.take(name, atMs, idMemoryMs)).toBe(ours === 'added' ? 'new' : ours);
        return ours;
      });
    };
    const day = START_MS - (START_MS % DAY_MS);
    const late = day + 15 * HOUR_MS;
    expect(
      takeBoth([
        ['a', late - 60_000, DAY_MS],
        ['a', late + 60_000, HOUR_MS],
      ]),
    ).toEqual(['added', 'known']);
    // Two epochs on it need not be known, and weeks on it is not.
    const hours = [late, late + HOUR_MS, late + 2 * HOUR_MS];
    expect(
      takeBoth([
        ['a', hours[0]!, HOUR_MS],
        ['b', hours[1]!, HOUR_MS],
        ['a', hours[2]!, HOUR_MS],
      ]),
    ).toEqual(['added', 'added', 'added']);
    expect(
      takeBoth([
        ['a', day, DAY_MS],
        ['a', day + 15 * DAY_MS, DAY_MS],
      ]),
    ).toEqual(['added', 'added']);
  });

  it('knows the same repeats, however far time goes and whatever `idMemoryMs` becomes', () => {
    const one = fc.record({
      byMs: fc.oneof(fc.nat(20_000), fc.nat(DAY_MS), fc.nat(20 * DAY_MS)),
      name: fc.constantFrom('a', 'b', 'c', 'd'),
      idMemoryMs: fc.constantFrom(HOUR_MS, HOUR_MS, HOUR_MS, 7 * HOUR_MS, DAY_MS, 100 * DAY_MS, 1),
    });
    fc.assert(
      fc.property(fc.array(one, { maxLength: 40, size: 'max' }), (notices) => {
        const { memory } = newAccount('acc');
        const taken = new TakenNotices();
        let nowMs = START_MS;
        for (const { byMs, name, idMemoryMs } of notices) {
          nowMs += byMs;
          const ours = rememberNotice(memory, idHash(name), nowMs, idMemoryMs);
          expect(taken.take(name, nowMs, idMemoryMs)).toBe(ours === 'added' ? 'new' : ours);
        }
        expect(memoryByOracle({ taken, leases: [] })).toEqual({ ...memory, leases: [] });
      }),
      { numRuns: 500 },
    );
  });
});

describe('the oracle’s ledger', { timeout: 120_000 }, () => {
  it.each([
    ['', openAttacked, 'foreignCampaign', 50],
    // Few leases are granted there: what is paced and returned is met in the other.
    [', near to what the account can hold', openNearlyFull, 'overflow', 20],
  ])('agrees with ours on every record and every sum%s', (_where, open, way, often) => {
    const seen = new Map<string, number>();
    const stepped = new Set<number>();
    let returned = 0;
    let withdrawn = 0;
    let inOther = 0;
    fc.assert(
      fc.property(attack, (steps) => {
        const ledger = open();
        const sent: SpendRecord[] = [];
        for (const one of steps) perform(ledger, one, sent);
        const { account, facts } = judgeAgain(ledger);
        const verdicts = new Map(facts.spend.map((fact) => [fact.offset, fact.verdict]));
        ledger.met.forEach(({ record, outcome, isWithdrawn, definition }, offset) => {
          const expected = outcome.verdict === 'rejected' ? outcome.reason : outcome.verdict;
          seen.set(expected, (seen.get(expected) ?? 0) + 1);
          if (record.kind === 'leaseRequest') {
            expect(facts.rejected.get(offset)).toBe(outcome.verdict === 'rejected' ? expected : undefined);
            if (isWithdrawn && outcome.verdict === 'control') withdrawn += 1;
            if (definition?.currency === 'EUR' && leaseGrant(ledger.state, record.lease) === 'refused')
              inOther += 1;
            return;
          }
          expect(facts.rejected.get(offset) ?? verdicts.get(offset)).toBe(expected);
        });
        const { state } = ledger;
        expect(account.settledMicros).toBe(state.settledMicros);
        expect(placesByOracle(account, new Set(state.days.map((day) => day.startMs)))).toEqual(
          placesOf(ledger),
        );
        expect(outstandingByOracle(account.leases)).toBe(outstandingMicros(state));
        const { closedReportedOverspendMicros, ...counters } = state.counters;
        expect(account.beyond).toEqual(counters);
        expect(account.pacing.state).toEqual(state.pacing);
        expect(memoryByOracle(account)).toEqual({
          ...state.memory,
          leases: state.leases.map(({ seen }) => seen),
        });
        if (state.pacing.stepCount > 0) stepped.add(state.pacing.multiplierMillionths);
        const told = rowsOf(ledger.effects, 'leases').map((row) => [
          row.lease,
          row.status,
          row.amount_micros,
          row.time,
        ]);
        expect(facts.leases.map((fact) => [fact.lease, fact.status, fact.amountMicros, fact.timeMs])).toEqual(
          told,
        );
        returned += told.filter(([, status, micros]) => status === 'returned' && Number(micros) > 0).length;
      }),
      { numRuns: 1_000 },
    );
    // Every way a record can go was met often.
    const ways = ['applied', 'late', 'duplicate', 'control', 'unknownCampaign', 'currency', way];
    for (const way of ways) expect(seen.get(way) ?? 0).toBeGreaterThan(10);
    expect(stepped.size).toBeGreaterThan(often);
    expect(returned).toBeGreaterThan(often);
    expect(withdrawn).toBeGreaterThan(10);
    expect(inOther).toBeGreaterThan(10);
  });
});
