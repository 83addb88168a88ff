// One funnel of one buyer: what was counted, which levels stand because of what, and where it began to look.
import type { Count } from '../facts.ts';
import { risesOf, type Start } from '../funnel-levels.ts';
import type { FunnelSpan } from '../in-force.ts';
import type { HeldBehaviour } from './held.ts';
import type { StandingLevel } from './linked-person.ts';

/** The offset of behaviours that came with a past: before every definition. */
export const PAST_OFFSET = -1;

export interface Rung {
  readonly span: FunnelSpan;
  counted: number;
  standing: readonly StandingLevel[];
  /** What was counted since the definition, each with the number that the next part had. */
  early: (Count & { readonly nextPart: number })[];
  backfilled: boolean;
  /** How far its past had brought it, before all of `seen`; undefined: it began with nothing. */
  start: Start | undefined;
  /** What it looks at, where that is not what the others do. */
  seen: HeldBehaviour[] | undefined;
}

export function newRung(span: FunnelSpan): Rung {
  return { span, counted: 0, standing: [], early: [], backfilled: false, start: undefined, seen: undefined };
}

export function isStrict({ span }: Rung): boolean {
  return span.document.mode !== 'default';
}

/** Of these, what came after the funnel's definition; all, once its past is known. */
export function seenBy(
  { span, backfilled }: Rung,
  behaviours: readonly HeldBehaviour[],
): readonly HeldBehaviour[] {
  return backfilled ? behaviours : behaviours.filter(({ offset }) => offset > span.sinceOffset);
}

/** The instants at which the level rises, from where the rung began to look. */
export function risesBy(rung: Rung, behaviours: readonly HeldBehaviour[]) {
  return risesOf(rung.span.document, seenBy(rung, behaviours), rung.start);
}

export function levelBy(rung: Rung, behaviours: readonly HeldBehaviour[]): number {
  return risesBy(rung, behaviours).at(-1)?.level ?? rung.start?.level ?? 0;
}
