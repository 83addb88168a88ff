// The ledger attacked with anything, twice, late, out of order or restated: what is granted never exceeds the budget,
// and every sum is the sum of its parts.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { outstandingMicros } from '../../domain/account/leases.ts';
import { accountSummary } from '../../domain/account/summary.ts';
import { attack, openAttacked, perform } from './account-attack.ts';
import { checkSums } from './account-checks.ts';
import { DAY_MS, type SpendRecord } from './account-ledger.ts';

/** Runs draw lease ids of their own; all else must be the same. */
const withoutIds = (state: unknown): string => JSON.stringify(state).replaceAll(/"l\d+"/g, '"l"');

describe('whatever comes', { timeout: 120_000 }, () => {
  it('grants stay within the budget in force, and every sum is the sum of its parts', () => {
    fc.assert(
      fc.property(attack, (steps) => {
        const ledger = openAttacked();
        const sent: SpendRecord[] = [];
        for (const one of steps) perform(ledger, one, sent);
        checkSums(ledger);
        const summary = accountSummary(ledger.state, ledger.definition!, ledger.nowMs);
        expect(summary.freeMicros).toBeGreaterThanOrEqual(0);
        expect(summary.outstandingTotalMicros).toBeGreaterThanOrEqual(summary.outstandingMicros);
        ledger.passTo(ledger.nowMs + 2 * DAY_MS);
        expect(outstandingMicros(ledger.state)).toBe(0);
      }),
      { numRuns: 1_000 },
    );
  });

  it('the state is plain data: written and read back after every step it goes on the same', () => {
    fc.assert(
      fc.property(attack, (steps) => {
        const [kept, reread] = [openAttacked(), openAttacked()];
        const [sent, resent]: SpendRecord[][] = [[], []];
        for (const one of steps) {
          perform(kept, one, sent!);
          perform(reread, one, resent!);
          reread.state = JSON.parse(JSON.stringify(reread.state));
        }
        expect(withoutIds(reread.state)).toBe(withoutIds(kept.state));
      }),
      { numRuns: 150 },
    );
  });
});
