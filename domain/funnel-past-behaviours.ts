// Puts the behaviours of a past beside those that are held, each once.
import type { Buyer, RememberedBehaviour } from './buyer.ts';
import type { BuyerContext } from './buyer-context.ts';
import type { FunnelInForce } from './in-force.ts';
import { unsettledFrom } from './time-floors.ts';

const nameOf = ({ timeMs, behaviour, part }: RememberedBehaviour): string => `${timeMs} ${part} ${behaviour}`;

/**
 * Puts in what is not held.
 * @returns whether something is held that came since the funnel's record and belongs before `settledBeforeMs`
 */
export function insertPast(
  state: Buyer,
  past: readonly RememberedBehaviour[],
  funnel: FunnelInForce,
  settledBeforeMs: number,
  { nowMs, definitions }: BuyerContext,
): { readonly isAmended: boolean } {
  const left = new Map<string, number>();
  for (const each of past) left.set(nameOf(each), (left.get(nameOf(each)) ?? 0) + 1);
  let isAmended = false;
  for (const held of state.behaviours) {
    const count = left.get(nameOf(held)) ?? 0;
    if (count > 0) left.set(nameOf(held), count - 1);
    else if (held.timeMs < settledBeforeMs && held.epoch >= funnel.epoch) isAmended = true;
  }
  const missing = past.filter((each) => {
    const count = left.get(nameOf(each))!;
    left.set(nameOf(each), count - 1);
    return count > 0;
  });
  if (missing.length === 0) return { isAmended };
  const settledThroughMs = state.behaviours[state.settledCount - 1]?.timeMs ?? 0;
  const unsettledFromMs = Math.max(unsettledFrom(definitions, nowMs), settledThroughMs + 1);
  state.behaviours = [...missing, ...state.behaviours].sort((a, b) => a.timeMs - b.timeMs);
  const unsettled = state.behaviours.findIndex(({ timeMs }) => timeMs >= unsettledFromMs);
  state.settledCount = unsettled === -1 ? state.behaviours.length : unsettled;
  return { isAmended };
}
