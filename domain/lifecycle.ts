// Lifecycle: new → mature → retained, churned by absence, and back. One step at a time, until nothing changes.
import type { LifecycleStage } from './buyer.ts';
import type { LifecycleDefinition } from './definition.ts';

export type TransitionReason = 'first' | 'matured' | 'retained' | 'returned' | 'absent';

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
