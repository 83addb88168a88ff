// A visitor's links, record by record: which one is in force, which one owns the history, and what became of the others.
import type { LifecycleStage } from '../../domain/buyer.ts';
import type { LinkKeptRecord, LinkRecord, RevokeRecord } from '../../domain/identity-record.ts';
import type { When } from '../facts.ts';

/** Links that ended and can still be named. */
const PAST_LINKS_MAX = 16;

export type LinkEnd = 'superseded' | 'revoked' | 'expired';

export interface Link {
  readonly id: string;
  readonly user: string;
  /** Offset of its record, and the later of the watermark there and the record's own time. */
  readonly sinceOffset: number;
  readonly sinceMs: number;
  readonly ownsHistory: boolean;
  /** The first and the last event time at which it was said. */
  saidFromMs: number;
  saidToMs: number;
}

/** What became of a link, at the visitor's owner: a row of `identities`. */
export interface LinkChange extends When {
  readonly timeMs: number;
  readonly link: string;
  readonly user: string;
  readonly change: 'linked' | LinkEnd;
  readonly fromOffset: number;
  readonly messageId: string;
  readonly by: string;
  readonly why: string;
}

/** Offsets in which the visitor was silent: behind `from`, before `to`; a timer at `to` still belongs to it. */
export interface Silence {
  readonly from: number;
  to: number;
}

interface PastLink {
  readonly id: string;
  readonly user: string;
  how: LinkEnd;
  readonly saidFromMs: number;
  readonly saidToMs: number;
}

export interface LinkBook {
  current: Link | null;
  history: string;
  past: PastLink[];
  bornOffset: number;
  /** Ended links of this life whose users keep what they brought. */
  readonly standing: Set<string>;
  readonly changes: LinkChange[];
  readonly silences: Silence[];
}

/** What the visitor's state must say of its links. */
export interface LinksState {
  readonly current: {
    readonly id: string;
    readonly user: string;
    readonly sinceMs: number;
    readonly stage: LifecycleStage | null;
    readonly saidFromMs: number;
    readonly saidToMs: number;
  } | null;
  readonly history: string;
  readonly past: readonly Readonly<PastLink>[];
  readonly bornOffset: number;
  readonly standing: number;
}

interface AtRecord {
  readonly offset: number;
  readonly watermarkMs: number;
}

export function openLinkBook(): LinkBook {
  const none = { changes: [], silences: [], standing: new Set<string>() };
  return { current: null, history: '', past: [], bornOffset: 0, ...none };
}

/** Whether the link in force has seen nothing for too long, when a record comes. */
export function isExpired(book: LinkBook, lastMs: number, watermarkMs: number, expiryMs: number): boolean {
  return book.current !== null && watermarkMs - Math.max(lastMs, book.current.sinceMs) > expiryMs;
}

/** The link in force ends by itself, and whoever comes is somebody new. */
export function expire(book: LinkBook, at: AtRecord): Link {
  const ended = end(book, 'expired', at);
  book.history = '';
  book.bornOffset = at.offset;
  book.standing.clear();
  return ended;
}

/** Answers the link that ended and the one that began, if any did. */
export function takeLink(
  book: LinkBook,
  partition: number,
  record: LinkRecord,
  at: AtRecord,
): { readonly ended?: Link; readonly begun?: Link } {
  const { user, timestamp } = record;
  if (book.current?.user === user) {
    book.current.saidFromMs = Math.min(book.current.saidFromMs, timestamp);
    book.current.saidToMs = Math.max(book.current.saidToMs, timestamp);
    return {};
  }
  // Nothing new is said between the first and the last time that a link was said.
  const isOld = (link: PastLink): boolean => link.saidFromMs <= timestamp && timestamp <= link.saidToMs;
  if (book.past.some((link) => link.user === user && isOld(link))) return {};
  const ownsHistory = book.current === null && book.history === '' && book.standing.size === 0;
  const ended = book.current === null ? {} : { ended: end(book, 'superseded', at) };
  if (ended.ended !== undefined) book.standing.add(ended.ended.id);
  const begun: Link = {
    id: `${partition}-${at.offset}-${record.key.slice(2)}`,
    user,
    sinceOffset: at.offset,
    // A partition whose first record this is has no watermark yet.
    sinceMs: Math.max(at.watermarkMs, timestamp),
    ownsHistory,
    saidFromMs: timestamp,
    saidToMs: timestamp,
  };
  book.current = begun;
  if (ownsHistory) book.history = begun.id;
  const fromOffset = ownsHistory ? book.bornOffset : at.offset;
  const { messageId } = record;
  note(book, begun, 'linked', at, { fromOffset, messageId, timeMs: begun.sinceMs });
  book.silences.push({ from: at.offset, to: Number.POSITIVE_INFINITY });
  return { ...ended, begun };
}

/** Answers the link that was taken back, and whether it was in force; undefined if there is none to take back. */
export function takeBack(
  book: LinkBook,
  { link, by, why, messageId }: RevokeRecord,
  at: AtRecord,
): { readonly id: string; readonly user: string; readonly wasInForce: boolean } | undefined {
  const said = { messageId, by, why };
  const { current } = book;
  if (current?.id === link) {
    end(book, 'revoked', at, said);
    if (book.history === link) book.history = '';
    return { ...current, wasInForce: true };
  }
  const past = book.past.find(({ id, how }) => id === link && how !== 'revoked');
  if (past === undefined) return undefined;
  past.how = 'revoked';
  book.standing.delete(link);
  note(book, past, 'revoked', at, said);
  if (book.history === link) book.history = '';
  return { ...past, wasInForce: false };
}

/** The user has what came by the link for good: of this life, no other may own it. */
export function keep(book: LinkBook, { link }: LinkKeptRecord): void {
  const [, offset] = link.split('-', 2);
  if (Number(offset) >= book.bornOffset) book.standing.add(link);
}

function end(book: LinkBook, how: LinkEnd, at: AtRecord, said: Partial<LinkChange> = {}): Link {
  const ended = book.current!;
  book.current = null;
  const { id, user, saidFromMs, saidToMs } = ended;
  book.past = [...book.past, { id, user, how, saidFromMs, saidToMs }].slice(-PAST_LINKS_MAX);
  book.silences.at(-1)!.to = at.offset;
  note(book, ended, how, at, said);
  return ended;
}

function note(
  book: LinkBook,
  { id: link, user }: { readonly id: string; readonly user: string },
  change: LinkChange['change'],
  { offset, watermarkMs: timeMs }: AtRecord,
  said: Partial<LinkChange>,
): void {
  const silent = { fromOffset: 0, messageId: '', by: '', why: '' };
  book.changes.push({ ...silent, offset, dueMs: undefined, timeMs, link, user, change, ...said });
}

/** Whether the visitor says nothing of what happens to it then. */
export function isSilent({ silences }: LinkBook, { offset, dueMs }: When): boolean {
  return silences.some(
    ({ from, to }) => offset > from && (offset < to || (offset === to && dueMs !== undefined)),
  );
}
