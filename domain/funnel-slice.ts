// Which of a buyer's behaviours a funnel looks at, and the buyer's state in it.
import { type Buyer, type BuyerFunnel, newFunnel, type RememberedBehaviour } from './buyer.ts';
import { isCompany } from './company-key.ts';
import type { FunnelDefinition } from './definition.ts';
import { advance, emptyProgress, type FunnelProgress } from './funnel.ts';
import type { FunnelInForce } from './in-force.ts';
import { inserted } from './sorted.ts';

/** The epoch of behaviours that came with a past: before that of every definition, so that only funnels whose past is known see them. */
export const PAST_EPOCH = 0;

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
  const { id, revision } = funnel;
  const fresh = newFunnel(id, revision, 0, settled);
  if (known !== undefined) return Object.assign(known, fresh);
  state.funnels = inserted(state.funnels, fresh, (own) => own.id);
  return fresh;
}

/**
 * Whether a past of this buyer's in the funnel may still come, so that what is counted now has to be remembered. A linked
 * visitor's steps are not counted. Who has parts may have a past that moved no watermark here.
 */
export function awaitsPast(state: Buyer, own: BuyerFunnel, { sinceMs = 0 }: FunnelInForce): boolean {
  if (own.backfilled || sinceMs === 0 || state.links?.current != null || isCompany(state.key)) return false;
  return state.firstMs <= sinceMs || state.nextPart > 1;
}

/**
 * What of `[from, to)` the funnel looks at: all of it once its past is known, else what arrived after its definition;
 * nearly always that is the list itself.
 */
export function since(
  state: Buyer,
  own: Pick<BuyerFunnel, 'backfilled'>,
  funnel: FunnelInForce,
  from: number,
  to: number,
): Slice {
  const { behaviours } = state;
  if (own.backfilled) return { behaviours, from, to };
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

/** Goes over a list instant by instant, and says how far each has brought it and where the next one begins. */
export function walk(
  rule: FunnelDefinition,
  start: FunnelProgress,
  { behaviours, from, to: until }: Slice,
  visit: (progress: FunnelProgress, timeMs: number, to: number) => void,
): void {
  let progress = start;
  for (let at = from; at < until; ) {
    const to = instantEnd(behaviours, at, until);
    progress = advance(rule, progress, behaviours, at, to);
    visit(progress, behaviours[at]!.timeMs, to);
    at = to;
  }
}
