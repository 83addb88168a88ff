// Which of a buyer's behaviours a funnel looks at, and the buyer's state in it.
import type { Buyer, BuyerFunnel, RememberedBehaviour } from './buyer.ts';
import { emptyProgress } from './funnel.ts';
import type { FunnelInForce } from './in-force.ts';

/** `[from, to)` of a list. */
export interface Slice {
  readonly behaviours: readonly RememberedBehaviour[];
  readonly from: number;
  readonly to: number;
}

function ownOf({ funnels }: Buyer, { id, place }: FunnelInForce): BuyerFunnel | undefined {
  const likely = funnels[place];
  return likely?.id === id ? likely : funnels.find((candidate) => candidate.id === id);
}

/** The buyer's state in this revision of a funnel, if it has one. */
export function knownProgressIn(state: Buyer, funnel: FunnelInForce): BuyerFunnel | undefined {
  const known = ownOf(state, funnel);
  return known?.revision === funnel.revision ? known : undefined;
}

/** The buyer's state in a funnel; another revision starts anew. */
export function progressIn(state: Buyer, funnel: FunnelInForce): BuyerFunnel {
  const known = ownOf(state, funnel);
  if (known !== undefined && known.revision === funnel.revision) return known;
  const settled = emptyProgress(funnel.document);
  const fresh = { id: funnel.id, revision: funnel.revision, counted: 0, settled, reached: [] };
  if (known !== undefined) return Object.assign(known, fresh);
  const started: BuyerFunnel = fresh;
  state.funnels.push(started);
  state.funnels.sort((a, b) => (a.id < b.id ? -1 : 1));
  return started;
}

/** What of `[from, to)` arrived after the funnel's definition: nearly always all of it, then the list itself. */
export function since(state: Buyer, funnel: FunnelInForce, from: number, to: number): Slice {
  const { behaviours } = state;
  for (let index = from; index < to; index += 1) {
    if (behaviours[index]!.epoch >= funnel.epoch) continue;
    const counted = behaviours.slice(from, to).filter(({ epoch }) => epoch >= funnel.epoch);
    return { behaviours: counted, from: 0, to: counted.length };
  }
  return { behaviours, from, to };
}

/** The end of the instant that begins at `from`. */
export function instantEnd(behaviours: readonly RememberedBehaviour[], from: number, until: number): number {
  const { timeMs } = behaviours[from]!;
  let to = from + 1;
  while (to < until && behaviours[to]!.timeMs === timeMs) to += 1;
  return to;
}
