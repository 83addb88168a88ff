// The parts of a user: its own and what came by each link that is kept apart. Everybody reads the fields of all together.
import { type Buyer, type BuyerHistory, type BuyerPart, newHistory } from './buyer.ts';
import type { BuyerContext } from './buyer-context.ts';
import { beginLevels, ownBehaviours } from './funnel-levels.ts';
import { byCodeInForce, copyHistory, joinHistory } from './history.ts';
import { ownShare } from './opportunity-shares.ts';

/** The part of a link; the user's own if it is no longer kept apart; undefined if there is but the user's own. */
export function partOf(state: Buyer, link: string): BuyerPart | undefined {
  return state.parts.find((part) => part.link === link) ?? state.parts[0];
}

/** Where a record of this part is to be learned: with all together, and in the part. */
export function historiesOf(state: Buyer, part: BuyerPart | undefined): BuyerHistory[] {
  return part === undefined ? [state] : [state, part];
}

/** Adds a part; what the user had becomes part 0 with the first. */
export function addPart(
  state: Buyer,
  link: string,
  visitor: string,
  told: BuyerHistory,
  context: BuyerContext,
): BuyerPart {
  const history = { ...copyHistory(told), country: byCodeInForce(told.country) };
  if (state.nextPart === 1) beginLevels(state);
  if (state.parts.length === 0) {
    state.parts.push({ number: 0, link: '', visitor: '', mergedMs: 0, ended: false, ...copyHistory(state) });
  }
  const number = state.nextPart;
  const part = { number, link, visitor, mergedMs: context.nowMs, ended: false, ...history };
  state.nextPart += 1;
  state.parts.push(part);
  joinHistory(state, history, context.definitions.halfLivesMs);
  return part;
}

/** What is too old, or too much, to be kept apart becomes the user's own for good. */
export function ownOldParts(state: Buyer, context: BuyerContext): void {
  const { linkMemoryMs, maxLinksPerBuyer } = context.definitions.settings;
  // Parts stand in the order of their merges: the oldest is the first behind the user's own.
  for (let oldest = state.parts[1]; oldest !== undefined; oldest = state.parts[1]) {
    const isOld = oldest.mergedMs + linkMemoryMs < context.nowMs;
    if (!isOld && state.parts.length - 1 <= maxLinksPerBuyer) return;
    if (!isOld) state.overflow = true;
    joinHistory(state.parts[0]!, oldest, context.definitions.halfLivesMs);
    ownBehaviours(state, oldest.number);
    for (const opportunity of state.opportunities) ownShare(opportunity, oldest.number);
    state.parts.splice(1, 1);
  }
  if (state.parts.length > 0) state.parts = [];
}

/** Takes a part out; the fields of all together are made anew from those that are left. */
export function removePart(state: Buyer, part: BuyerPart, context: BuyerContext): void {
  state.parts = state.parts.filter((each) => each !== part);
  Object.assign(state, newHistory());
  for (const each of state.parts) joinHistory(state, each, context.definitions.halfLivesMs);
  if (state.parts.length === 1) state.parts = [];
}
