// Levels of who has, or had, parts: each with the parts that it needs, so that it falls with any of them.
import type { Buyer, BuyerFunnel, ReachedLevel } from './buyer.ts';
import { emptyProgress, isStep, levelAfter } from './funnel.ts';
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

/**
 * Begins with all parts and leaves each out in turn if the level is still reached without it. Whoever has a page's public key
 * can fill a user with parts, and each merge may note every level of every funnel: no part is tried for nothing.
 */
function neededParts(
  state: Buyer,
  own: BuyerFunnel,
  funnel: FunnelInForce,
  reached: number,
  until: number,
): number[] {
  const { document: rule, strict } = funnel;
  const { behaviours, from, to } = since(state, own, funnel, 0, until);
  const seen = behaviours.slice(from, to);
  const steps = seen.filter(({ behaviour }) => isStep(rule, behaviour));
  const held = rule.mode.startsWith('strict_order') ? seen : steps;
  const reaches = (parts: ReadonlySet<number>): boolean => {
    const left = held.filter(({ part }) => part === 0 || parts.has(part));
    return levelAfter(rule, emptyProgress(rule), left) >= reached;
  };
  const parts = state.parts.map(({ number }) => number).filter((number) => number !== 0);
  return strict
    ? leftInTurn(parts, new Set(steps.map(({ part }) => part)), reaches)
    : leftOfRising(parts, reaches);
}

/** What brings no step keeps no level from being reached, at most an intruder from ending it: it goes untried. */
function leftInTurn(
  parts: readonly number[],
  withSteps: ReadonlySet<number>,
  reaches: (parts: ReadonlySet<number>) => boolean,
): number[] {
  const left = new Set(parts);
  let isReached = reaches(left);
  for (const part of parts) {
    left.delete(part);
    if (isReached && !withSteps.has(part)) continue;
    if (reaches(left)) isReached = true;
    else left.add(part);
  }
  return [...left].sort((a, b) => a - b);
}

/**
 * The same for a `default` funnel, where more behaviours never lower a level: if the first parts can be left out together, each
 * in turn can. So the next that is needed is found by halving.
 */
function leftOfRising(parts: readonly number[], reaches: (parts: ReadonlySet<number>) => boolean): number[] {
  if (reaches(new Set())) return [];
  // Where a cap has dropped what the level was reached by, nothing can be left out.
  if (!reaches(new Set(parts))) return [...parts];
  const needed: number[] = [];
  let rest = parts;
  do {
    let low = 0;
    let high = rest.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (reaches(new Set([...needed, ...rest.slice(middle)]))) low = middle;
      else high = middle - 1;
    }
    needed.push(rest[low]!);
    rest = rest.slice(low + 1);
  } while (!reaches(new Set(needed)));
  return needed;
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
