// Lifecycle: new → mature → retained, churned by absence, and back. One step at a time, until nothing changes.
import type { LifecycleStage } from './buyer.ts';
import type { LifecycleDefinition } from './definition.ts';

export type TransitionReason =
  | 'first'
  | 'matured'
  | 'retained'
  | 'returned'
  | 'absent'
  // By links, told to nobody: joined with a visitor, a visitor again, without what a link brought.
  | 'merged'
  | 'unlinked'
  | 'revoked';

export interface StageChange {
  readonly to: LifecycleStage;
  readonly reason: TransitionReason;
}

/** What the lifecycle looks at. */
export interface ActiveBuyer {
  stage: LifecycleStage | null;
  /** Of the last behaviour. */
  lastMs: number;
  /** When it became mature; 0 if never. */
  maturedMs: number;
  totals: readonly { readonly behaviour: string; readonly count: number }[];
}

function deepCount(buyer: ActiveBuyer, definition: LifecycleDefinition): number {
  let count = 0;
  for (const total of buyer.totals)
    if (definition.matureBehaviours.includes(total.behaviour)) count += total.count;
  return count;
}

/** What the buyer's activity makes of the stage, or null if it stays. */
export function stageAfterActivity(buyer: ActiveBuyer, definition: LifecycleDefinition): StageChange | null {
  switch (buyer.stage) {
    case null:
      return { to: 'new', reason: 'first' };
    case 'churned':
      return { to: buyer.maturedMs > 0 ? 'retained' : 'new', reason: 'returned' };
    case 'new':
      return deepCount(buyer, definition) >= definition.matureCount
        ? { to: 'mature', reason: 'matured' }
        : null;
    case 'mature':
      return buyer.lastMs - buyer.maturedMs >= definition.retainedAfterMs
        ? { to: 'retained', reason: 'retained' }
        : null;
    case 'retained':
      return null;
  }
}

/** When absence makes the buyer churn; 0 if there is nothing to wait for. */
export function churnDueMs(buyer: ActiveBuyer, definition: LifecycleDefinition): number {
  return buyer.stage === null || buyer.stage === 'churned' ? 0 : buyer.lastMs + definition.churnedAfterMs;
}

/** Where somebody stands in the lifecycle. */
export interface Standing {
  readonly stage: LifecycleStage | null;
  readonly maturedMs: number;
}

const activeStages: readonly LifecycleStage[] = ['new', 'mature', 'retained'];

/** Where one person stands who was two. */
export function joinStanding(one: Standing, other: Standing): Standing {
  const matured = [one.maturedMs, other.maturedMs].filter((timeMs) => timeMs > 0);
  const maturedMs = matured.length === 0 ? 0 : Math.min(...matured);
  const sides = [one, other].filter(({ stage }) => stage !== null);
  if (sides.length === 0) return { stage: null, maturedMs };
  if (sides.every(({ stage }) => stage === 'churned')) return { stage: 'churned', maturedMs };
  const ranks = sides.map((side) => {
    const asActive = side.stage === 'churned' ? (side.maturedMs > 0 ? 'retained' : 'new') : side.stage!;
    return activeStages.indexOf(asActive);
  });
  return { stage: activeStages[Math.max(...ranks)]!, maturedMs };
}

/** Where somebody stands who has lost a part of what was known of them. */
export function standingWithout(
  buyer: ActiveBuyer,
  definition: LifecycleDefinition | undefined,
  nowMs: number,
): Standing {
  if (buyer.lastMs === 0 || buyer.stage === null) return { stage: null, maturedMs: 0 };
  if (definition === undefined) return { stage: buyer.stage, maturedMs: buyer.maturedMs };
  const isMature = deepCount(buyer, definition) >= definition.matureCount;
  const maturedMs = isMature ? buyer.maturedMs : 0;
  if (buyer.stage === 'churned' || buyer.lastMs + definition.churnedAfterMs <= nowMs)
    return { stage: 'churned', maturedMs };
  return { stage: maturedMs === 0 ? 'new' : buyer.stage, maturedMs };
}
