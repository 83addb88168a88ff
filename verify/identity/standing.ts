// The stage of one person who was two, and of who has lost a part of what was known; nobody is told.
import type { LifecycleStage } from '../../domain/buyer.ts';
import type { Facts, When } from '../facts.ts';
import type { Epoch } from '../in-force.ts';
import { changeQuietly, deepCount } from '../life.ts';
import type { Life } from '../life-state.ts';

interface Side {
  readonly stage: LifecycleStage | null;
  readonly maturedMs: number;
}

const rising: readonly LifecycleStage[] = ['new', 'mature', 'retained'];

/** An active side counts as what it is; a churned one beside it as what it would be on its return. */
function rankOf({ stage, maturedMs }: Side): number {
  if (stage === null) return -1;
  if (stage === 'churned') return rising.indexOf(maturedMs > 0 ? 'retained' : 'new');
  return rising.indexOf(stage);
}

/** The stage of both together. */
export function standTogether(
  life: Life,
  visitor: Side,
  watermarkMs: number,
  when: When,
  epoch: Epoch,
  facts: Facts,
): void {
  const sides: readonly Side[] = [{ stage: life.stage, maturedMs: life.maturedMs }, visitor];
  const isActive = sides.some(({ stage }) => stage !== null && stage !== 'churned');
  const highest = isActive ? (rising[Math.max(...sides.map(rankOf))] ?? null) : null;
  const isChurned = !isActive && sides.some(({ stage }) => stage === 'churned');
  const matured = sides.map(({ maturedMs }) => maturedMs).filter((timeMs) => timeMs > 0);
  life.maturedMs = matured.length === 0 ? 0 : Math.min(...matured);
  moveTo(life, isChurned ? 'churned' : highest, 'merged', watermarkMs, when, epoch, facts);
}

/** The stage without what was taken back. */
export function standAfter(life: Life, watermarkMs: number, when: When, epoch: Epoch, facts: Facts): void {
  const { stage, lastMs } = life;
  if (lastMs === 0 || stage === null) {
    life.maturedMs = 0;
    moveTo(life, null, 'revoked', watermarkMs, when, epoch, facts);
    return;
  }
  if (epoch.lifecycle === undefined) return;
  const { matureCount, churnedAfterMs } = epoch.lifecycle.document;
  if (deepCount(life, epoch) < matureCount) life.maturedMs = 0;
  const isAbsent = stage === 'churned' || lastMs + churnedAfterMs <= watermarkMs;
  const present = life.maturedMs === 0 ? 'new' : stage;
  moveTo(life, isAbsent ? 'churned' : present, 'revoked', watermarkMs, when, epoch, facts);
}

function moveTo(
  life: Life,
  to: LifecycleStage | null,
  reason: string,
  watermarkMs: number,
  when: When,
  epoch: Epoch,
  facts: Facts,
): void {
  if (to !== life.stage) changeQuietly(life, to, reason, watermarkMs, when, epoch, facts);
}
