// A buyer's way through the stages of the lifecycle: each change is a row, and a trigger for whom it concerns.
import { type Buyer, segmentOf } from './buyer.ts';
import type { BuyerContext } from './buyer-context.ts';
import type { Effect } from './effect.ts';
import { type StageChange, type Standing, stageAfterActivity, type TransitionReason } from './lifecycle.ts';
import { pushTriggers } from './trigger.ts';

/** Follows the stages that this activity leads through. */
export function follow(state: Buyer, timeMs: number, context: BuyerContext, effects: Effect[]): void {
  const lifecycle = context.definitions.lifecycle;
  if (lifecycle === undefined) return;
  for (;;) {
    const change = stageAfterActivity(state, lifecycle.document);
    if (change === null) return;
    changeStage(state, change, timeMs, context, effects);
  }
}

export function changeStage(
  state: Buyer,
  change: StageChange,
  timeMs: number,
  context: BuyerContext,
  effects: Effect[],
): void {
  const { definitions } = context;
  const from = state.stage ?? '';
  state.stage = change.to;
  state.stageSinceMs = timeMs;
  if (change.reason === 'matured') state.maturedMs = timeMs;
  const revision = definitions.lifecycle?.revision ?? 0;
  sayStage(state, from, change.reason, timeMs, context, effects);
  const data = { reason: change.reason, lifecycleRevision: revision, ...segmentOf(state) };
  pushTriggers(definitions, { on: 'transition', key: state.key, to: change.to, from, timeMs, data }, effects);
}

/** The row of a change that is made. */
export function sayStage(
  state: Buyer,
  from: string,
  reason: TransitionReason,
  timeMs: number,
  context: BuyerContext,
  effects: Effect[],
): void {
  const row = {
    key: state.key,
    time: timeMs,
    from_stage: from,
    to_stage: state.stage ?? '',
    reason,
    revision: context.definitions.lifecycle?.revision ?? 0,
  };
  effects.push({ kind: 'row', table: 'transitions', row });
}

/** Where links put the buyer: a row if the stage is another, and nobody is told. */
export function setStanding(
  state: Buyer,
  { stage, maturedMs }: Standing,
  reason: TransitionReason,
  context: BuyerContext,
  effects: Effect[],
): void {
  state.maturedMs = maturedMs;
  const from = state.stage;
  if (stage === from) return;
  state.stage = stage;
  state.stageSinceMs = stage === null ? 0 : context.nowMs;
  sayStage(state, from ?? '', reason, context.nowMs, context, effects);
}
