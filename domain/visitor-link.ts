// The visitor's side of links: its owner alone orders, ends and takes them back. While one is in force the visitor's record lives
// on in silence, and what it does is sent on (docs/decisions/identity.md).
import { type Buyer, newBuyer, type PastLink, type VisitorLink, type VisitorLinks } from './buyer.ts';
import type { BuyerContext } from './buyer-context.ts';
import type { ExposureRecord, SegmentRecord } from './buyer-record.ts';
import type { Effect } from './effect.ts';
import type { LinkKeptRecord, LinkRecord, RevokeRecord } from './identity-record.ts';
import { sayOfAll } from './opportunity-progress.ts';
import { sayStage } from './stage-progress.ts';
import { mergeRecords } from './visitor-history.ts';

/** Links that ended and can still be named. */
const PAST_LINKS_MAX = 16;

/** An identify or alias asks the visitor's owner for the visitor; without a visitor or a user it links nothing. */
export function askForLink(record: SegmentRecord, effects: Effect[]): void {
  const { kind, userId, anonymousId, previousId, messageId, timestamp } = record;
  const visitor = kind === 'alias' ? (previousId ?? anonymousId) : anonymousId;
  if (userId === undefined || visitor === undefined) return;
  const cause = kind === 'alias' ? 'alias' : 'identify';
  const asked = {
    kind: 'link' as const,
    key: `a:${visitor}`,
    user: `u:${userId}`,
    cause,
    messageId,
    timestamp,
  };
  effects.push({ kind: 'record', record: asked as typeof asked & { cause: 'identify' | 'alias' } });
}

/** Where the effects of a visitor's own record go: nowhere while it is linked. */
export function effectsOf(state: Buyer, effects: Effect[]): Effect[] {
  return state.links?.current == null ? effects : [];
}

/** Sends on what a linked visitor did or was shown. */
export function forward(
  state: Buyer,
  record: SegmentRecord | ExposureRecord,
  behaviour: string,
  context: BuyerContext,
  effects: Effect[],
): void {
  const { id: link, user } = state.links!.current!;
  const { appendMs } = context;
  effects.push({
    kind: 'record',
    record: { kind: 'forward', key: user, link, visitor: state.key, appendMs, behaviour, record },
  });
}

/** The visitor as it goes on: a new one, if its link has seen nothing for too long. */
export function endExpired(state: Buyer, context: BuyerContext, effects: Effect[]): Buyer {
  const current = state.links?.current;
  if (current == null) return state;
  const silentSinceMs = Math.max(state.lastMs, current.sinceMs);
  if (context.nowMs - silentSinceMs <= context.definitions.settings.linkExpiryMs) return state;
  const links = endLink(state, current, 'expired', context, effects);
  const reborn = newBuyer(state.key);
  reborn.links = { ...links, history: '', bornOffset: context.offset, standing: 0 };
  // The queue holds a timer of the record that was: it fires early and finds what there is then.
  reborn.timerMs = state.timerMs;
  return reborn;
}

/** An identify or alias said that the visitor is this user. */
export function linkVisitor(
  before: Buyer | undefined,
  record: LinkRecord,
  context: BuyerContext,
  effects: Effect[],
): Buyer {
  const state = before === undefined ? newBuyer(record.key) : endExpired(before, context, effects);
  const current = state.links?.current;
  if (current?.user === record.user) {
    hear(current, record.timestamp);
    return state;
  }
  const links = state.links ?? noLinks();
  if (wasHeard(links, record)) return state;
  if (current != null) {
    endLink(state, current, 'superseded', context, effects);
    links.standing += 1;
  }
  const id = `${context.partition}-${context.offset}-${record.key.slice(2)}`;
  const ownsHistory = current == null && links.history === '' && links.standing === 0;
  // A partition whose first record this is has no watermark yet.
  const sinceMs = Math.max(context.nowMs, record.timestamp);
  const said = { saidFromMs: record.timestamp, saidToMs: record.timestamp };
  // What came about in silence was never said: a further link goes on from what was.
  const stage = current == null ? state.stage : current.stage;
  const link: VisitorLink = { id, user: record.user, sinceMs, stage, ...said };
  state.links = { ...links, current: link, history: ownsHistory ? id : links.history };
  const from_offset = ownsHistory ? links.bornOffset : context.offset;
  const named = { time: sinceMs, from_offset, message_id: record.messageId };
  say(state, link, 'linked', context, effects, named);
  // Also where nothing is handed over: what a visitor who falls silent has open would stay open for ever.
  if (current == null) sayOfAll(state, 'moved', context, effects);
  const chunkSize = context.definitions.settings.mergeChunkBehaviours;
  for (const merge of mergeRecords(state, link, ownsHistory, chunkSize)) {
    effects.push({ kind: 'record', record: merge });
  }
  return state;
}

/** Somebody takes a link back; one that is not known here, or was taken back before, changes nothing. */
export function revokeLink(
  before: Buyer | undefined,
  record: RevokeRecord,
  context: BuyerContext,
  effects: Effect[],
): Buyer | undefined {
  if (before?.links == null) return before;
  const { links } = before;
  const named = { changed_by: record.by, why: record.why, message_id: record.messageId };
  const current = links.current;
  if (current?.id === record.link) {
    endLink(before, current, 'revoked', context, effects, named);
    speakAgain(before, current, context, effects);
  } else {
    const ended = links.past.find(({ id, how }) => id === record.link && how !== 'revoked');
    if (ended === undefined) return before;
    if (ended.how === 'superseded' && isOfThisLife(links, ended.id)) links.standing -= 1;
    ended.how = 'revoked';
    say(before, ended, 'revoked', context, effects, named);
    tellUser(before, ended, effects);
  }
  if (links.history === record.link) links.history = '';
  return before;
}

function noLinks(): VisitorLinks {
  return { current: null, history: '', past: [], bornOffset: 0, standing: 0 };
}

/** A link is said again. */
function hear(link: VisitorLink, timeMs: number): void {
  const isFirst = link.saidToMs === 0;
  link.saidFromMs = isFirst ? timeMs : Math.min(link.saidFromMs, timeMs);
  link.saidToMs = Math.max(link.saidToMs, timeMs);
}

/** Whether a link that has ended was told as much before: then it is a repeat, or older than what ended the link. */
function wasHeard({ past }: VisitorLinks, { user, timestamp }: LinkRecord): boolean {
  return past.some(
    (link) => link.user === user && link.saidFromMs <= timestamp && timestamp <= link.saidToMs,
  );
}

/** A link's id has the offset of its record. */
function isOfThisLife({ bornOffset }: VisitorLinks, link: string): boolean {
  return Number(link.split('-')[1]) >= bornOffset;
}

/** What came by a link that was taken back stays with its user: no later link owns it. */
export function keepLink(before: Buyer | undefined, { link }: LinkKeptRecord): Buyer | undefined {
  if (before?.links != null && isOfThisLife(before.links, link)) before.links.standing += 1;
  return before;
}

/** The visitor is itself again: what came about in silence is said now, and nobody is told. */
function speakAgain(state: Buyer, link: VisitorLink, context: BuyerContext, effects: Effect[]): void {
  sayOfAll(state, 'returned', context, effects);
  if (state.stage === link.stage) return;
  sayStage(state, link.stage ?? '', 'unlinked', context.nowMs, context, effects);
}

function endLink(
  state: Buyer,
  { id, user, saidFromMs, saidToMs }: VisitorLink,
  how: PastLink['how'],
  context: BuyerContext,
  effects: Effect[],
  named: Readonly<Record<string, unknown>> = {},
): VisitorLinks {
  const ended: PastLink = { id, user, how, saidFromMs, saidToMs };
  const links = state.links!;
  links.current = null;
  links.past = [...links.past, ended].slice(-PAST_LINKS_MAX);
  say(state, ended, how, context, effects, named);
  tellUser(state, ended, effects);
  return links;
}

function tellUser(state: Buyer, { id: link, user, how }: PastLink, effects: Effect[]): void {
  effects.push({ kind: 'record', record: { kind: 'linkEnded', key: user, link, visitor: state.key, how } });
}

function say(
  state: Buyer,
  { id: link, user }: { readonly id: string; readonly user: string },
  change: 'linked' | PastLink['how'],
  context: BuyerContext,
  effects: Effect[],
  named: Readonly<Record<string, unknown>>,
): void {
  const own = { key: state.key, time: context.nowMs, link, visitor: state.key, user, change, from_offset: 0 };
  effects.push({ kind: 'row', table: 'identities', row: { ...own, ...named } });
}
