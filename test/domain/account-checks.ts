// What must hold of an account's state at any time, and at every grant.
import { expect } from 'vitest';
import { settledCells } from '../../domain/account/book.ts';
import { outstandingMicros } from '../../domain/account/leases.ts';
import { aggregatesOf, HOUR_MS, type Ledger } from './account-ledger.ts';

/** Hour, book, day and account add up, and the aggregates that were told are the latest. */
export function checkSums(ledger: Ledger): void {
  const { state } = ledger;
  const aggregates = new Map<string, number>();
  let settledMicros = state.closed.reduce((sum, closed) => sum + closed.settledMicros, 0);
  for (const day of state.days) {
    let dayMicros = 0;
    for (const book of day.books) {
      let bookMicros = 0;
      for (const { hour, country, figures } of settledCells(book, day.startMs)) {
        bookMicros += figures[2];
        const name = `campaign:${book.campaign}@${day.startMs + hour * HOUR_MS}@${country}|${book.channel}|acc`;
        if (figures.some((figure) => figure !== 0)) aggregates.set(name, figures[2]);
      }
      expect(book.settledMicros).toBe(bookMicros);
      dayMicros += bookMicros;
    }
    expect(day.settledMicros).toBe(dayMicros);
    settledMicros += dayMicros;
  }
  expect(state.settledMicros).toBe(settledMicros);
  if (state.closed.length > 0) return;
  const told = [...aggregatesOf(ledger.effects)].map(([name, figures]) => [name, figures[2]]);
  expect(Object.fromEntries(told)).toEqual(Object.fromEntries(aggregates));
}

/** At a grant of at least a micro: settled + outstanding ≤ budget, of its day and of the whole. */
export function checkGrant(ledger: Ledger, leaseId: string): void {
  const lease = ledger.state.leases.find((candidate) => candidate.id === leaseId);
  if (lease === undefined) return;
  const { dailyBudgetMicros, totalBudgetMicros } = ledger.definition!;
  const settledMicros = ledger.state.days.find((day) => day.startMs === lease.dayMs)?.settledMicros ?? 0;
  expect(settledMicros + outstandingMicros(ledger.state, lease.dayMs)).toBeLessThanOrEqual(dailyBudgetMicros);
  // Without a total budget the bound is what the account can hold: else its wins would be refused.
  expect(ledger.state.settledMicros + outstandingMicros(ledger.state)).toBeLessThanOrEqual(
    totalBudgetMicros ?? Number.MAX_SAFE_INTEGER,
  );
}
