// Whether a run could have shown that a budget is overspent: only where next to nothing of it was left.
import { TIGHT_CAMPAIGN, TIGHT_CLEARED_MICROS, TIGHT_TAKEN_MICROS } from './arena/definitions.ts';

export interface Spent {
  /** What the exchange's wins cleared at. */
  readonly cleared: number;
  /** What was bid to the exchange and it tells nothing of: set aside until its notices may no longer come. */
  readonly untold: number;
  /** What the ledger says that it has in leases and has not back. */
  readonly outstanding: number;
}

/**
 * The sums are the exchange's own: a ledger that kept everything in leases for ever would else be taken for one whose budget is spent.
 * Only what killed `serve`s had leased is the ledger's to say. It comes back minutes later, and cannot be cleared before.
 */
export function tooLittleSpent({ cleared, untold, outstanding }: Spent, killsServe: boolean): string[] {
  const taken = cleared + (killsServe ? outstanding : untold);
  const least = killsServe ? TIGHT_CLEARED_MICROS.afterKills : TIGHT_CLEARED_MICROS.else;
  if (taken >= TIGHT_TAKEN_MICROS && cleared >= least) return [];
  const beside = killsServe ? `${outstanding} outstanding` : `${untold} bid and not told of`;
  return [`${TIGHT_CAMPAIGN}: only ${cleared} cleared and ${beside}, too little to be overspent`];
}
