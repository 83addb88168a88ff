// A run in which the small account's money did not move says nothing of its budget, whatever the ledger says of leases.
import { expect, it } from 'vitest';
import { tooLittleSpent } from '../../loadtest/faults/spent.ts';

const MILLION = 1_000_000;
const spent = (cleared: number, untold: number, outstanding: number) => ({
  cleared: cleared * MILLION,
  untold: untold * MILLION,
  outstanding: outstanding * MILLION,
});

it('a budget of which nine tenths are cleared is met', () => {
  expect(tooLittleSpent(spent(18, 0, 0), false)).toEqual([]);
  expect(tooLittleSpent(spent(17.9, 0, 0), false)).toHaveLength(1);
});

it('what the exchange tells nothing of is taken; what the ledger alone calls outstanding is not', () => {
  expect(tooLittleSpent(spent(17.2, 2.8, 2.8), false)).toEqual([]);
  expect(tooLittleSpent(spent(17.2, 0, 2.8), false)).toHaveLength(1);
  expect(tooLittleSpent(spent(0, 0, 20), false)).toHaveLength(1);
});

it('what a killed serve had leased is the ledger’s to say', () => {
  expect(tooLittleSpent(spent(13, 0, 7), true)).toEqual([]);
  expect(tooLittleSpent(spent(13, 0, 4), true)).toHaveLength(1);
});

it('some of it must have been cleared, whoever was killed', () => {
  expect(tooLittleSpent(spent(9, 11, 11), false)).toHaveLength(1);
  expect(tooLittleSpent(spent(4, 0, 16), true)).toHaveLength(1);
  expect(tooLittleSpent(spent(0, 0, 20), true)).toHaveLength(1);
});
