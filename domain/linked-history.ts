// The user's side of links: histories arrive in chunks and become parts, and parts are taken back (docs/decisions/identity.md).
import { type ArrivingHistory, type Buyer, type BuyerPart, newBuyer } from './buyer.ts';
import type { BuyerContext } from './buyer-context.ts';
import { addPart, ownOldParts, removePart } from './buyer-parts.ts';
import type { Effect } from './effect.ts';
import { insertForeign, recomputeFunnels, takeCounted } from './funnel-foreign.ts';
import { forgetBehaviours } from './funnel-levels.ts';
import { settle, trimBehaviours } from './funnel-progress.ts';
import type { LinkEndedRecord, MergeRecord } from './identity-record.ts';
import { joinStanding, standingWithout } from './lifecycle.ts';
import { dropShares, takeOpportunities } from './opportunity-progress.ts';
import { follow, setStanding } from './stage-progress.ts';

/** Takes one chunk of a visitor's history; with the last one the history is joined. */
export function mergeHistory(
  before: Buyer | undefined,
  record: MergeRecord,
  context: BuyerContext,
  effects: Effect[],
): Buyer {
  const state = before ?? newBuyer(record.key);
  const { link, visitor, chunk, chunks, base, behaviours } = record;
  if (base !== undefined) state.arriving.push({ link, visitor, base, chunks: 0, behaviours: [] });
  const arriving = state.arriving.find((each) => each.link === link);
  if (arriving === undefined || arriving.chunks !== chunk) return state;
  arriving.chunks += 1;
  arriving.behaviours.push(...behaviours);
  if (arriving.chunks < chunks) return state;
  state.arriving = state.arriving.filter((each) => each !== arriving);
  join(state, arriving, context, effects);
  return state;
}

/** In the order of docs/decisions/identity.md, "Merge". */
function join(
  state: Buyer,
  { link, visitor, base, behaviours }: ArrivingHistory,
  context: BuyerContext,
  effects: Effect[],
): void {
  const { nowMs, definitions } = context;
  ownOldParts(state, context);
  settle(state, nowMs, definitions, effects);
  const own = { stage: state.stage, maturedMs: state.maturedMs };
  const { number: part } = addPart(state, link, visitor, base, context);
  state.visitDays = [...new Set([...state.visitDays, ...base.visitDays])].sort((a, b) => a - b);
  state.overflow ||= base.overflow;
  takeCounted(state, base.counted, part, definitions);
  const { epoch } = definitions;
  const foreign = behaviours.map(([timeMs, behaviour]) => ({ timeMs, behaviour, epoch, part }));
  insertForeign(state, foreign, nowMs, definitions, effects);
  takeOpportunities(state, base.opportunities, part, context, effects);
  setStanding(state, joinStanding(own, base), 'merged', context, effects);
  // Absence is no activity: who is churned, or has no stage, waits for what comes.
  if (state.stage === 'new' || state.stage === 'mature') follow(state, state.lastMs, context, effects);
  trimBehaviours(state, nowMs, definitions, effects);
  say(state, link, visitor, 'merged', context, effects);
  ownOldParts(state, context);
}

/** A link of this user's is no longer in force. Only one that was revoked takes back what came by it. */
export function endPart(
  before: Buyer | undefined,
  record: LinkEndedRecord,
  context: BuyerContext,
  effects: Effect[],
): Buyer | undefined {
  if (before === undefined) return undefined;
  ownOldParts(before, context);
  const part = before.parts.find((each) => each.link === record.link);
  if (record.how !== 'revoked') {
    if (part !== undefined) part.ended = true;
  } else if (part === undefined) {
    const { key: user, link, visitor } = record;
    say(before, link, visitor, 'inseparable', context, effects);
    effects.push({ kind: 'record', record: { kind: 'linkKept', key: visitor, link, user } });
  } else {
    drop(before, part, context, effects);
  }
  return before;
}

function drop(state: Buyer, part: BuyerPart, context: BuyerContext, effects: Effect[]): void {
  const { nowMs, definitions } = context;
  settle(state, nowMs, definitions, effects);
  forgetBehaviours(state, part.number);
  removePart(state, part, context);
  dropShares(state, part.number, context, effects);
  recomputeFunnels(state, definitions, effects);
  const standing = standingWithout(state, definitions.lifecycle?.document, nowMs);
  setStanding(state, standing, 'revoked', context, effects);
  say(state, part.link, part.visitor, 'dropped', context, effects);
}

function say(
  state: Buyer,
  link: string,
  visitor: string,
  change: 'merged' | 'dropped' | 'inseparable',
  context: BuyerContext,
  effects: Effect[],
): void {
  const row = { key: state.key, time: context.nowMs, link, visitor, user: state.key, change, from_offset: 0 };
  effects.push({ kind: 'row', table: 'identities', row });
}
