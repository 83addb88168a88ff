// Levels of who has, or had, parts: each with the parts that it needs, so that it falls with any of them.
import type { Buyer, BuyerFunnel, ReachedLevel } from './buyer.ts';
import { emptyProgress, levelAfter } from './funnel.ts';
import { since } from './funnel-slice.ts';
import type { FunnelInForce } from './in-force.ts';

/** The level that the buyer stands at. Where nothing ever came by a link it is what was counted. */
export function levelOf(buyer: Pick<Buyer, 'nextPart'>, own: BuyerFunnel): number {
  if (buyer.nextPart === 1) return own.counted;
  return own.reached.reduce((highest, reached) => Math.max(highest, reached.level), 0);
}

/** The steps counted so far become levels that need nothing but the buyer's own part. */
export function beginLevels(state: Buyer): void {
  for (const own of state.funnels) {
    own.reached = own.counted === 0 ? [] : [{ level: own.counted, parts: [] }];
  }
}

/** Adds a level with what it needs, unless one that stands says as much; drops those that say no more. */
export function addLevel(own: BuyerFunnel, added: ReachedLevel): void {
  const says = (one: ReachedLevel, other: ReachedLevel): boolean =>
    one.level >= other.level && one.parts.every((part) => other.parts.includes(part));
  if (own.reached.some((reached) => says(reached, added))) return;
  own.reached = [...own.reached.filter((reached) => !says(added, reached)), added];
}

/** Notes that a level was reached by the first `until` behaviours, with the parts that it needs. */
export function noteLevel(
  state: Buyer,
  own: BuyerFunnel,
  funnel: FunnelInForce,
  reached: number,
  until: number,
): void {
  if (reached <= levelOf(state, own)) return;
  addLevel(own, { level: reached, parts: neededParts(state, own, funnel, reached, until) });
}

/** Begins with all parts and leaves each out in turn if the level is still reached without it. */
function neededParts(
  state: Buyer,
  own: BuyerFunnel,
  funnel: FunnelInForce,
  reached: number,
  until: number,
): number[] {
  const { behaviours, from, to } = since(state, own, funnel, 0, until);
  const held = behaviours.slice(from, to);
  const needed = new Set(state.parts.map(({ number }) => number).filter((number) => number !== 0));
  for (const part of [...needed]) {
    needed.delete(part);
    const without = held.filter((behaviour) => behaviour.part === 0 || needed.has(behaviour.part));
    if (levelAfter(funnel.document, emptyProgress(funnel.document), without) < reached) needed.add(part);
  }
  return [...needed].sort((a, b) => a - b);
}

/** Levels that needed the part fall; its behaviours are forgotten. The funnels have to be computed anew. */
export function forgetBehaviours(state: Buyer, part: number): void {
  const settled = state.behaviours.slice(0, state.settledCount);
  state.settledCount = settled.filter((behaviour) => behaviour.part !== part).length;
  state.behaviours = state.behaviours.filter((behaviour) => behaviour.part !== part);
  for (const own of state.funnels) {
    own.reached = own.reached.filter(({ parts }) => !parts.includes(part));
  }
}

/** The part's behaviours and levels become the buyer's own. */
export function ownBehaviours(state: Buyer, part: number): void {
  for (const behaviour of state.behaviours) if (behaviour.part === part) behaviour.part = 0;
  for (const own of state.funnels) {
    const levels = own.reached.map(({ level: reached, parts }) => ({
      level: reached,
      parts: parts.filter((number) => number !== part),
    }));
    own.reached = [];
    for (const reached of levels) addLevel(own, reached);
  }
}
