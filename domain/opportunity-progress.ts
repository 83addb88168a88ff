// A buyer's open opportunities: opened and advanced by deep behaviours, closed by fulfilment or by time.
import { type Buyer, cellOf, type OpenOpportunity, type OpportunityStage, segmentOf } from './buyer.ts';
import type { BuyerContext } from './buyer-context.ts';
import type { SegmentRecord } from './buyer-record.ts';
import type { OpportunityDefinition } from './definition.ts';
import type { Effect } from './effect.ts';
import type { MergeBase } from './identity-record.ts';
import { fulfillable, isDeep, joinable, laterStage, oldest, qualityOf, subjectOf } from './opportunity.ts';
import { share, simplified, togetherOf } from './opportunity-shares.ts';
import { pushTriggers } from './trigger.ts';

type Change = 'opened' | 'advanced' | 'updated' | 'fulfilled' | 'completed' | 'lost' | 'evicted';
/** What happens to opportunities by links: handed over, taken over, given back, taken back. */
type LinkChange = 'moved' | 'merged' | 'returned' | 'revoked';

/** What a behaviour does to the buyer's opportunities. `part` is the number of the part that it came by. */
export function pursue(
  state: Buyer,
  behaviour: string,
  record: SegmentRecord,
  part: number,
  context: BuyerContext,
  effects: Effect[],
): void {
  const definition = context.definitions.opportunity;
  if (definition === undefined) return;
  if (behaviour === 'fulfil') {
    const found = fulfillable(state.opportunities, subjectOf(record.properties, definition.document));
    if (found !== undefined) close(state, found, 'fulfilled', record.timestamp, context, effects);
  } else if (isDeep(behaviour)) {
    pursueDeep(state, behaviour, record, part, definition.document, context, effects);
  }
}

function pursueDeep(
  state: Buyer,
  behaviour: OpportunityStage,
  record: SegmentRecord,
  part: number,
  definition: OpportunityDefinition,
  context: BuyerContext,
  effects: Effect[],
): void {
  const subject = subjectOf(record.properties, definition);
  const buyer = { country: state.country?.value, level: state.level?.value };
  const quality = qualityOf(definition, behaviour, record.properties, buyer);
  const joined = joinable(state.opportunities, subject);
  if (joined === undefined) {
    openOpportunity(state, behaviour, subject, quality, record.timestamp, part, context, effects);
    return;
  }
  const stage = laterStage(joined.stage, behaviour);
  const advanced = stage !== joined.stage;
  const better = quality > joined.quality;
  share(joined, part, behaviour, quality, record.timestamp);
  joined.stage = stage;
  joined.quality = Math.max(joined.quality, quality);
  joined.updatedMs = Math.max(joined.updatedMs, record.timestamp);
  if (advanced || better) {
    say(state, joined, advanced ? 'advanced' : 'updated', record.timestamp, context, effects);
  }
  qualify(state, joined, record.timestamp, context, effects);
}

function openOpportunity(
  state: Buyer,
  stage: OpportunityStage,
  subject: string,
  quality: number,
  timeMs: number,
  part: number,
  context: BuyerContext,
  effects: Effect[],
): void {
  const { partition, offset } = context;
  makeRoom(state, timeMs, context, effects);
  const opened: OpenOpportunity = {
    id: `${partition}-${offset}`,
    subject,
    stage,
    openedMs: timeMs,
    updatedMs: timeMs,
    quality,
    qualified: false,
    shares: part === 0 ? [] : [{ part, stage, updatedMs: timeMs, quality }],
  };
  state.opportunities.push(opened);
  const cell = cellOf(segmentOf(state));
  effects.push({ kind: 'count', series: 'northstar', revision: 0, timeMs, cell, column: 1, amount: 1 });
  say(state, opened, 'opened', timeMs, context, effects);
  tell(state, opened, 'opened', timeMs, context, effects);
  qualify(state, opened, timeMs, context, effects);
}

/** One that finds no room evicts the oldest; several, where the limit was lowered. */
function makeRoom(state: Buyer, timeMs: number, context: BuyerContext, effects: Effect[]): void {
  while (state.opportunities.length >= context.definitions.settings.maxOpportunitiesPerBuyer) {
    close(state, oldest(state.opportunities)!, 'evicted', timeMs, context, effects);
    state.overflow = true;
  }
}

function qualify(
  state: Buyer,
  opportunity: OpenOpportunity,
  timeMs: number,
  context: BuyerContext,
  effects: Effect[],
): void {
  const qualifiedAt = context.definitions.opportunity?.document.qualifiedAt ?? 1;
  if (opportunity.qualified || opportunity.quality < qualifiedAt) return;
  opportunity.qualified = true;
  const cell = cellOf(segmentOf(state));
  effects.push({ kind: 'count', series: 'northstar', revision: 0, timeMs, cell, column: 2, amount: 1 });
  say(state, opportunity, 'qualified', timeMs, context, effects);
  tell(state, opportunity, 'qualified', timeMs, context, effects);
}

/** Closes what had no progress for too long: an order is complete, anything less is lost. */
export function expireOpportunities(state: Buyer, context: BuyerContext, effects: Effect[]): void {
  const definition = context.definitions.opportunity?.document;
  if (definition === undefined) return;
  for (const opportunity of [...state.opportunities]) {
    if (opportunity.updatedMs + definition.closeAfterMs > context.nowMs) continue;
    close(
      state,
      opportunity,
      opportunity.stage === 'order' ? 'completed' : 'lost',
      context.nowMs,
      context,
      effects,
    );
  }
}

/** When the first of them expires; 0 if none is open. */
export function opportunityDueMs(state: Buyer, definition: OpportunityDefinition): number {
  let dueMs = 0;
  for (const { updatedMs } of state.opportunities) {
    const due = updatedMs + definition.closeAfterMs;
    if (dueMs === 0 || due < dueMs) dueMs = due;
  }
  return dueMs;
}

function close(
  state: Buyer,
  opportunity: OpenOpportunity,
  change: Change | LinkChange,
  timeMs: number,
  context: BuyerContext,
  effects: Effect[],
): void {
  state.opportunities = state.opportunities.filter((candidate) => candidate !== opportunity);
  say(state, opportunity, change, timeMs, context, effects);
}

/** Says of every open opportunity that it went with a link, or came back. */
export function sayOfAll(
  state: Buyer,
  change: 'moved' | 'returned',
  context: BuyerContext,
  effects: Effect[],
): void {
  for (const opportunity of state.opportunities)
    say(state, opportunity, change, context.nowMs, context, effects);
}

/** Takes over what a visitor had open, under ids of this partition. */
export function takeOpportunities(
  state: Buyer,
  taken: MergeBase['opportunities'],
  part: number,
  context: BuyerContext,
  effects: Effect[],
): void {
  taken.forEach((opportunity, index) => {
    makeRoom(state, context.nowMs, context, effects);
    const { stage, updatedMs, quality } = opportunity;
    const own: OpenOpportunity = {
      ...opportunity,
      id: `${context.partition}-${context.offset}.${index}`,
      shares: [{ part, stage, updatedMs, quality }],
    };
    state.opportunities.push(own);
    say(state, own, 'merged', context.nowMs, context, effects);
  });
}

/** Takes the part's shares back. What nobody else has a share in is gone. */
export function dropShares(state: Buyer, part: number, context: BuyerContext, effects: Effect[]): void {
  for (const opportunity of [...state.opportunities]) {
    if (!opportunity.shares.some((each) => each.part === part)) continue;
    const left = opportunity.shares.filter((each) => each.part !== part);
    if (left.length === 0) {
      close(state, opportunity, 'revoked', context.nowMs, context, effects);
      continue;
    }
    const { stage, quality } = opportunity;
    Object.assign(opportunity, togetherOf(left), { shares: simplified(left) });
    if (opportunity.stage !== stage || opportunity.quality !== quality)
      say(state, opportunity, 'updated', context.nowMs, context, effects);
  }
}

function say(
  state: Buyer,
  opportunity: OpenOpportunity,
  change: Change | LinkChange | 'qualified',
  timeMs: number,
  context: BuyerContext,
  effects: Effect[],
): void {
  const row = {
    key: state.key,
    time: timeMs,
    opportunity_id: opportunity.id,
    change,
    subject: opportunity.subject,
    stage: opportunity.stage,
    opened_at: opportunity.openedMs,
    quality: opportunity.quality,
    qualified: opportunity.qualified ? 1 : 0,
    ...segmentOf(state),
    level: state.level?.value ?? '',
    revision: context.definitions.opportunity?.revision ?? 0,
  };
  effects.push({ kind: 'row', table: 'opportunities', row });
}

function tell(
  state: Buyer,
  opportunity: OpenOpportunity,
  to: 'opened' | 'qualified',
  timeMs: number,
  context: BuyerContext,
  effects: Effect[],
): void {
  const { id, subject, stage, quality } = opportunity;
  const revision = context.definitions.opportunity?.revision ?? 0;
  const data = {
    opportunity: id,
    subject,
    stage,
    quality,
    opportunityRevision: revision,
    ...segmentOf(state),
  };
  pushTriggers(
    context.definitions,
    { on: 'opportunity', key: state.key, to, from: to === 'opened' ? '' : 'opened', timeMs, data },
    effects,
  );
}
