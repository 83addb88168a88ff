// What one record, or one timer, does to one buyer. The state is changed in place: the stream owns it and forgets
// all of it when a commit fails.
import { type Buyer, type BuyerPart, cellOf, newBuyer, segmentOf } from './buyer.ts';
import type { BuyerContext } from './buyer-context.ts';
import { historiesOf, ownOldParts, partOf } from './buyer-parts.ts';
import type { ExposureRecord, SegmentRecord } from './buyer-record.ts';
import { tellCompany } from './company.ts';
import { isCompany } from './company-key.ts';
import type { Effect } from './effect.ts';
import { reach, reachForeign } from './funnel-foreign.ts';
import { settle, strictDueMs, trimBehaviours } from './funnel-progress.ts';
import { idHash53 } from './hash.ts';
import { learnBehaviour, learnExposure, learnRecord } from './history.ts';
import type { ForwardRecord } from './identity-record.ts';
import type { Definitions } from './in-force.ts';
import { churnDueMs } from './lifecycle.ts';
import { expireOpportunities, opportunityDueMs, pursue } from './opportunity-progress.ts';
import { inserted } from './sorted.ts';
import { changeStage, follow } from './stage-progress.ts';
import { rememberedFrom, unsettledFrom } from './time-floors.ts';
import { askForLink, effectsOf, endExpired, forward } from './visitor-link.ts';

const DAY_MS = 86_400_000;

export interface BuyerOutcome {
  readonly verdict: 'applied' | 'late' | 'duplicate';
  /** '' if the event is mapped to none. */
  readonly behaviour: string;
  /** Undefined if the buyer is still unknown (a late first record). */
  readonly state: Buyer | undefined;
}

/** Judges and applies one collected record. Late and duplicate ones change nothing; a late identify still links. */
export function transitionBuyer(
  before: Buyer | undefined,
  key: string,
  record: SegmentRecord,
  context: BuyerContext,
  effects: Effect[],
): BuyerOutcome {
  const { nowMs, definitions } = context;
  const behaviour = definitions.behaviourOf(record.kind, record.event);
  const known = before?.links == null ? before : endExpired(before, context, effects);
  const hash = idHash53(record.messageId);
  const rememberedMs = rememberedFrom(definitions, nowMs);
  if (known !== undefined && isRemembered(known, hash, rememberedMs)) {
    return { verdict: 'duplicate', behaviour, state: known };
  }
  if (record.kind === 'identify' || record.kind === 'alias') askForLink(record, effects);
  if (record.timestamp < unsettledFrom(definitions, nowMs))
    return { verdict: 'late', behaviour, state: known };
  const state = known ?? newBuyer(key);
  rememberId(state, hash, record.timestamp, rememberedMs, definitions.settings.maxIdsPerBuyer);
  ownOldParts(state, context);
  applyRecord(state, state.parts[0], record, behaviour, false, context, effectsOf(state, effects));
  if (state.links?.current != null) forward(state, record, behaviour, context, effects);
  else tellCompany(state, record, behaviour, effects);
  return { verdict: 'applied', behaviour, state };
}

/** Applies what a linked visitor did, as its owner judged it. */
export function forwardToBuyer(
  before: Buyer | undefined,
  { key, link, behaviour, record }: ForwardRecord,
  context: BuyerContext,
  effects: Effect[],
): Buyer {
  const state = before ?? newBuyer(key);
  ownOldParts(state, context);
  const part = partOf(state, link);
  if (record.kind === 'exposure') {
    learnExposed(state, part, record);
    return state;
  }
  applyRecord(state, part, record, behaviour, true, context, effects);
  tellCompany(state, record, behaviour, effects);
  return state;
}

/** Keeps the first exposure (event time, then message id) of each experiment, whatever the order of arrival. */
export function exposeBuyer(
  before: Buyer | undefined,
  record: ExposureRecord,
  context: BuyerContext,
  effects: Effect[],
): Buyer {
  const known = before?.links == null ? before : endExpired(before, context, effects);
  const state = known ?? newBuyer(record.key);
  ownOldParts(state, context);
  learnExposed(state, state.parts[0], record);
  const { timestamp: time, messageId: message_id, experiment, variant, revision, reason } = record;
  const row = { key: record.key, time, message_id, experiment, revision, variant, reason };
  effects.push({ kind: 'row', table: 'exposures', row });
  if (state.links?.current != null) forward(state, record, '', context, effects);
  return state;
}

function learnExposed(state: Buyer, part: BuyerPart | undefined, record: ExposureRecord): void {
  const { experiment, variant, timestamp: timeMs, messageId } = record;
  for (const history of historiesOf(state, part)) {
    learnExposure(history, { experiment, variant, timeMs, messageId });
  }
}

/** The buyer's timer went off: settles, churns, closes what waited for this time. */
export function fireBuyerTimer(state: Buyer, context: BuyerContext, effects: Effect[]): void {
  const heard = effectsOf(state, effects);
  settle(state, context.nowMs, context.definitions, heard);
  expireOpportunities(state, context, heard);
  const lifecycle = context.definitions.lifecycle;
  if (lifecycle === undefined) return;
  const dueMs = churnDueMs(state, lifecycle.document);
  if (dueMs !== 0 && dueMs <= context.nowMs) {
    changeStage(state, { to: 'churned', reason: 'absent' }, context.nowMs, context, heard);
  }
}

/** When the buyer's timer must go off at the latest; 0 if never. */
export function buyerDueMs(state: Buyer, definitions: Definitions): number {
  if (isCompany(state.key)) return 0;
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

/** What an applied record does, in the part that it came by (undefined: there is but the buyer's own); a foreign one was judged elsewhere. */
function applyRecord(
  state: Buyer,
  part: BuyerPart | undefined,
  record: SegmentRecord,
  behaviour: string,
  isForeign: boolean,
  context: BuyerContext,
  effects: Effect[],
): void {
  const histories = historiesOf(state, part);
  learnRecord(histories, record);
  if (behaviour === '') return;
  const { definitions, nowMs } = context;
  const { timestamp: timeMs } = record;
  const number = part?.number ?? 0;
  for (const history of histories) {
    learnBehaviour(history, behaviour, timeMs, definitions.halfLivesMs, nowMs);
  }
  countVisitor(state, timeMs, context, effects);
  settle(state, nowMs, definitions, effects);
  const remembered = { timeMs, behaviour, epoch: definitions.epoch, part: number };
  if (isForeign) reachForeign(state, remembered, nowMs, definitions, effects);
  else reach(state, remembered, definitions, effects);
  trimBehaviours(state, nowMs, definitions, effects);
  pursue(state, behaviour, record, number, context, effects);
  follow(state, timeMs, context, effects);
}

/** A buyer is one visitor a day of event time. Days that no record in time can still name are forgotten. */
function countVisitor(state: Buyer, timeMs: number, context: BuyerContext, effects: Effect[]): void {
  const oldestDay = Math.floor(unsettledFrom(context.definitions, context.nowMs) / DAY_MS);
  const day = Math.floor(timeMs / DAY_MS);
  if (state.visitDays.length > 0 && state.visitDays[0]! < oldestDay) {
    state.visitDays = state.visitDays.filter((visited) => visited >= oldestDay);
  }
  if (day < oldestDay || state.visitDays.includes(day)) return;
  state.visitDays = inserted(state.visitDays, day, (visited) => visited);
  const cell = cellOf(segmentOf(state));
  effects.push({ kind: 'count', series: 'northstar', revision: 0, timeMs, cell, column: 0, amount: 1 });
}
