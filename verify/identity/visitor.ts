// A visitor who was linked: its record lives on in silence, what it does is sent on, and a link that is taken back leaves
// it as if it had never been. Each life is worked out as a buyer's; what falls into a silence is left out.
import type { LifecycleStage } from '../../domain/buyer.ts';
import type { LinkRecord, RevokeRecord } from '../../domain/identity-record.ts';
import type { EventsTopicRecord } from '../../domain/record.ts';
import { type Facts, noFacts } from '../facts.ts';
import { isBehaved, type Judged, judge, type OwnRecord } from '../judge.ts';
import { changeQuietly } from '../life.ts';
import type { Life } from '../life-state.ts';
import { say } from '../opportunities.ts';
import { type Own, type Person, personOf } from '../person.ts';
import type { Walk } from '../watermark.ts';
import { walkAsOf } from './as-of.ts';
import type { At, Happening } from './happenings.ts';
import { heldOf } from './held.ts';
import { historyOf } from './history.ts';
import {
  expire,
  isExpired,
  isSilent,
  keep,
  type Link,
  type LinkBook,
  type LinkChange,
  type LinksState,
  openLinkBook,
  takeBack,
  takeLink,
} from './links.ts';
import type { GivenPast } from './own-pasts.ts';
import { type Sent, sentByOwn } from './sent.ts';

export interface VisitorStory {
  readonly person: Person;
  /** Of all its lives. */
  readonly judged: readonly Judged[];
  readonly sent: readonly Sent[];
  readonly changes: readonly LinkChange[];
}

/** One visitor between two births. */
interface Lifetime {
  readonly happenings: Happening[];
  /** Of all records from its birth on, those that are not its own any more included. */
  readonly judged: readonly Judged[];
  /** How many of them have come. */
  came: number;
  /** Event time of the last behaviour that has come; 0 if none has. */
  lastMs: number;
  readonly pasts: GivenPast[];
}

interface Story {
  readonly key: string;
  readonly walk: Walk<EventsTopicRecord>;
  readonly book: LinkBook;
  readonly facts: Facts;
  readonly sent: Sent[];
  /** By link, the stage that the visitor had said last when it began. */
  readonly stages: Map<string, LifecycleStage | null>;
  life: Lifetime;
}

export function visitorOf(
  key: string,
  happenings: readonly Happening[],
  walk: Walk<EventsTopicRecord>,
  facts: Facts,
): VisitorStory {
  const story: Story = {
    key,
    walk,
    book: openLinkBook(),
    facts,
    sent: [],
    stages: new Map(),
    life: lifetimeOf(happenings, walk),
  };
  const judged: Judged[] = [];
  happenings.forEach((happening, index) => {
    const { settings } = walk.history.at(happening.offset);
    const looksAtAge = !['revoke', 'backfill', 'linkKept'].includes(happening.kind);
    const { lastMs } = story.life;
    if (looksAtAge && isExpired(story.book, lastMs, happening.watermarkMs, settings.linkExpiryMs)) {
      judged.push(...endLifetime(story, happening));
      story.life = lifetimeOf(happenings.slice(index), walk);
    }
    happen(story, happening);
    story.life.happenings.push(happening);
  });
  judged.push(...story.life.judged);
  const own = livedBy(story);
  const person = speaking(story, (heard) => personOf(key, own, walk, heard));
  const { current, history, past, bornOffset, standing } = story.book;
  const links: LinksState = {
    current: current && inForceOf(current, story),
    history,
    past,
    bornOffset,
    standing: standing.size,
  };
  return {
    person: { ...person, isKnown: true, links },
    judged,
    sent: story.sent,
    changes: story.book.changes,
  };
}

function inForceOf({ id, user, sinceMs, saidFromMs, saidToMs }: Link, { stages }: Story) {
  return { id, user, sinceMs, saidFromMs, saidToMs, stage: stages.get(id) ?? null };
}

function lifetimeOf(happenings: readonly Happening[], walk: Walk<EventsTopicRecord>): Lifetime {
  return {
    happenings: [],
    judged: judge(ownOf(happenings).records, walk.history),
    came: 0,
    lastMs: 0,
    pasts: [],
  };
}

function ownOf(happenings: readonly Happening[]): Own & { readonly records: OwnRecord[] } {
  return {
    records: happenings.flatMap((each) => (each.kind === 'own' ? [each.own] : [])),
    exposures: happenings.flatMap((each) => (each.kind === 'exposure' ? [each.record] : [])),
    pasts: [],
  };
}

/** The facts that are worked out by `work`, without those of silences. */
function speaking<Result>({ book, facts }: Story, work: (heard: Facts) => Result): Result {
  const heard = noFacts();
  const result = work(heard);
  facts.counts.push(...heard.counts.filter((fact) => fact.aloud === true || !isSilent(book, fact)));
  facts.transitions.push(...heard.transitions.filter((fact) => !isSilent(book, fact)));
  facts.opportunities.push(...heard.opportunities.filter((fact) => !isSilent(book, fact)));
  facts.triggers.push(...heard.triggers.filter((fact) => !isSilent(book, fact)));
  return result;
}

/** The link in force ends with the life. Answers what is known of its records. */
function endLifetime(story: Story, at: At): readonly Judged[] {
  const ended = expire(story.book, at);
  tellEnd(story, ended, 'expired', at);
  const { judged, came } = story.life;
  speaking(story, (heard) => personOf(story.key, livedBy(story), walkAsOf(story.walk, at.index), heard));
  return judged.slice(0, came);
}

function happen(story: Story, happening: Happening): void {
  const { book } = story;
  switch (happening.kind) {
    case 'own': {
      const own = nextOf(story.life);
      if (book.current === null) story.sent.push(...sentByOwn([own], () => false));
      else if (own.verdict === 'applied') sendOn(story, book.current, happening, own.behaviour);
      break;
    }
    case 'exposure':
      if (book.current !== null) sendOn(story, book.current, happening, '');
      break;
    case 'link':
      link(story, happening.record, happening);
      break;
    case 'revoke':
      revoke(story, happening.record, happening);
      break;
    case 'linkKept':
      keep(book, happening.record);
      break;
    case 'backfill':
      takePast(story, happening);
      break;
    default:
      break;
  }
}

/** The record that comes now, as it is judged. */
function nextOf(life: Lifetime): Judged {
  const own = life.judged[life.came]!;
  life.came += 1;
  if (isBehaved(own)) life.lastMs = Math.max(life.lastMs, own.timeMs);
  return own;
}

function sendOn(
  { key, sent }: Story,
  { id: link, user }: Link,
  happening: Extract<Happening, { kind: 'own' | 'exposure' }>,
  behaviour: string,
): void {
  const { offset, appendMs } = happening;
  const record = happening.kind === 'own' ? happening.own.record : happening.record;
  sent.push({
    offset,
    record: { kind: 'forward', key: user, link, visitor: key, appendMs, behaviour, record },
  });
}

function link(story: Story, record: LinkRecord, at: At): void {
  const wasAloud = story.book.current === null;
  const { ended, begun } = takeLink(story.book, story.walk.partition, record, at);
  if (ended !== undefined) tellEnd(story, ended, 'superseded', at);
  if (begun === undefined) return;
  const visitor = asOf(story, at);
  // A visitor that was silent before has said nothing since the link before.
  const said = ended === undefined ? visitor.life.stage : (story.stages.get(ended.id) ?? null);
  story.stages.set(begun.id, said);
  if (wasAloud) sayOfAll(story, visitor.life, 'moved', at);
  handOver(story, begun, visitor, at);
}

/** The visitor as it is when the record comes. */
function asOf(story: Story, { index }: At): Person {
  return personOf(story.key, livedBy(story), walkAsOf(story.walk, index), noFacts());
}

/** The life up to now. */
function livedBy({ life, book }: Story): Own {
  return { ...ownOf(life.happenings), pasts: [...life.pasts], isSilentAt: (when) => isSilent(book, when) };
}

/** A past that comes to a linked visitor goes on to its user, who has the history without it. */
function takePast(story: Story, happening: Extract<Happening, { kind: 'backfill' }>): void {
  const { key, book, life, sent } = story;
  const { record, offset } = happening;
  life.pasts.push({ ...happening, link: book.current });
  const level = asOf(story, happening).withPasts?.aloud.at(-1);
  const { current } = book;
  if (level === undefined || current === null || book.history !== current.id) return;
  if (record.merged && record.link === current.id) return;
  const { funnel, revision } = record;
  const { settings, funnels } = story.walk.history.at(offset);
  const windowMs = Math.max(...funnels.map(({ document }) => document.windowMs));
  const behaviours = record.behaviours
    .filter(([timeMs]) => timeMs >= current.sinceMs - windowMs - settings.latenessMs)
    .map(([timeMs, behaviour]): [number, string] => [timeMs, behaviour]);
  const past = { funnel, revision, level, behaviours };
  sent.push({
    offset,
    record: { kind: 'past', key: current.user, link: current.id, visitor: key, ...past },
  });
}

function handOver(story: Story, begun: Link, visitor: Person, { offset, watermarkMs }: At): void {
  const { mergeChunkBehaviours } = story.walk.history.at(offset).settings;
  const held = begun.ownsHistory ? (visitor.withPasts?.held ?? heldOf(visitor.behaved)) : [];
  const base = historyOf(visitor, begun.ownsHistory, watermarkMs);
  const chunks = Math.max(1, Math.ceil(held.length / mergeChunkBehaviours));
  for (let chunk = 0; chunk < chunks; chunk += 1) {
    const some = held.slice(chunk * mergeChunkBehaviours, (chunk + 1) * mergeChunkBehaviours);
    const behaviours = some.map(({ timeMs, behaviour }): [number, string] => [timeMs, behaviour]);
    const common = { key: begun.user, link: begun.id, visitor: story.key, chunk, chunks, behaviours };
    story.sent.push({
      offset,
      record: { kind: 'merge', ...common, ...(chunk === 0 ? { base } : {}) },
    });
  }
}

function revoke(story: Story, record: RevokeRecord, at: At): void {
  const taken = takeBack(story.book, record, at);
  if (taken === undefined) return;
  tellEnd(story, taken, 'revoked', at);
  if (!taken.wasInForce) return;
  const { life } = asOf(story, at);
  sayOfAll(story, life, 'returned', at);
  const before = story.stages.get(taken.id) ?? null;
  if (life.stage === before) return;
  const epoch = story.walk.history.at(at.offset);
  const when = { offset: at.offset, dueMs: undefined };
  changeQuietly({ ...life, stage: before }, life.stage, 'unlinked', at.watermarkMs, when, epoch, story.facts);
}

function sayOfAll(story: Story, life: Life, change: 'moved' | 'returned', at: At): void {
  const epoch = story.walk.history.at(at.offset);
  const when = { offset: at.offset, dueMs: undefined };
  for (const opportunity of life.opportunities)
    say(life, opportunity, change, at.watermarkMs, when, epoch, story.facts);
}

function tellEnd(
  { key, sent }: Story,
  { id: link, user }: { readonly id: string; readonly user: string },
  how: 'superseded' | 'revoked' | 'expired',
  { offset }: At,
): void {
  sent.push({ offset, record: { kind: 'linkEnded', key: user, link, visitor: key, how } });
}
