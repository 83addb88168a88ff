// A user to whom something came by links, lived through record by record: own ones, histories that are merged, what is
// forwarded, what is taken back.

import type { SegmentRecord } from '../../domain/buyer-record.ts';
import type {
  BackfillRecord,
  ForwardRecord,
  LinkEndedRecord,
  MergeRecord,
  PastRecord,
} from '../../domain/identity-record.ts';
import type { EventsTopicRecord } from '../../domain/record.ts';
import { segmentOf } from '../attributes.ts';
import { cellOf, type Facts } from '../facts.ts';
import { settledBefore } from '../in-force.ts';
import { isBehaved, type Judged, judge } from '../judge.ts';
import { act, grow, nextDueMs, waitUntil } from '../life.ts';
import { type Life, newLife, type Place } from '../life-state.ts';
import type { Person } from '../person.ts';
import type { Walk } from '../watermark.ts';
import type { PartChange } from './changes.ts';
import { type Gathering, gatherBehaviour, gatherExposure, gatherRecord, sumsAt } from './gathering.ts';
import type { At, Happening } from './happenings.ts';
import {
  type AtStep,
  arrive,
  computeAnew,
  dropPart,
  funnelsOf,
  insertAll,
  keepLevels,
  type Ladder,
  openLadder,
  ownPart,
  settlingDueMs,
  takeCounted,
  trim,
  waitForSettling,
} from './ladder.ts';
import type { Arriving, Part } from './linked-person.ts';
import { addPart, noParts, numbersOf, ownOldest, type Parts, partOf, removePart } from './parts.ts';
import { rungOf, takeBackfill, takePast } from './pasts.ts';
import { linkAskedBy, memberToldBy, type Sent } from './sent.ts';
import { dropShares, ownShares, takeOver } from './shares.ts';
import { standAfter, standTogether } from './standing.ts';

const DAY_MS = 86_400_000;

export interface UserStory {
  readonly person: Person;
  readonly judged: readonly Judged[];
  readonly sent: readonly Sent[];
  readonly changes: readonly PartChange[];
}

interface User {
  readonly key: string;
  readonly place: Place;
  readonly life: Life;
  readonly ladder: Ladder;
  readonly parts: Parts;
  readonly visitDays: Set<number>;
  arriving: Arriving[];
  readonly sent: Sent[];
  readonly changes: PartChange[];
  /** Whether there must be a state. */
  isKnown: boolean;
}

export function userOf(
  key: string,
  happenings: readonly Happening[],
  walk: Walk<EventsTopicRecord>,
  facts: Facts,
): UserStory {
  const user = newUser(key, { walk, facts });
  const judged = judge(
    happenings.flatMap((each) => (each.kind === 'own' ? [each.own] : [])),
    walk.history,
  );
  let came = 0;
  for (const happening of happenings) {
    waitUntil(user.life, happening.index, user.place);
    waitForSettling(user.ladder, happening.index);
    happen(user, happening, happening.kind === 'own' ? judged[came++] : undefined);
    user.life.waitsFrom = happening.index + 1;
  }
  waitUntil(user.life, walk.gone - 1, user.place);
  waitForSettling(user.ladder, walk.gone - 1);
  return { person: personAs(user, judged), judged, sent: user.sent, changes: user.changes };
}

function newUser(key: string, place: Place): User {
  const parts = noParts();
  return {
    key,
    place,
    life: newLife(key),
    ladder: openLadder(key, place, parts.all.known),
    parts,
    visitDays: new Set(),
    arriving: [],
    sent: [],
    changes: [],
    isKnown: false,
  };
}

function stepOf({ place }: User, { index, offset, watermarkMs }: At): AtStep {
  return { index, offset, watermarkMs, epoch: place.walk.history.at(offset) };
}

function happen(user: User, happening: Happening, judged: Judged | undefined): void {
  const at = stepOf(user, happening);
  switch (happening.kind) {
    case 'own':
      user.sent.push(...linkAskedBy(judged!));
      if (judged!.verdict !== 'applied') return;
      ownOld(user, at);
      applyRecord(user, user.parts.apart[0], judged!.record, judged!.behaviour, at, true);
      break;
    case 'exposure':
      ownOld(user, at);
      for (const each of gatheringsOf(user, user.parts.apart[0])) gatherExposure(each, happening.record);
      break;
    case 'forward':
      forward(user, happening.record, at);
      break;
    case 'merge':
      merge(user, happening.record, at);
      break;
    case 'linkEnded':
      if (user.isKnown) linkEnded(user, happening.record, at);
      return;
    case 'backfill':
      if (rungOf(user.ladder, happening.record, at) === undefined) return;
      backfill(user, happening.record, at);
      break;
    case 'past':
      if (!user.isKnown) return;
      past(user, happening.record, at);
      return;
    default:
      return;
  }
  user.isKnown = true;
}

function gatheringsOf({ parts }: User, part: Part | undefined): Gathering[] {
  return part === undefined ? [parts.all] : [parts.all, part.gathered];
}

/** What is read of all parts together is read by the life and the ladder, too. */
function lookAtAll({ life, ladder, parts }: User): void {
  const { firstMs, lastMs, known, totals } = parts.all;
  Object.assign(life, { firstMs, lastMs, known, totals });
  ladder.known = known;
  ladder.total = [...totals.values()].reduce((sum, count) => sum + count, 0);
  ladder.firstMs = firstMs;
  ladder.nextPart = parts.next;
  ladder.merges = parts.apart.filter(({ number }) => number > 0);
  ladder.parts = numbersOf(parts);
}

function ownOld(user: User, { watermarkMs, epoch }: AtStep): void {
  for (const number of ownOldest(user.parts, watermarkMs, epoch.settings, epoch.halfLivesMs)) {
    ownPart(user.ladder, number);
    ownShares(user.life, number);
  }
  lookAtAll(user);
}

function applyRecord(
  user: User,
  part: Part | undefined,
  record: SegmentRecord,
  behaviour: string,
  at: AtStep,
  isJudgedHere: boolean,
): void {
  const number = part?.number ?? 0;
  const { offset, epoch } = at;
  const timeMs = record.timestamp;
  for (const gathering of gatheringsOf(user, part)) {
    gatherRecord(gathering, record);
    if (behaviour !== '') gatherBehaviour(gathering, behaviour, timeMs, epoch.halfLivesMs);
  }
  lookAtAll(user);
  if (behaviour !== '') {
    visit(user, timeMs, at);
    arrive(user.ladder, { timeMs, behaviour, offset, part: number }, at, isJudgedHere);
    act(user.life, { offset, behaviour, epoch, record, part: number }, user.place);
  }
  const company = user.parts.all.known.company?.value;
  user.sent.push(...memberToldBy(user.key, offset, record, behaviour, company));
}

/** A day that no record in time can name is not counted any more. */
function visit(user: User, timeMs: number, { offset, watermarkMs, epoch }: AtStep): void {
  const day = Math.floor(timeMs / DAY_MS);
  const oldest = Math.floor(settledBefore(epoch, watermarkMs) / DAY_MS);
  if (day < oldest || user.visitDays.has(day)) return;
  user.visitDays.add(day);
  const cell = cellOf(segmentOf(user.parts.all.known));
  const counted = { series: 'northstar', revision: 0, timeMs, cell, column: 0 };
  user.place.facts.counts.push({ offset, dueMs: undefined, key: user.key, ...counted });
}

function forward(user: User, { link, behaviour, record }: ForwardRecord, at: AtStep): void {
  ownOld(user, at);
  const part = partOf(user.parts, link);
  if (record.kind === 'exposure') {
    for (const gathering of gatheringsOf(user, part)) gatherExposure(gathering, record);
  } else {
    applyRecord(user, part, record, behaviour, at, false);
  }
}

/** Chunks wait for the last one; then the history is joined. */
function merge(user: User, record: MergeRecord, at: AtStep): void {
  const { link, visitor, chunk, chunks, base, behaviours } = record;
  if (base !== undefined) user.arriving.push({ link, visitor, base, chunks: 0, behaviours: [] });
  const arriving = user.arriving.find((each) => each.link === link);
  if (arriving === undefined || arriving.chunks !== chunk) return;
  arriving.chunks += 1;
  arriving.behaviours.push(...behaviours);
  if (arriving.chunks < chunks) return;
  user.arriving = user.arriving.filter((each) => each !== arriving);
  join(user, arriving, at);
}

function join(user: User, arriving: Arriving, at: AtStep): void {
  const { base, behaviours, link, visitor } = arriving;
  const { life, ladder, parts, place } = user;
  const { offset, watermarkMs, epoch } = at;
  ownOld(user, at);
  keepLevels(ladder);
  const { number: part } = addPart(parts, arriving, watermarkMs, epoch.halfLivesMs);
  lookAtAll(user);
  for (const day of base.visitDays) user.visitDays.add(day);
  takeCounted(ladder, base.counted, part, at);
  insertAll(
    ladder,
    behaviours.map(([timeMs, behaviour]) => ({ timeMs, behaviour, offset, part })),
    at,
  );
  const when = { offset, dueMs: undefined };
  takeOver(life, base.opportunities, part, watermarkMs, when, epoch, place);
  standTogether(life, base, watermarkMs, when, epoch, place.facts);
  // Who is active goes on as activity leads; who is not stays as absence left it.
  const isActive = life.stage === 'new' || life.stage === 'mature';
  if (epoch.lifecycle !== undefined && isActive) grow(life, life.lastMs, when, epoch, place.facts);
  trim(ladder, at);
  user.changes.push({ offset, timeMs: watermarkMs, link, visitor, change: 'merged' });
  ownOld(user, at);
}

/** What a user did before a funnel's record. */
function backfill(user: User, record: BackfillRecord, at: AtStep): void {
  const numbers = new Map(user.parts.apart.map(({ link, number }) => [link, number]));
  const rung = rungOf(user.ladder, record, at)!;
  if (rung.backfilled) return;
  ownOld(user, at);
  const partOf = (link: string): number | undefined => {
    const number = link === '' ? 0 : numbers.get(link);
    return number === undefined || user.ladder.parts.includes(number) ? number : 0;
  };
  takeBackfill(user.ladder, rung, record, partOf, undefined, at);
}

/** What a visitor that had been merged before did before the funnel's record. */
function past(user: User, record: PastRecord, at: AtStep): void {
  const rung = rungOf(user.ladder, record, at);
  const part = user.parts.apart.find(({ link }) => link === record.link)?.number;
  if (rung === undefined || part === undefined) return;
  ownOld(user, at);
  takePast(user.ladder, rung, record, part, at);
  trim(user.ladder, at);
}

/** Only a link that was taken back takes back what came by it. */
function linkEnded(user: User, { link, visitor, how }: LinkEndedRecord, at: AtStep): void {
  ownOld(user, at);
  const { offset, watermarkMs, epoch } = at;
  const part = user.parts.apart.find((each) => each.link === link);
  const say = (change: PartChange['change']): void => {
    user.changes.push({ offset, timeMs: watermarkMs, link, visitor, change });
  };
  if (how !== 'revoked') {
    if (part !== undefined) part.ended = true;
    return;
  }
  if (part === undefined) {
    say('inseparable');
    user.sent.push({ offset, record: { kind: 'linkKept', key: visitor, link, user: user.key } });
    return;
  }
  const when = { offset, dueMs: undefined };
  removePart(user.parts, part, epoch.halfLivesMs);
  lookAtAll(user);
  dropPart(user.ladder, part.number);
  dropShares(user.life, part.number, watermarkMs, when, epoch, user.place);
  computeAnew(user.ladder, at);
  standAfter(user.life, watermarkMs, when, epoch, user.place.facts);
  say('dropped');
}

function personAs(user: User, judged: readonly Judged[]): Person {
  const { key, life, ladder, parts, place, visitDays, isKnown, arriving } = user;
  const epoch = place.walk.history.at(Number.MAX_SAFE_INTEGER);
  const dues = [nextDueMs(life, epoch), settlingDueMs(ladder, epoch)].filter((each) => each !== undefined);
  return {
    key,
    isKnown,
    judged,
    behaved: judged.filter(isBehaved),
    // Its levels are not those of its own behaviours alone.
    seen: [],
    settledEarly: new Map(),
    life,
    funnels: [],
    engagement: sumsAt(parts.all, place.walk.watermarkMs),
    visitDays,
    exposures: parts.all.exposures,
    dueMs: dues.length === 0 ? undefined : Math.min(...dues),
    links: null,
    linked: {
      life,
      gathered: parts.all,
      parts: parts.apart,
      nextPart: parts.next,
      arriving,
      held: ladder.held,
      funnels: funnelsOf(ladder),
    },
  };
}
