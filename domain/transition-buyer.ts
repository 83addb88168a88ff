// What one record, or one timer, does to one buyer. The state is changed in place: the stream owns it and forgets
// all of it when a commit fails.
import { attributesOf } from './attributes.ts';
import { type Buyer, cellOf, newBuyer, type Stamped, segmentOf } from './buyer.ts';
import type { BuyerContext } from './buyer-context.ts';
import type { Effect } from './effect.ts';
import { engage } from './engagement.ts';
import { countReached, remember, settle, strictDueMs, trimBehaviours } from './funnel-progress.ts';
import { idHash53 } from './hash.ts';
import type { Definitions } from './in-force.ts';
import { churnDueMs, type StageChange, stageAfterActivity } from './lifecycle.ts';
import { expireOpportunities, opportunityDueMs, pursue } from './opportunity-progress.ts';
import type { ExposureRecord, SegmentRecord } from './record.ts';
import { pushTriggers } from './trigger.ts';

const DAY_MS = 86_400_000;

export interface BuyerOutcome {
  readonly verdict: 'applied' | 'late' | 'duplicate';
  /** '' if the event is mapped to none. */
  readonly behaviour: string;
  /** Undefined if the buyer is still unknown (a late first record). */
  readonly state: Buyer | undefined;
}

/** Judges and applies one collected record. Late and duplicate ones change nothing. */
export function transitionBuyer(
  before: Buyer | undefined,
  key: string,
  record: SegmentRecord,
  context: BuyerContext,
  effects: Effect[],
): BuyerOutcome {
  const { nowMs, definitions } = context;
  const { settings } = definitions;
  const behaviour = definitions.behaviourOf(record.kind, record.event);
  const hash = idHash53(record.messageId);
  if (before !== undefined && isRemembered(before, hash, nowMs - settings.idMemoryMs)) {
    return { verdict: 'duplicate', behaviour, state: before };
  }
  if (record.timestamp < nowMs - settings.latenessMs) return { verdict: 'late', behaviour, state: before };
  const state = before ?? newBuyer(key);
  rememberId(state, hash, record.timestamp, nowMs - settings.idMemoryMs, settings.maxIdsPerBuyer);
  updateAttributes(state, record);
  if (behaviour !== '') behave(state, behaviour, record, context, effects);
  return { verdict: 'applied', behaviour, state };
}

/** Keeps the first exposure (event time, then message id) of each experiment, whatever the order of arrival. */
export function exposeBuyer(before: Buyer | undefined, record: ExposureRecord, effects: Effect[]): Buyer {
  const state = before ?? newBuyer(record.key);
  const { experiment, variant, timestamp: timeMs, messageId, revision, reason } = record;
  const first = state.exposures.find((candidate) => candidate.experiment === experiment);
  if (first === undefined) {
    state.exposures.push({ experiment, variant, timeMs, messageId });
  } else if (timeMs < first.timeMs || (timeMs === first.timeMs && messageId < first.messageId)) {
    Object.assign(first, { variant, timeMs, messageId });
  }
  const row = { key: record.key, time: timeMs, message_id: messageId, experiment, revision, variant, reason };
  effects.push({ kind: 'row', table: 'exposures', row });
  return state;
}

/** The buyer's timer went off: settles, churns, closes what waited for this time. */
export function fireBuyerTimer(state: Buyer, context: BuyerContext, effects: Effect[]): void {
  settle(state, context.nowMs, context.definitions, effects);
  expireOpportunities(state, context, effects);
  const lifecycle = context.definitions.lifecycle;
  if (lifecycle === undefined) return;
  const dueMs = churnDueMs(state, lifecycle.document);
  if (dueMs !== 0 && dueMs <= context.nowMs) {
    changeStage(state, { to: 'churned', reason: 'absent' }, context.nowMs, context, effects);
  }
}

/** When the buyer's timer must go off at the latest; 0 if never. */
export function buyerDueMs(state: Buyer, definitions: Definitions): number {
  let dueMs = strictDueMs(state, definitions);
  const others = [
    definitions.lifecycle === undefined ? 0 : churnDueMs(state, definitions.lifecycle.document),
    definitions.opportunity === undefined ? 0 : opportunityDueMs(state, definitions.opportunity.document),
  ];
  for (const other of others) if (other !== 0 && (dueMs === 0 || other < dueMs)) dueMs = other;
  return dueMs;
}

/** `ids` is flat: hash, event time, hash, event time, … in order of arrival. */
function isRemembered(state: Buyer, hash: number, sinceMs: number): boolean {
  const { ids } = state;
  for (let index = 0; index < ids.length; index += 2) {
    if (ids[index] === hash && ids[index + 1]! >= sinceMs) return true;
  }
  return false;
}

function rememberId(state: Buyer, hash: number, timeMs: number, sinceMs: number, most: number): void {
  const { ids } = state;
  ids.push(hash, timeMs);
  let drop = 0;
  while (drop < ids.length && ids[drop + 1]! < sinceMs) drop += 2;
  if (ids.length - drop > 2 * most) {
    drop = ids.length - 2 * most;
    state.overflow = true;
  }
  if (drop > 0) ids.splice(0, drop);
}

function isAfter(record: SegmentRecord, stamped: Stamped): boolean {
  return (
    record.timestamp > stamped.timeMs ||
    (record.timestamp === stamped.timeMs && record.messageId > stamped.messageId)
  );
}

function latest(stamped: Stamped | null, record: SegmentRecord, value: string | undefined): Stamped | null {
  if (value === undefined || (stamped !== null && !isAfter(record, stamped))) return stamped;
  return { value, timeMs: record.timestamp, messageId: record.messageId };
}

function first(stamped: Stamped | null, record: SegmentRecord, value: string | undefined): Stamped | null {
  if (value === undefined || (stamped !== null && isAfter(record, stamped))) return stamped;
  return { value, timeMs: record.timestamp, messageId: record.messageId };
}

function updateAttributes(state: Buyer, record: SegmentRecord): void {
  const attributes = attributesOf(record);
  state.country = latest(state.country, record, attributes.country);
  state.industry = latest(state.industry, record, attributes.industry);
  state.level = latest(state.level, record, attributes.level);
  state.channel = first(state.channel, record, attributes.channel);
}

function behave(
  state: Buyer,
  behaviour: string,
  record: SegmentRecord,
  context: BuyerContext,
  effects: Effect[],
): void {
  const { definitions, nowMs } = context;
  const timeMs = record.timestamp;
  if (state.firstMs === 0 || timeMs < state.firstMs) state.firstMs = timeMs;
  if (timeMs > state.lastMs) state.lastMs = timeMs;
  countTotal(state, behaviour);
  countVisitor(state, timeMs, context, effects);
  state.engagement = engage(state.engagement, definitions.halfLivesMs, behaviour, timeMs, nowMs);
  settle(state, nowMs, definitions, effects);
  remember(state, timeMs, behaviour, definitions.epoch);
  countReached(state, behaviour, timeMs, definitions, effects);
  trimBehaviours(state, nowMs, definitions, effects);
  pursue(state, behaviour, record, context, effects);
  follow(state, timeMs, context, effects);
}

function countTotal(state: Buyer, behaviour: string): void {
  const total = state.totals.find((candidate) => candidate.behaviour === behaviour);
  if (total !== undefined) {
    total.count += 1;
    return;
  }
  state.totals.push({ behaviour, count: 1 });
  state.totals.sort((a, b) => (a.behaviour < b.behaviour ? -1 : 1));
}

/** A buyer is one visitor a day of event time. Days that no record in time can still name are forgotten. */
function countVisitor(state: Buyer, timeMs: number, context: BuyerContext, effects: Effect[]): void {
  const oldestDay = Math.floor((context.nowMs - context.definitions.settings.latenessMs) / DAY_MS);
  const day = Math.floor(timeMs / DAY_MS);
  if (state.visitDays.length > 0 && state.visitDays[0]! < oldestDay) {
    state.visitDays = state.visitDays.filter((visited) => visited >= oldestDay);
  }
  if (state.visitDays.includes(day)) return;
  state.visitDays.push(day);
  state.visitDays.sort((a, b) => a - b);
  const cell = cellOf(segmentOf(state));
  effects.push({ kind: 'count', series: 'northstar', revision: 0, timeMs, cell, column: 0, amount: 1 });
}

/** Follows the stages that this activity leads through. */
function follow(state: Buyer, timeMs: number, context: BuyerContext, effects: Effect[]): void {
  const lifecycle = context.definitions.lifecycle;
  if (lifecycle === undefined) return;
  for (;;) {
    const change = stageAfterActivity(state, lifecycle.document);
    if (change === null) return;
    changeStage(state, change, timeMs, context, effects);
  }
}

function changeStage(
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
  const row = {
    key: state.key,
    time: timeMs,
    from_stage: from,
    to_stage: change.to,
    reason: change.reason,
    revision,
  };
  effects.push({ kind: 'row', table: 'transitions', row });
  const data = { reason: change.reason, lifecycleRevision: revision, ...segmentOf(state) };
  pushTriggers(definitions, { on: 'transition', key: state.key, to: change.to, from, timeMs, data }, effects);
}
