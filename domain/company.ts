// Companies: what the members of a group do together. A company's record is a buyer's in silence: levels and scores, nothing
// that is counted, staged or told.
import { attributesOf } from './attributes.ts';
import { type Buyer, newBuyer } from './buyer.ts';
import type { BuyerContext } from './buyer-context.ts';
import type { SegmentRecord } from './buyer-record.ts';
import type { Effect } from './effect.ts';
import { reachForeign } from './funnel-foreign.ts';
import { settle, trimBehaviours } from './funnel-progress.ts';
import { learnAttributes, learnBehaviour } from './history.ts';
import type { MemberRecord } from './identity-record.ts';

/** A member's behaviour, or what a `group` call says of the company, goes to the company's owner. */
export function tellCompany(state: Buyer, record: SegmentRecord, behaviour: string, effects: Effect[]): void {
  if (record.kind === 'group') {
    if (record.groupId !== undefined)
      tell(state, record.groupId, record, '', effects, groupAttributes(record));
  } else if (state.company !== null && behaviour !== '') {
    tell(state, state.company.value, record, behaviour, effects);
  }
}

function tell(
  { key: member }: Buyer,
  company: string,
  { messageId, timestamp }: SegmentRecord,
  behaviour: string,
  effects: Effect[],
  attributes?: NonNullable<MemberRecord['attributes']>,
): void {
  const told = { kind: 'member' as const, key: `c:${company}`, member, messageId, timestamp, behaviour };
  effects.push({ kind: 'record', record: attributes === undefined ? told : { ...told, attributes } });
}

/** Only traits speak of the company; properties and context are the member's. */
function groupAttributes(record: SegmentRecord): NonNullable<MemberRecord['attributes']> {
  const { properties: _properties, context: _context, ...rest } = record;
  const { country, industry, level } = attributesOf(rest);
  return {
    ...(country === undefined ? {} : { country }),
    ...(industry === undefined ? {} : { industry }),
    ...(level === undefined ? {} : { level }),
  };
}

/** Applies a member's record to the company, whatever its time: it was judged at the member's owner. */
export function transitionCompany(
  before: Buyer | undefined,
  record: MemberRecord,
  context: BuyerContext,
): Buyer {
  const state = before ?? newBuyer(record.key);
  const { behaviour, timestamp: timeMs, attributes } = record;
  if (attributes !== undefined) learnAttributes(state, attributes, record);
  if (behaviour === '') return state;
  const { nowMs, definitions } = context;
  const unheard: Effect[] = [];
  learnBehaviour(state, behaviour, timeMs, definitions.halfLivesMs, nowMs);
  settle(state, nowMs, definitions, unheard);
  reachForeign(state, { timeMs, behaviour, epoch: definitions.epoch, part: 0 }, nowMs, definitions, unheard);
  trimBehaviours(state, nowMs, definitions, unheard);
  return state;
}
